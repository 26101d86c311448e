//! The lease of the GPU, and the renders that a job makes with it.

use std::sync::Arc;

use runpod_sdk::json::RawJson;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::sleep;
use tracing::{debug, warn};

use super::attempt::Attempt;
use super::error::RenderError;
use super::jobs::RenderJobs;
use super::lost_request::LostRequestState;
use super::part::JobPart;
use super::settings_guard::Restoration;
use super::{Renderer, retry};
use crate::cancelled::Cancelled;
use crate::webui::{Call, WebUiError};

/// The right to use the GPU. It ends when it is dropped.
#[derive(Debug)]
pub(crate) struct GpuLease {
    pub(super) renderer: Arc<Renderer>,
    pub(super) permit: Option<OwnedSemaphorePermit>,
    verified_complete: bool,
}

/// A render's answer.
#[derive(Debug)]
pub(crate) struct FinishedRender {
    pub(crate) answer: RawJson,
    /// The WebUI has said that the render came to its own end. Otherwise nothing is known.
    pub(crate) verified_complete: bool,
}

/// What follows a failed attempt.
enum AfterFailure {
    SendAgain,
    Fail,
}

impl GpuLease {
    pub(super) fn new(renderer: Arc<Renderer>, permit: OwnedSemaphorePermit) -> Self {
        Self {
            renderer,
            permit: Some(permit),
            verified_complete: false,
        }
    }

    /// Renders. A failed attempt is repeated if nothing can have come of it, and never while it may still run.
    pub(crate) async fn render(
        mut self,
        call: &Call,
        jobs: &RenderJobs,
    ) -> Result<FinishedRender, RenderError> {
        let answer = self.render_part(call, JobPart::WHOLE, jobs).await?;
        Ok(FinishedRender {
            answer,
            verified_complete: self.verified_complete,
        })
    }

    /// Renders one part of a job like [`render`](Self::render), and keeps the GPU for the next part unless the WebUI
    /// has to be recovered between them. The lease is over after an error.
    pub(crate) async fn render_part(
        &mut self,
        call: &Call,
        part: JobPart,
        jobs: &RenderJobs,
    ) -> Result<RawJson, RenderError> {
        if let Some(reason) = jobs.cancel_reason() {
            return Err(Cancelled(reason).into());
        }
        if !part.is_first() && !self.renderer.health.is_well() {
            self.renew(jobs).await?;
        }
        let mark = self.renderer.health.log_mark();
        let mut answer = self.render_guarded(call, part, jobs).await;
        if let Err(RenderError::WebUi(error)) = &mut answer
            && error.is_unexplained()
            && let Some(logged) = self.renderer.health.logged_exception(mark).await
        {
            error.explain_by(logged.class, &logged.text, call);
        }
        match &answer {
            Ok(_) => self.renderer.health.render_worked(),
            Err(RenderError::WebUi(error)) if jobs.are_several() => {
                self.renderer.health.diagnose_batch(error);
            }
            Err(RenderError::WebUi(error)) => self.renderer.health.diagnose(error),
            Err(_) => {}
        }
        answer
    }

    /// Renders with the request's settings kept from staying, and with its changes counted.
    async fn render_guarded(
        &mut self,
        call: &Call,
        part: JobPart,
        jobs: &RenderJobs,
    ) -> Result<RawJson, RenderError> {
        let renderer = self.renderer.clone();
        let generation = renderer.health.generation();
        let pinned = renderer.guard.pin(&renderer.webui, call, generation);
        let restoration = jobs.unless_cancelled(pinned).await?;
        let changes = renderer.changes.as_ref();
        let change = changes.and_then(|changes| changes.made_by(call, restoration));
        let answer = self.render_with_retries(call, part, jobs).await;
        // What is not settled now, such as after a cancelled job, is settled before the next render.
        if restoration == Restoration::Unproven && has_answered(&answer) {
            let settled = renderer.guard.settle(&renderer.webui, generation);
            let is_restored = jobs.unless_cancelled(settled).await.unwrap_or(false);
            if let Some(change) = change.filter(|_| is_restored) {
                change.undone();
            }
        }
        answer
    }

    async fn render_with_retries(
        &mut self,
        call: &Call,
        part: JobPart,
        jobs: &RenderJobs,
    ) -> Result<RawJson, RenderError> {
        let mut waits = retry::waits(self.renderer.retry_wait, self.renderer.retries);
        let mut has_died = false;
        loop {
            let mut attempt = Attempt::begin(&self.renderer, jobs).await?;
            let error = match self.attempt(call, part, jobs, &mut attempt).await {
                Ok(answer) => {
                    self.verified_complete = attempt.seen_over;
                    return Ok(answer);
                }
                Err(RenderError::WebUi(error)) => error,
                Err(error) => return Err(error),
            };
            match self.after_failure(jobs, attempt, &error, &mut has_died).await? {
                AfterFailure::SendAgain => self.renderer.webui.own_render().end(),
                AfterFailure::Fail => return Err(error.into()),
            }
            let Some(wait) = waits.next() else {
                return Err(error.into());
            };
            if jobs.time_left().is_some_and(|left| left <= wait) {
                debug!("no time left for another attempt");
                return Err(error.into());
            }
            warn!(%error, ?wait, "the WebUI did not take the request; trying again");
            jobs.unless_cancelled(sleep(wait)).await?;
        }
    }

    /// Decides what follows an attempt that failed with `error`. Finds out first what became of its render, if it may
    /// have begun.
    async fn after_failure(
        &mut self,
        jobs: &RenderJobs,
        mut attempt: Attempt,
        error: &WebUiError,
        has_died: &mut bool,
    ) -> Result<AfterFailure, RenderError> {
        let state = if retry::may_hide_a_render(error, attempt.seen_running) {
            jobs.unless_cancelled(self.lost_request_state(&attempt)).await?
        } else if retry::needs_a_probe(error) {
            jobs.unless_cancelled(self.state_behind_a_proxy(&mut attempt))
                .await?
        } else if retry::may_repeat(error) {
            return Ok(AfterFailure::SendAgain);
        } else {
            return Ok(AfterFailure::Fail);
        };
        if !matches!(state, LostRequestState::NeverBegan | LostRequestState::Unknown)
            || !retry::may_repeat(error)
        {
            warn!(%error, ?state, "an answer was lost");
        }
        let again = match state {
            // A second render would take the GPU twice for one job. The next lease interrupts what still renders.
            LostRequestState::Running | LostRequestState::Over => return Err(error.to_lost().into()),
            // Sent once more after a death, and then no more: a request that kills the process would kill every
            // next one.
            LostRequestState::NeverBegan if !*has_died => true,
            LostRequestState::Gone if !*has_died && !attempt.seen_running => {
                *has_died = true;
                self.renew(jobs).await?;
                true
            }
            LostRequestState::NeverBegan | LostRequestState::Gone => {
                // The request may have had its run on the GPU, and nothing of that is left.
                self.renderer.webui.own_render().end();
                return Err(error.to_lost().into());
            }
            LostRequestState::Unknown => retry::may_repeat(error),
        };
        Ok(if again {
            AfterFailure::SendAgain
        } else {
            AfterFailure::Fail
        })
    }

    /// Gives the GPU back until the WebUI is well.
    async fn renew(&mut self, jobs: &RenderJobs) -> Result<(), RenderError> {
        self.renderer.webui.own_render().end();
        self.permit = None;
        self.permit = Some(jobs.unless_cancelled(self.renderer.free_gpu()).await??);
        Ok(())
    }
}

/// Whether the WebUI has answered, so that it can be asked.
fn has_answered(answer: &Result<RawJson, RenderError>) -> bool {
    match answer {
        Ok(_) => true,
        Err(RenderError::WebUi(error)) => {
            error.status().is_some() || matches!(error, WebUiError::NoPictures { .. })
        }
        Err(_) => false,
    }
}
