//! Stops a render whose answer is not wanted any more.
//!
//! A client that gives up does not stop its render; only `interrupt` does. An interrupt that arrives just before a
//! render begins is cleared by it, so one may not be enough. The GPU is free only when the render's own request has
//! returned (`docs/protocol/webui-api.md` §7).

use std::pin::Pin;
use std::time::Duration;

use serde::de::IgnoredAny;
use tokio::time::{Instant, timeout};
use tracing::{debug, info, warn};

use super::call::Call;
use super::client::WebUi;
use super::error::WebUiError;
use super::own_render::RenderOwner;
use super::progress::Progress;
use crate::settings::smallest_render;
use crate::splice::Object;

/// The time between two interrupts.
const PAUSE: Duration = Duration::from_millis(200);
/// How long an interrupt waits for the sight of the render that it would hit.
const SIGHT: Duration = Duration::from_secs(1);
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

/// Interrupts the worker's own render until `render` returns and the WebUI is done with it.
///
/// No interrupt is on its way when this returns; it would hit the next render. A render of another client is left alone.
pub(crate) async fn interrupt_until_returned<F: Future + ?Sized>(
    webui: &WebUi,
    mut render: Pin<&mut F>,
) -> Stopped<F::Output> {
    let mut sent = 0;
    let started = Instant::now();
    loop {
        let ((), returned) = tokio::join!(webui.interrupt_own(&mut sent), timeout(PAUSE, render.as_mut()));
        if let Ok(output) = returned {
            let after = webui.settled().await;
            let interrupted = after.as_ref().map(|after| after.state.interrupted);
            info!(interrupts = sent, waited = ?started.elapsed(), ?interrupted, "the render has stopped");
            return Stopped { output, after };
        }
    }
}

/// Waits while the worker's own render is behind that of another client. Returns the output of `render` if that comes
/// first.
pub(crate) async fn wait_behind_another<F: Future + ?Sized>(
    webui: &WebUi,
    mut render: Pin<&mut F>,
) -> Option<F::Output> {
    while webui.is_behind_another().await {
        if let Ok(output) = timeout(PAUSE, render.as_mut()).await {
            return Some(output);
        }
    }
    None
}

impl WebUi {
    /// Whether the worker's own render waits behind that of another client.
    pub(crate) async fn is_behind_another(&self) -> bool {
        if !self.own_render.is_behind_another() {
            return false;
        }
        match self.progress().await {
            Ok(seen) => self.own_render.owner(&seen) == RenderOwner::ClientAhead,
            // What was seen last counts. A WebUI that is gone has no renders.
            Err(error) => !matches!(error, WebUiError::Unreachable { .. }),
        }
    }

    /// Interrupts the worker's own render until it does not run any more. Returns whether that was reached within
    /// `patience`, which does not count while another client's render is ahead.
    ///
    /// For a render without a request: its connection broke, or its job did not wait for it.
    pub(crate) async fn interrupt_until_stopped(&self, patience: Duration) -> bool {
        let mut sent = 0;
        let mut started = Instant::now();
        while started.elapsed() < patience {
            match self.progress().await {
                Ok(seen) => match self.own_render.owner(&seen) {
                    RenderOwner::Worker => {}
                    RenderOwner::ClientAhead => {
                        tokio::time::sleep(PAUSE).await;
                        started = Instant::now();
                        continue;
                    }
                    RenderOwner::Nothing | RenderOwner::ClientAfter => {
                        if sent > 0 {
                            info!(interrupts = sent, waited = ?started.elapsed(), "an abandoned render has stopped");
                        }
                        return true;
                    }
                },
                // A WebUI that is gone renders nothing; any other fault shows when the job is sent.
                Err(WebUiError::Unreachable { .. }) => return true,
                // Without an answer it may still render.
                Err(error @ WebUiError::Lost { .. }) => debug!(%error, "can't see whether the GPU is free"),
                Err(error) => {
                    debug!(%error, "can't see whether the GPU is free");
                    return true;
                }
            }
            self.interrupt_own(&mut sent).await;
            tokio::time::sleep(PAUSE).await;
        }
        warn!(?patience, "an abandoned render still runs");
        false
    }

    /// Renders the smallest picture, to see whether the WebUI can render.
    pub(crate) async fn canary(&self) -> Result<(), WebUiError> {
        let answer = self.send(&Call::txt2img(smallest_render())).await?;
        // SD.Next answers 200 without a picture when a render fails (§12).
        let images: Option<Vec<IgnoredAny>> =
            Object::read(answer.as_str()).and_then(|answer| answer.decode("images"));
        if images.is_some_and(|images| images.is_empty()) {
            return Err(WebUiError::BadAnswer {
                why: "it has no picture".to_owned(),
                excerpt: String::new(),
            });
        }
        Ok(())
    }

    /// Sends an interrupt, unless another client's render would be hit, or an earlier one is seen to have reached the
    /// worker's own.
    async fn interrupt_own(&self, sent: &mut u32) {
        match timeout(SIGHT, self.progress()).await {
            Ok(Ok(seen)) => match self.own_render.owner(&seen) {
                RenderOwner::ClientAhead | RenderOwner::ClientAfter => return,
                RenderOwner::Worker if *sent > 0 && seen.state.interrupted => return,
                RenderOwner::Worker | RenderOwner::Nothing => {}
            },
            // What was seen last counts.
            _ if self.own_render.is_behind_another() => return,
            _ => debug!("can't see what renders"),
        }
        match self.interrupt().await {
            Ok(()) => *sent += 1,
            Err(error) => debug!(%error, "the interrupt was not accepted"),
        }
    }

    /// Waits until the WebUI is done with the worker's own render, and returns what is reported then.
    ///
    /// The render's request has returned, so one probe is usually enough. A WebUI that goes on reporting the render is
    /// not believed, because a failed upscaling leaves that behind (§7).
    async fn settled(&self) -> Option<Progress> {
        let started = Instant::now();
        loop {
            let seen = self.progress().await.ok()?;
            if self.own_render.owner(&seen) != RenderOwner::Worker || started.elapsed() > SETTLING {
                return Some(seen);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}
