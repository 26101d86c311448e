//! Stops a render whose answer is not wanted any more.
//!
//! A client that gives up does not stop its render; only `interrupt` does. An interrupt that arrives just before a
//! render begins is cleared by it, so one may not be enough. The GPU is free only when the render's own request has
//! returned (`docs/protocol/webui-api.md` §7).

use std::pin::Pin;
use std::time::Duration;

use tokio::time::{Instant, timeout};
use tracing::{debug, info, warn};

use super::call::Call;
use super::client::WebUi;
use super::error::WebUiError;
use super::progress::Progress;
use crate::settings::smallest_render;

/// The time between two interrupts.
const PAUSE: Duration = Duration::from_millis(200);
/// How long the WebUI may report a render as running whose request has returned.
const SETTLING: Duration = Duration::from_secs(2);

/// How an interrupted render ended.
#[derive(Debug)]
pub(crate) struct Stopped<T> {
    /// What its request returned: 200, whether it was cut short or just done.
    pub(crate) output: T,
    /// What the WebUI reports after it; `None` if it cannot be asked.
    pub(crate) after: Option<Progress>,
}

/// Interrupts until `render` returns and nothing renders any more.
///
/// No interrupt is on its way when this returns; it would hit the next render.
pub(crate) async fn interrupt_until_returned<F: Future>(
    webui: &WebUi,
    mut render: Pin<&mut F>,
) -> Stopped<F::Output> {
    let mut sent = 0;
    let started = Instant::now();
    loop {
        let ((), returned) = tokio::join!(
            webui.interrupt_unless_effective(&mut sent),
            timeout(PAUSE, render.as_mut())
        );
        if let Ok(output) = returned {
            let after = webui.settled().await;
            let interrupted = after.as_ref().map(|after| after.state.interrupted);
            info!(interrupts = sent, waited = ?started.elapsed(), ?interrupted, "the render has stopped");
            return Stopped { output, after };
        }
    }
}

impl WebUi {
    /// Interrupts whatever renders until nothing does. Returns whether that was reached within `patience`.
    ///
    /// For a render without a request: its connection broke, or its job did not wait for it.
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
                // A WebUI that is gone renders nothing; any other fault shows when the job is sent.
                Err(WebUiError::Unreachable { .. }) => return true,
                // Without an answer it may still render.
                Err(error @ WebUiError::Lost { .. }) => debug!(%error, "can't see whether the GPU is free"),
                Err(error) => {
                    debug!(%error, "can't see whether the GPU is free");
                    return true;
                }
            }
            self.interrupt_unless_effective(&mut sent).await;
            tokio::time::sleep(PAUSE).await;
        }
        warn!(?patience, "an abandoned render still runs");
        false
    }

    /// Renders the smallest picture, to see whether the WebUI can render.
    pub(crate) async fn canary(&self) -> Result<(), WebUiError> {
        self.send(&Call::txt2img(smallest_render())).await.map(drop)
    }

    /// Sends an interrupt, unless an earlier one is seen to have reached the render.
    async fn interrupt_unless_effective(&self, sent: &mut u32) {
        if *sent > 0
            && let Ok(seen) = self.progress().await
            && seen.is_rendering()
            && seen.state.interrupted
        {
            return;
        }
        match self.interrupt().await {
            Ok(()) => *sent += 1,
            Err(error) => debug!(%error, "the interrupt was not accepted"),
        }
    }

    /// Waits until nothing renders, and returns what is reported then.
    ///
    /// The render's request has returned, so one probe is usually enough. A WebUI that goes on reporting a render is
    /// not believed, because a failed upscaling leaves that behind (§7).
    async fn settled(&self) -> Option<Progress> {
        let started = Instant::now();
        loop {
            let seen = self.progress().await.ok()?;
            if !seen.is_rendering() || started.elapsed() > SETTLING {
                return Some(seen);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}
