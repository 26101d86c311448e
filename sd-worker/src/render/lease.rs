//! One render, from its turn on the GPU to its answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use runpod_sdk::Context;
use runpod_sdk::context::CancelReason;
use runpod_sdk::json::RawJson;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use super::call::Call;
use super::changes::Changes;
use super::error::WebUiError;
use super::fate::Fate;
use super::lost::{Attempt, Memory};
use super::overrides::Overrides;
use super::part::Part;
use super::progress::Reporter;
use super::{Rendered, WebUi, interrupt, retry};
use crate::health::{Health, Stall, Symptom};
use crate::settings::Settings;

/// For an interrupt to stop a render before others have to see to it. Shorter than the time that a cancelled
/// job has.
const INTERRUPT_PATIENCE: Duration = Duration::from_secs(5);

/// Sends renders to the WebUI, one at a time.
///
/// The WebUI would queue them itself, but its interrupt and its progress speak of the render in
/// progress, whoever asked for it. With one at a time that is always ours.
#[derive(Debug)]
pub(crate) struct Renderer {
    pub(super) webui: WebUi,
    pub(super) health: Health,
    gpu: Arc<Semaphore>,
    /// A request was sent and never returned, so its render may still run.
    left_running: AtomicBool,
    pub(super) attempt_timeout: Duration,
    interrupt_patience: Duration,
    stall_after: Duration,
    retries: u32,
    retry_wait: Duration,
    reporter: Reporter,
    pub(super) memory: Memory,
    overrides: Overrides,
    /// Where somebody wants to know.
    changes: Option<Arc<Changes>>,
}

/// The right to use the GPU.
#[derive(Debug)]
pub(crate) struct Turn {
    pub(super) renderer: Arc<Renderer>,
    gpu: Option<OwnedSemaphorePermit>,
    seen_over: bool,
}

/// A render's answer.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) answer: RawJson,
    /// The WebUI has said that nobody cut it short. Else nothing is known against it.
    pub(crate) surely: bool,
}

/// Why a render is not waited for any longer.
#[derive(Debug)]
enum Cut {
    Cancelled(CancelReason),
    TooSlow,
    Stalled,
}

impl Renderer {
    /// `gpu`: whoever has its permit has the GPU.
    pub(crate) fn new(webui: WebUi, health: Health, gpu: Arc<Semaphore>, settings: &Settings) -> Self {
        Self {
            webui,
            health,
            gpu,
            left_running: AtomicBool::new(false),
            attempt_timeout: settings.attempt_timeout,
            interrupt_patience: settings.tuning.interrupt_patience,
            stall_after: settings.backend.stall_after,
            retries: settings.retries,
            retry_wait: settings.tuning.retry_wait,
            reporter: Reporter::new(settings.progress, settings.tuning.preview_limit),
            memory: Memory::default(),
            overrides: Overrides::default(),
            changes: None,
        }
    }

    /// Counts from now on what may change how the WebUI renders.
    pub(crate) fn count_changes(&mut self) -> Arc<Changes> {
        let changes = || Arc::new(Changes::new(self.health.clone()));
        self.changes.get_or_insert_with(changes).clone()
    }

    /// Waits until the WebUI is well and the GPU is free.
    pub(crate) async fn turn(self: &Arc<Self>, ctx: &Context) -> Result<Turn, WebUiError> {
        let gpu = unless_cancelled(ctx, self.free_gpu()).await??;
        Ok(Turn {
            renderer: self.clone(),
            gpu: Some(gpu),
            seen_over: false,
        })
    }

    /// What was sent has come to its end.
    pub(super) fn nothing_is_left_running(&self) {
        self.left_running.store(false, Ordering::Release);
    }

    async fn free_gpu(&self) -> Result<OwnedSemaphorePermit, WebUiError> {
        loop {
            if let Err(symptom) = self.health.well().await {
                return Err(WebUiError::GivenUp(symptom.reason()));
            }
            let gpu = self.gpu.clone().acquire_owned().await;
            let gpu = gpu.expect("the semaphore is never closed");
            if !self.health.is_well() {
                continue; // the one who mends it needs the GPU
            }
            if self.left_running.load(Ordering::Acquire) {
                let idle = self.webui.interrupt_until_idle(self.interrupt_patience).await;
                self.left_running.store(false, Ordering::Release);
                if !idle {
                    self.health.report(Symptom::Stuck);
                    continue;
                }
            }
            return Ok(gpu);
        }
    }
}

impl Turn {
    /// Renders. Tries again where nothing can have come of an attempt, and never while one may still run.
    pub(crate) async fn render(mut self, call: &Call, ctx: &Context) -> Result<Finished, WebUiError> {
        let answer = self.render_part(call, Part::WHOLE, ctx).await?;
        Ok(Finished {
            answer,
            surely: self.seen_over,
        })
    }

    /// Renders a part of a job in the same way, and keeps the GPU for the next one, unless the WebUI needs care
    /// between them. After an error the turn is over.
    pub(crate) async fn render_part(
        &mut self,
        call: &Call,
        part: Part,
        ctx: &Context,
    ) -> Result<RawJson, WebUiError> {
        if let Some(reason) = ctx.cancel_reason() {
            return Err(WebUiError::Interrupted(reason));
        }
        if !part.is_first() && !self.renderer.health.is_well() {
            self.renew(ctx).await?;
        }
        let answer = self.render_once(call, part, ctx).await;
        if let Err(error) = &answer {
            self.renderer.health.diagnose(error);
        }
        answer
    }

    async fn render_once(&mut self, call: &Call, part: Part, ctx: &Context) -> Result<RawJson, WebUiError> {
        let renderer = self.renderer.clone();
        let mut restored = false;
        if let Some(request) = &call.body {
            let generation = renderer.health.generation();
            restored =
                unless_cancelled(ctx, renderer.overrides.pin(&renderer.webui, request, generation)).await?;
        }
        let changes = renderer.changes.as_ref();
        let _change = changes.and_then(|changes| changes.made_by(call, restored));
        let mut waits = retry::waits(renderer.retry_wait, renderer.retries);
        let mut has_died = false;
        loop {
            let mut attempt = Attempt::begin(&renderer, ctx).await?;
            let error = match self.attempt(call, part, ctx, &mut attempt).await {
                Ok(answer) => {
                    self.seen_over = attempt.seen_over;
                    return Ok(answer);
                }
                Err(error) => error,
            };
            let again = if retry::may_hide_a_render(&error, attempt.seen_running) {
                let fate = unless_cancelled(ctx, self.fate(&attempt)).await?;
                warn!(%error, ?fate, "an answer was lost");
                match fate {
                    // To render again would take the GPU twice for one job. What still renders is interrupted at the
                    // begin of the next turn.
                    Fate::Running | Fate::Over => return Err(error.into_lost()),
                    // After a death once more, and then no more: what kills its process would do so for ever.
                    Fate::NeverBegan if !has_died => true,
                    Fate::Gone if !has_died && !attempt.seen_running => {
                        has_died = true;
                        self.renew(ctx).await?;
                        true
                    }
                    Fate::NeverBegan | Fate::Gone => {
                        // It has had its run on the GPU, or may have had it, and nothing is left of that.
                        renderer.nothing_is_left_running();
                        return Err(error.into_lost());
                    }
                    Fate::Unknown => retry::may_repeat(&error),
                }
            } else if retry::needs_a_look(&error) {
                // A proxy that gives up at once has not passed the request on. Nothing is sent all the same
                // while something renders.
                unless_cancelled(ctx, self.until_idle(&mut attempt)).await?
            } else {
                retry::may_repeat(&error)
            };
            if !again {
                return Err(error);
            }
            renderer.nothing_is_left_running();
            let Some(wait) = waits.next() else {
                return Err(error);
            };
            if ctx.time_left().is_some_and(|left| left <= wait) {
                debug!("no time left for another attempt");
                return Err(error);
            }
            warn!(%error, ?wait, "the WebUI did not take the request; trying again");
            unless_cancelled(ctx, sleep(wait)).await?;
        }
    }

    /// Lets go of the GPU until the WebUI is well.
    async fn renew(&mut self, ctx: &Context) -> Result<(), WebUiError> {
        self.renderer.nothing_is_left_running();
        self.gpu = None;
        self.gpu = Some(unless_cancelled(ctx, self.renderer.free_gpu()).await??);
        Ok(())
    }

    async fn attempt(
        &self,
        call: &Call,
        part: Part,
        ctx: &Context,
        attempt: &mut Attempt,
    ) -> Result<RawJson, WebUiError> {
        let Renderer {
            webui,
            health,
            left_running,
            attempt_timeout: limit,
            ..
        } = &*self.renderer;
        let mut follower = self.renderer.reporter.follow(webui, call, part, ctx);
        let mut stall = Stall::new(self.renderer.stall_after);
        // Stays set if this future is dropped, too: then the render goes on without us.
        left_running.store(true, Ordering::Release);
        let mut post = std::pin::pin!(webui.render(call));
        let cut = tokio::select! {
            biased;
            answer = &mut post => {
                // What begins to be answered has run.
                attempt.seen_running = follower.seen_running() || answer.is_ok();
                left_running.store(is_lost(&answer), Ordering::Release);
                let Rendered { answer, after, is_brief } = answer?;
                let answer = answer?;
                if is_brief {
                    attempt.was_brief(&self.renderer);
                }
                if let Some(after) = after {
                    attempt.is_over(&self.renderer, &after);
                    if let Some(how) = follower.cut_short(&after) {
                        return Err(WebUiError::CutShort { how, seen: follower.last_seen() });
                    }
                }
                follower.finished();
                return Ok(answer);
            }
            reason = ctx.cancelled() => Cut::Cancelled(reason),
            () = sleep(*limit) => Cut::TooSlow,
            () = follower.report(&mut stall) => Cut::Stalled,
        };
        // The next job may be taken as soon as this returns, so it waits for the GPU, or leaves it to others to
        // free it before they let anybody have it.
        let patience = INTERRUPT_PATIENCE.min(self.renderer.interrupt_patience);
        let stopped = timeout(patience, interrupt::interrupt_until_returned(webui, post)).await;
        match &stopped {
            Ok(stopped) => {
                left_running.store(is_lost(&stopped.output), Ordering::Release);
                if let Some(after) = &stopped.after {
                    attempt.is_over(&self.renderer, after);
                }
                if matches!(cut, Cut::Stalled) {
                    health.report(Symptom::Stalled);
                }
            }
            Err(_) => {
                left_running.store(false, Ordering::Release);
                health.report(Symptom::Stuck);
            }
        }
        match cut {
            Cut::Cancelled(reason) => Err(WebUiError::Interrupted(reason)),
            Cut::TooSlow | Cut::Stalled => {
                if let Ok(interrupt::Stopped {
                    output:
                        Ok(Rendered {
                            answer: Ok(answer), ..
                        }),
                    after: Some(after),
                }) = stopped
                    && !after.is_rendering()
                    && follower.cut_short(&after).is_none()
                {
                    // It was done just before the interrupt came.
                    follower.finished();
                    return Ok(answer);
                }
                let seen = follower.last_seen();
                Err(match cut {
                    Cut::Stalled => WebUiError::Stalled {
                        after: self.renderer.stall_after,
                        seen,
                    },
                    _ => WebUiError::TooSlow { limit: *limit, seen },
                })
            }
        }
    }
}

fn is_lost(output: &Result<Rendered, WebUiError>) -> bool {
    let error = match output {
        Ok(rendered) => rendered.answer.as_ref().err(),
        Err(error) => Some(error),
    };
    matches!(error, Some(WebUiError::Lost { .. }))
}

/// `work`, unless the job is cancelled first.
pub(crate) async fn unless_cancelled<F: Future>(ctx: &Context, work: F) -> Result<F::Output, WebUiError> {
    tokio::select! {
        biased;
        done = work => Ok(done),
        reason = ctx.cancelled() => Err(WebUiError::Interrupted(reason)),
    }
}
