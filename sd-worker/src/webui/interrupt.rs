//! Getting the GPU back from a render that nobody wants any more.
//!
//! A client that gives up does not stop its render, only `interrupt` does. An interrupt that comes just
//! before a render begins is cleared by it, so one is not enough. And the GPU is free only when the
//! render's own request has returned (`docs/protocol/webui-api.md` §7).

use std::pin::Pin;
use std::time::Duration;

use tokio::time::{Instant, timeout};
use tracing::{debug, info, warn};

use super::WebUi;

const PAUSE: Duration = Duration::from_millis(200);

/// Interrupts until `render` returns. It always does: interrupted, with an answer of 200.
///
/// No interrupt is left on its way when this returns; it would hit the next render.
pub(super) async fn interrupt_until_returned<F: Future>(webui: &WebUi, mut render: Pin<&mut F>) -> F::Output {
    let mut sent = 0;
    let started = Instant::now();
    loop {
        let ((), returned) = tokio::join!(
            send_unless_it_took(webui, &mut sent),
            timeout(PAUSE, render.as_mut())
        );
        if let Ok(output) = returned {
            info!(interrupts = sent, waited = ?started.elapsed(), "the render has stopped");
            return output;
        }
    }
}

/// Interrupts whatever renders until nothing does, or `patience` is over.
///
/// For a render whose request is gone: its connection broke, or its job did not wait for it.
pub(super) async fn interrupt_until_idle(webui: &WebUi, patience: Duration) {
    let mut sent = 0;
    let started = Instant::now();
    while started.elapsed() < patience {
        match webui.progress().await {
            Ok(seen) if seen.is_rendering() => {}
            Ok(_) => {
                if sent > 0 {
                    info!(interrupts = sent, waited = ?started.elapsed(), "an abandoned render has stopped");
                }
                return;
            }
            // A WebUI that is gone renders nothing; any other trouble will show when the job is sent.
            Err(error) => return debug!(%error, "can't see whether the GPU is free"),
        }
        send_unless_it_took(webui, &mut sent).await;
        tokio::time::sleep(PAUSE).await;
    }
    warn!(
        ?patience,
        "an abandoned render still runs; the next one has to wait for it"
    );
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
