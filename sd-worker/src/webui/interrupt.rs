//! Getting the GPU back from a render that nobody wants any more.
//!
//! A client that gives up does not stop its render, only `interrupt` does. An interrupt that comes just
//! before a render begins is cleared by it, so one is not enough. And the GPU is free only when the
//! render's own request has returned (`docs/protocol/webui-api.md` §7).

use std::pin::Pin;
use std::time::Duration;

use tokio::time::{Instant, timeout};
use tracing::{debug, info, warn};

use super::progress::Progress;
use super::{Call, WebUi, WebUiError};

const PAUSE: Duration = Duration::from_millis(200);
/// For a WebUI to agree that a render is over whose request has returned.
const SETTLING: Duration = Duration::from_secs(2);

/// How a render that was interrupted came to its end.
#[derive(Debug)]
pub(super) struct Stopped<T> {
    /// What its request returned: 200, whether it was cut short or just done.
    pub(super) output: T,
    /// What the WebUI says of itself after it; `None` if it cannot be asked.
    pub(super) after: Option<Progress>,
}

/// Interrupts until `render` returns and nothing renders any more.
///
/// No interrupt is left on its way when this returns; it would hit the next render.
pub(super) async fn interrupt_until_returned<F: Future>(
    webui: &WebUi,
    mut render: Pin<&mut F>,
) -> Stopped<F::Output> {
    let mut sent = 0;
    let started = Instant::now();
    loop {
        let ((), returned) = tokio::join!(
            send_unless_it_took(webui, &mut sent),
            timeout(PAUSE, render.as_mut())
        );
        if let Ok(output) = returned {
            let after = settled(webui).await;
            let interrupted = after.as_ref().map(|after| after.state.interrupted);
            info!(interrupts = sent, waited = ?started.elapsed(), ?interrupted, "the render has stopped");
            return Stopped { output, after };
        }
    }
}

/// Waits until nothing renders, and says what is seen then.
///
/// Its request has returned, so this takes one look. A WebUI that goes on saying that it works is not believed:
/// a failed upscaling leaves that behind (§7).
async fn settled(webui: &WebUi) -> Option<Progress> {
    let started = Instant::now();
    loop {
        let seen = webui.progress().await.ok()?;
        if !seen.is_rendering() || started.elapsed() > SETTLING {
            return Some(seen);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

impl WebUi {
    /// Interrupts whatever renders until nothing does, and says whether that came about within `patience`.
    ///
    /// For a render whose request is gone: its connection broke, or its job did not wait for it.
    pub(crate) async fn interrupt_until_idle(&self, patience: Duration) -> bool {
        let mut sent = 0;
        let started = Instant::now();
        while started.elapsed() < patience {
            match self.progress().await {
                Ok(seen) if seen.is_rendering() => {}
                Ok(_) => {
                    if sent > 0 {
                        info!(interrupts = sent, waited = ?started.elapsed(), "an abandoned render has stopped");
                    }
                    return true;
                }
                // A WebUI that is gone renders nothing; any other trouble will show when the job is sent.
                Err(WebUiError::Unreachable { .. }) => return true,
                // No answer: whether it renders is what has to be found out.
                Err(error @ WebUiError::Lost { .. }) => debug!(%error, "can't see whether the GPU is free"),
                Err(error) => {
                    debug!(%error, "can't see whether the GPU is free");
                    return true;
                }
            }
            send_unless_it_took(self, &mut sent).await;
            tokio::time::sleep(PAUSE).await;
        }
        warn!(?patience, "an abandoned render still runs");
        false
    }

    /// Renders the smallest picture, to see whether it can.
    pub(crate) async fn canary(&self) -> Result<(), WebUiError> {
        let call = Call::txt2img(super::warm_up::smallest());
        self.send(&call).await.map(drop)
    }
}

async fn send_unless_it_took(webui: &WebUi, sent: &mut u32) {
    if *sent > 0
        && let Ok(seen) = webui.progress().await
        && seen.is_rendering()
        && seen.state.interrupted
    {
        return;
    }
    match webui.interrupt().await {
        Ok(()) => *sent += 1,
        Err(error) => debug!(%error, "the interrupt was not accepted"),
    }
}
