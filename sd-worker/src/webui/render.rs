//! One render, from its turn on the GPU to its answer.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use runpod_sdk::json::RawJson;
use runpod_sdk::{CancelReason, Context};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, warn};

use super::call::Call;
use super::error::WebUiError;
use super::progress::Reporter;
use super::{WebUi, interrupt, retry};
use crate::settings::Settings;

/// For an interrupt to stop a render that has run out of time. (That of a cancelled job is bounded by
/// the worker's cancel grace.)
const INTERRUPT_PATIENCE: Duration = Duration::from_mins(1);
/// Between two looks at a render that must end before ours may begin.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Sends renders to the WebUI, one at a time.
///
/// The WebUI would queue them itself, but its interrupt and its progress speak of the render in
/// progress, whoever asked for it. With one at a time that is always ours.
#[derive(Debug)]
pub(crate) struct Renderer {
    webui: WebUi,
    gpu: Semaphore,
    /// A request was sent and never returned, so its render may still run.
    left_running: AtomicBool,
    attempt_timeout: Duration,
    retries: u32,
    reporter: Reporter,
}

/// The right to use the GPU.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    renderer: &'a Renderer,
    _gpu: SemaphorePermit<'a>,
}

/// Why a render is not waited for any longer.
#[derive(Debug)]
enum Cut {
    Cancelled(CancelReason),
    TooSlow,
}

impl Renderer {
    pub(crate) fn new(webui: WebUi, settings: &Settings) -> Self {
        Self {
            webui,
            gpu: Semaphore::new(1),
            left_running: AtomicBool::new(false),
            attempt_timeout: settings.attempt_timeout,
            retries: settings.retries,
            reporter: Reporter::new(settings.progress),
        }
    }

    /// Waits until the GPU is free.
    pub(crate) async fn turn(&self, ctx: &Context) -> Result<Turn<'_>, WebUiError> {
        let free = async {
            let gpu = self.gpu.acquire().await;
            if self.left_running.load(Ordering::Acquire) {
                interrupt::interrupt_until_idle(&self.webui, INTERRUPT_PATIENCE).await;
                self.left_running.store(false, Ordering::Release);
            }
            gpu
        };
        let gpu = unless_cancelled(ctx, free).await?;
        Ok(Turn {
            renderer: self,
            _gpu: gpu.expect("the semaphore is never closed"),
        })
    }
}

impl Turn<'_> {
    /// Renders. Tries again where nothing can have come of an attempt, and never while one may still run.
    pub(crate) async fn render(self, call: &Call, ctx: &Context) -> Result<RawJson, WebUiError> {
        let mut waits = retry::waits(self.renderer.retries);
        let mut may_be_running = false;
        loop {
            let ended = self.attempt(call, ctx, may_be_running).await;
            let error = match ended {
                Err(error) if retry::may_repeat(&error) => error,
                ended => return ended,
            };
            let Some(wait) = waits.next() else {
                return Err(error);
            };
            if ctx.time_left().is_some_and(|left| left <= wait) {
                debug!("no time left for another attempt");
                return Err(error);
            }
            warn!(%error, ?wait, "the WebUI did not take the request; trying again");
            may_be_running |= retry::may_hide_a_render(&error);
            unless_cancelled(ctx, sleep(wait)).await?;
        }
    }

    async fn attempt(&self, call: &Call, ctx: &Context, look_first: bool) -> Result<RawJson, WebUiError> {
        if look_first {
            unless_cancelled(ctx, self.wait_until_idle()).await??;
        }
        let Renderer {
            webui,
            left_running,
            attempt_timeout: limit,
            ..
        } = self.renderer;
        let mut follower = self.renderer.reporter.follow(webui, call, ctx);
        // Stays set if this future is dropped, too: then the render goes on without us.
        left_running.store(true, Ordering::Release);
        let mut post = std::pin::pin!(webui.send(call));
        let cut = tokio::select! {
            biased;
            answer = &mut post => {
                let lost = matches!(answer, Err(WebUiError::Lost { .. }));
                left_running.store(lost, Ordering::Release);
                if answer.is_ok() {
                    follower.finished();
                }
                return answer;
            }
            reason = ctx.cancelled() => Cut::Cancelled(reason),
            () = sleep(*limit) => Cut::TooSlow,
            never = follower.report() => match never {},
        };
        // The next job may be taken as soon as this returns, so it waits for the GPU. A picture that
        // comes now is half a picture: it is not used.
        let stopped = interrupt::interrupt_until_returned(webui, post);
        match cut {
            Cut::Cancelled(reason) => {
                let _ = stopped.await;
                left_running.store(false, Ordering::Release);
                Err(WebUiError::Interrupted(reason))
            }
            Cut::TooSlow => {
                let returned = timeout(INTERRUPT_PATIENCE, stopped).await.is_ok();
                left_running.store(!returned, Ordering::Release);
                Err(WebUiError::TooSlow {
                    limit: *limit,
                    seen: follower.last_seen(),
                })
            }
        }
    }

    /// After a proxy gave up on a request, its render may still be running.
    async fn wait_until_idle(&self) -> Result<(), WebUiError> {
        let started = Instant::now();
        while started.elapsed() < self.renderer.attempt_timeout {
            match self.renderer.webui.progress().await {
                Ok(seen) if seen.is_rendering() => sleep(LOOK_AGAIN).await,
                Ok(_) => return Ok(()),
                // As long as the way to the WebUI is not clear nothing can be known.
                Err(error) if retry::may_repeat(&error) => return Err(error),
                Err(error) => {
                    debug!(%error, "can't see whether a render runs");
                    return Ok(());
                }
            }
        }
        Err(WebUiError::TooSlow {
            limit: self.renderer.attempt_timeout,
            seen: Some("a render that was cut off by a proxy still runs".to_owned()),
        })
    }
}

/// `work`, unless the job is cancelled first.
pub(crate) async fn unless_cancelled<F: Future>(ctx: &Context, work: F) -> Result<F::Output, WebUiError> {
    tokio::select! {
        biased;
        done = work => Ok(done),
        reason = ctx.cancelled() => Err(WebUiError::Interrupted(reason)),
    }
}
