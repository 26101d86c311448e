//! One attempt at a render: one request, followed until it is answered or interrupted.

use std::pin::Pin;
use std::time::{Duration, Instant};

use runpod_sdk::context::CancelReason;
use runpod_sdk::json::RawJson;
use tokio::time::{sleep, timeout};
use tracing::info;

use super::error::RenderError;
use super::jobs::RenderJobs;
use super::lease::GpuLease;
use super::lost_request::{JobBefore, LostRequest};
use super::part::JobPart;
use super::progress::Follower;
use super::stall::StallDetector;
use super::{Renderer, retry};
use crate::cancelled::Cancelled;
use crate::supervisor::Symptom;
use crate::webui::{
    Call, Progress, Rendered, Stopped, WebUi, WebUiError, interrupt_until_returned, wait_behind_another,
};

/// How long an interrupted render may take to stop before the supervisor sees to it. Shorter than the grace of a
/// cancelled job.
const INTERRUPT_PATIENCE: Duration = Duration::from_secs(5);

type Answered = Result<Rendered, WebUiError>;
/// A request in flight.
type Post = Pin<Box<dyn Future<Output = Answered> + Send>>;

/// One request, and the facts that are needed if its answer is lost.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) generation: u64,
    pub(super) before: JobBefore,
    /// What a probe saw just before; `None` if there was none.
    seen_before: Option<Progress>,
    pub(super) began: Instant,
    /// The render was seen to run, or its answer to begin.
    pub(super) seen_running: bool,
    /// The render was seen to have ended by itself.
    pub(super) seen_over: bool,
}

/// How often a request that waits behind another client's render is looked after.
const WAIT_PROBE: Duration = Duration::from_millis(500);

/// Why a render is not waited for any longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Interruption {
    Cancelled(CancelReason),
    /// The worker's own render has taken too long.
    TooSlow,
    /// Another client's render was ahead for too long.
    Behind,
    Stalled,
}

/// Waits until the time of an attempt is up. The time behind another client's render does not count, and has the same
/// limit of its own.
async fn time_is_up<F: Future<Output = bool>>(
    limit: Duration,
    mut is_behind: impl FnMut() -> F,
) -> Interruption {
    let another = async {
        while is_behind().await {
            sleep(WAIT_PROBE).await;
        }
    };
    if timeout(limit, another).await.is_err() {
        return Interruption::Behind;
    }
    sleep(limit).await;
    Interruption::TooSlow
}

impl Attempt {
    /// Notes the WebUI's last job, and whether another client's render runs. The WebUI is probed unless it was seen just
    /// before, as it is when jobs follow each other.
    pub(super) async fn begin(renderer: &Renderer, jobs: &RenderJobs) -> Result<Self, Cancelled> {
        let generation = renderer.health.generation();
        let memory = &renderer.memory;
        let mut seen_before = None;
        if !memory.is_fresh(generation, Instant::now()) {
            seen_before = jobs.unless_cancelled(renderer.webui.probe()).await?;
            if let Some(seen) = &seen_before {
                memory.set(generation, seen.state.job_timestamp.clone());
            }
        }
        let before = memory.take(generation).unwrap_or_else(JobBefore::unseen);
        Ok(Self {
            generation,
            before,
            seen_before,
            began: Instant::now(),
            seen_running: false,
            seen_over: false,
        })
    }

    /// The request, if its answer is lost.
    pub(super) fn request(&self) -> LostRequest<'_> {
        LostRequest {
            before: &self.before,
            sent_at: self.began,
            seen_running: self.seen_running,
        }
    }

    /// Whether a render was running before the request that nothing tells from the one that `seen` reports: this WebUI
    /// gives no times of jobs.
    pub(super) fn ran_before(&self, seen: &Progress) -> bool {
        let ran = self.seen_before.as_ref().is_some_and(Progress::is_rendering);
        ran && seen.state.job_timestamp.is_none()
    }

    /// Notes what was seen after the answer. It tells the next render from this one.
    pub(super) fn note_end(&mut self, renderer: &Renderer, after: &Progress) {
        if !after.is_rendering() {
            self.seen_over = true;
            renderer
                .memory
                .set(self.generation, after.state.job_timestamp.clone());
        }
    }

    /// Notes that the render was too brief to be probed. If the next one is lost, it looks like this one.
    fn note_brief_end(&mut self, renderer: &Renderer) {
        self.seen_over = true;
        renderer.memory.set(self.generation, None);
    }
}

impl GpuLease {
    /// Sends the request once, and waits until it is answered or has to be interrupted.
    pub(super) async fn attempt(
        &mut self,
        call: &Call,
        part: JobPart,
        jobs: &RenderJobs,
        attempt: &mut Attempt,
    ) -> Result<RawJson, RenderError> {
        let renderer = self.renderer.clone();
        let renderer = &*renderer;
        let mut follower = renderer.reporter.follow(&renderer.webui, call, part, jobs);
        let mut stall = StallDetector::new(renderer.stall_after);
        // It does not end if this future is dropped: then the render goes on without a request.
        renderer
            .webui
            .own_render()
            .begin(attempt.seen_before.as_ref(), follower.expected_job());
        let mut post = request(renderer.webui.clone(), call.clone());
        let is_behind = || renderer.webui.is_behind_another();
        let interruption = tokio::select! {
            biased;
            answer = &mut post => return answered(renderer, call, attempt, follower, answer),
            reason = jobs.cancelled() => Interruption::Cancelled(reason),
            interruption = time_is_up(renderer.attempt_timeout, is_behind) => interruption,
            () = follower.report(&mut stall) => Interruption::Stalled,
        };
        let stopped = if renderer.webui.is_behind_another().await {
            self.leave_behind(post);
            None
        } else {
            interrupt(renderer, attempt, interruption, post.as_mut()).await
        };
        match interruption {
            Interruption::Cancelled(reason) => Err(Cancelled(reason).into()),
            _ => match whole_answer(call, stopped, &follower) {
                Some(answer) => {
                    follower.finished();
                    Ok(answer)
                }
                None => Err(interrupted(renderer, interruption, &follower)),
            },
        }
    }

    /// Gives up a request that waits behind another client's render, which is left alone. The request cannot be taken
    /// back, so its render is interrupted when it begins. The GPU is leased until then.
    fn leave_behind(&mut self, mut post: Post) {
        info!("the request waits behind another client's render, and is interrupted when its own begins");
        let renderer = self.renderer.clone();
        let permit = self.permit.take();
        tokio::spawn(async move {
            let returned = wait_behind_another(&renderer.webui, post.as_mut()).await;
            let is_over = match returned {
                Some(answer) => !may_render_on(&answer),
                None => stop(&renderer, post.as_mut())
                    .await
                    .is_some_and(|stopped| !may_render_on(&stopped.output)),
            };
            if is_over {
                renderer.webui.own_render().end();
            }
            drop(permit);
        });
    }
}

/// Sends the request.
fn request(webui: WebUi, call: Call) -> Post {
    Box::pin(async move { webui.send_and_probe(&call).await })
}

/// The request was answered, or failed.
fn answered(
    renderer: &Renderer,
    call: &Call,
    attempt: &mut Attempt,
    follower: Follower<'_>,
    answer: Answered,
) -> Result<RawJson, RenderError> {
    // A render whose answer begins has run.
    attempt.seen_running = follower.seen_running() || answer.is_ok();
    if !may_render_on(&answer) {
        renderer.webui.own_render().end();
    }
    let Rendered {
        answer,
        after,
        is_brief,
    } = answer?;
    let answer = answer?;
    let empty = call.require_pictures(&answer, after.as_ref());
    if is_brief {
        attempt.note_brief_end(renderer);
    }
    if let Some(after) = after {
        attempt.note_end(renderer, &after);
        // Without pictures, an interrupted state is no evidence of another client: SD.Next has it after each failure.
        if empty.is_ok()
            && let Some(how) = follower.signs().cut_short(&after)
        {
            let seen = follower.last_seen();
            return Err(RenderError::CutShort { how, seen });
        }
    }
    empty?;
    follower.finished();
    Ok(answer)
}

/// Interrupts the render until its request returns. `None` if it does not stop.
///
/// The next job may be taken as soon as the attempt returns. So the GPU is free then, or the supervisor frees it before
/// it is leased again.
async fn interrupt(
    renderer: &Renderer,
    attempt: &mut Attempt,
    interruption: Interruption,
    post: Pin<&mut (dyn Future<Output = Answered> + Send)>,
) -> Option<Stopped<Answered>> {
    let stopped = stop(renderer, post).await?;
    if !may_render_on(&stopped.output) {
        renderer.webui.own_render().end();
    }
    if let Some(after) = &stopped.after {
        attempt.note_end(renderer, after);
    }
    if matches!(interruption, Interruption::Stalled) {
        renderer.health.report(Symptom::Stalled);
    }
    Some(stopped)
}

/// Interrupts the render until its request returns. If it does not stop in time, the supervisor sees to it.
async fn stop(
    renderer: &Renderer,
    post: Pin<&mut (dyn Future<Output = Answered> + Send)>,
) -> Option<Stopped<Answered>> {
    let patience = INTERRUPT_PATIENCE.min(renderer.interrupt_patience);
    let stopping = interrupt_until_returned(&renderer.webui, post);
    let stopped = timeout(patience, stopping).await.ok();
    if stopped.is_none() {
        renderer.health.report(Symptom::Stuck);
    }
    stopped
}

/// The answer of a render that was done just before its interrupt arrived.
fn whole_answer(call: &Call, stopped: Option<Stopped<Answered>>, follower: &Follower<'_>) -> Option<RawJson> {
    let Stopped { output, after } = stopped?;
    let after = after?;
    let answer = output.ok()?.answer.ok()?;
    let is_whole = !after.is_rendering() && follower.signs().cut_short(&after).is_none();
    (is_whole && call.require_pictures(&answer, None).is_ok()).then_some(answer)
}

fn interrupted(renderer: &Renderer, interruption: Interruption, follower: &Follower<'_>) -> RenderError {
    let seen = follower.last_seen();
    match interruption {
        Interruption::Stalled => RenderError::Stalled {
            after: renderer.stall_after,
            seen,
        },
        Interruption::Behind => RenderError::Behind {
            limit: renderer.attempt_timeout,
        },
        _ => RenderError::TooSlow {
            limit: renderer.attempt_timeout,
            seen,
        },
    }
}

/// Whether the render may still run: the connection broke, or a proxy has given it up.
fn may_render_on(answer: &Answered) -> bool {
    let error = match answer {
        Ok(rendered) => rendered.answer.as_ref().err(),
        Err(error) => Some(error),
    };
    error.is_some_and(|error| matches!(error, WebUiError::Lost { .. }) || retry::needs_a_probe(error))
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    /// The end of an attempt of `LIMIT`, and its time, where another client's render is ahead for `others`.
    async fn end_behind(others: Duration) -> (Interruption, Duration) {
        let began = Instant::now();
        let end = time_is_up(LIMIT, || async { began.elapsed() < others }).await;
        (end, began.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_behind_another_client_s_render_is_not_that_of_the_job_s_own() {
        let seconds = Duration::from_secs;
        assert_eq!(end_behind(seconds(0)).await, (Interruption::TooSlow, LIMIT));
        assert_eq!(end_behind(seconds(9)).await, (Interruption::TooSlow, seconds(19)));
        assert_eq!(end_behind(seconds(60)).await, (Interruption::Behind, LIMIT));
    }
}
