//! Tells the worker's own render from those of other clients of the WebUI.
//!
//! Progress and interrupt are about the render in progress. Requests are rendered in the order in
//! which they came (`docs/protocol/webui-api.md` §1). So a render that ran when the worker's request was sent belongs to
//! another client, and the worker's own begins after it. Nothing here sends a request: it judges by what was seen.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::progress::{Position, Progress};

/// The resolution of the times at which jobs begin.
const ONE_SECOND: Duration = Duration::from_secs(1);

/// The worker's own render, as far as it may still run. The worker has one at a time.
#[derive(Debug, Default)]
pub(crate) struct OwnRender {
    sent: Mutex<Option<SentRender>>,
}

/// What progress says of a render if it is the one that was asked for. `None` where the request does not decide it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ExpectedJob {
    /// The batches, as the WebUI counts them.
    pub(crate) batches: Option<i64>,
    /// The steps of each batch.
    pub(crate) steps: Option<i64>,
}

/// Whose render progress reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RenderOwner {
    /// Nothing renders.
    Nothing,
    /// The worker's own render.
    Worker,
    /// Another client's, and the worker's own waits behind it.
    ClientAhead,
    /// Another client's, and nothing of the worker is left.
    ClientAfter,
}

/// A job's `job_timestamp`; some forks leave it out.
type JobTime = Option<String>;

/// A request that was sent and has not returned.
#[derive(Debug)]
struct SentRender {
    expected: ExpectedJob,
    /// Another client's job that ran before it.
    ahead: Option<SeenJob>,
    /// The time of the job that is taken for the worker's own. It alone tells the job from later ones: an extension may
    /// set the position back in the middle of a job.
    own: Option<JobTime>,
}

/// A job of the WebUI, as it was seen first and last.
#[derive(Debug)]
struct SeenJob {
    timestamp: JobTime,
    first_seen: Instant,
    last_seen: Instant,
    position: Position,
}

impl OwnRender {
    /// A request is sent. `before` is what was seen just before, if anything was.
    pub(crate) fn begin(&self, before: Option<&Progress>, expected: ExpectedJob) {
        self.begin_at(before, expected, Instant::now());
    }

    /// The request has returned, or its render is not waited for any more.
    pub(crate) fn end(&self) {
        *self.sent.lock() = None;
    }

    /// Whether a request was sent that has not returned.
    pub(crate) fn may_run(&self) -> bool {
        self.sent.lock().is_some()
    }

    /// Whether another client's render was ahead when progress was seen last.
    pub(crate) fn is_behind_another(&self) -> bool {
        self.sent.lock().as_ref().is_some_and(|sent| sent.ahead.is_some())
    }

    /// Whose render `seen` reports.
    pub(crate) fn owner(&self, seen: &Progress) -> RenderOwner {
        self.owner_at(seen, Instant::now())
    }

    fn begin_at(&self, before: Option<&Progress>, expected: ExpectedJob, now: Instant) {
        // A failed upscaling leaves the appearance of a finished render behind (§7).
        // Without times of jobs nothing tells the next job from it.
        let ahead = before.filter(|seen| {
            seen.is_rendering() && !seen.state.is_over() && seen.state.job_timestamp.is_some()
        });
        *self.sent.lock() = Some(SentRender {
            expected,
            ahead: ahead.map(|seen| SeenJob::new(seen, now)),
            own: None,
        });
    }

    fn owner_at(&self, seen: &Progress, now: Instant) -> RenderOwner {
        let mut sent = self.sent.lock();
        let Some(sent) = sent.as_mut() else {
            return if seen.is_rendering() {
                RenderOwner::ClientAfter
            } else {
                RenderOwner::Nothing
            };
        };
        if !seen.is_rendering() {
            // The one ahead is over.
            sent.ahead = None;
            return RenderOwner::Nothing;
        }
        if let Some(own) = &sent.own {
            return if *own == seen.state.job_timestamp {
                RenderOwner::Worker
            } else {
                RenderOwner::ClientAfter
            };
        }
        if let Some(ahead) = &mut sent.ahead {
            if ahead.is_still(seen, now) {
                return RenderOwner::ClientAhead;
            }
            if !sent.expected.fits(seen) {
                // Another request waited before the worker's.
                *ahead = SeenJob::new(seen, now);
                return RenderOwner::ClientAhead;
            }
            sent.ahead = None;
        }
        sent.own = Some(seen.state.job_timestamp.clone());
        RenderOwner::Worker
    }
}

impl ExpectedJob {
    fn fits(self, seen: &Progress) -> bool {
        let state = &seen.state;
        let batches = self
            .batches
            .is_none_or(|batches| state.job_count <= 0 || state.job_count == batches);
        let steps = self
            .steps
            .is_none_or(|steps| !state.is_sampling() || state.sampling_steps == steps);
        batches && steps
    }
}

impl SeenJob {
    fn new(seen: &Progress, now: Instant) -> Self {
        Self {
            timestamp: seen.state.job_timestamp.clone(),
            first_seen: now,
            last_seen: now,
            position: seen.state.position(),
        }
    }

    /// Whether `seen` reports this job, and not the next one.
    fn is_still(&mut self, seen: &Progress, now: Instant) -> bool {
        // A job that begins more than a second after this one has another time. Within that second a position that
        // goes back shows that another job has begun.
        let may_share_its_second = self.last_seen.duration_since(self.first_seen) <= ONE_SECOND;
        let position = seen.state.position();
        let is_still = self.timestamp == seen.state.job_timestamp
            && (!may_share_its_second || position >= self.position);
        if is_still {
            self.last_seen = now;
            self.position = position;
        }
        is_still
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const THEIRS: &str = "20260101000000";
    const LATER: &str = "20260101000009";

    fn rendering(timestamp: &str, step: i64) -> Progress {
        of(
            &json!({ "job_count": 1, "job_timestamp": timestamp, "sampling_step": step, "sampling_steps": 20 }),
        )
    }

    fn idle() -> Progress {
        of(&json!({ "job_count": 0, "job_timestamp": THEIRS }))
    }

    fn of(state: &Value) -> Progress {
        serde_json::from_value(json!({ "state": state })).unwrap()
    }

    fn sent(before: &Progress) -> (OwnRender, Instant) {
        let (own, now) = (OwnRender::default(), Instant::now());
        own.begin_at(Some(before), ExpectedJob::default(), now);
        (own, now)
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn what_renders_after_a_request_to_an_idle_webui_is_the_worker_s() {
        let (own, now) = sent(&idle());
        assert_eq!(own.owner_at(&rendering(LATER, 3), now), RenderOwner::Worker);
        assert_eq!(own.owner_at(&idle(), now), RenderOwner::Nothing);
        assert!(own.may_run());
    }

    #[test]
    fn what_ran_before_the_request_is_another_client_s_until_the_next_job_begins() {
        let (own, now) = sent(&rendering(THEIRS, 3));
        assert!(own.is_behind_another());
        for step in [3, 9, 1] {
            // An extension may set the step back in the middle of a job.
            let later = now + seconds(u64::from(step == 9) * 5 + u64::from(step == 1) * 10);
            assert_eq!(
                own.owner_at(&rendering(THEIRS, step), later),
                RenderOwner::ClientAhead
            );
        }
        let next = now + seconds(11);
        assert_eq!(own.owner_at(&rendering(LATER, 0), next), RenderOwner::Worker);
        assert!(!own.is_behind_another());
    }

    #[test]
    fn a_job_that_begins_in_the_same_second_is_known_by_its_position() {
        let (own, now) = sent(&rendering(THEIRS, 3));
        assert_eq!(own.owner_at(&rendering(THEIRS, 4), now), RenderOwner::ClientAhead);
        assert_eq!(own.owner_at(&rendering(THEIRS, 0), now), RenderOwner::Worker);
        assert_eq!(own.owner_at(&rendering(THEIRS, 4), now), RenderOwner::Worker);
    }

    #[test]
    fn an_idle_moment_ends_the_wait_behind_another_client() {
        let (own, now) = sent(&rendering(THEIRS, 3));
        assert_eq!(own.owner_at(&idle(), now), RenderOwner::Nothing);
        assert_eq!(own.owner_at(&rendering(THEIRS, 5), now), RenderOwner::Worker);
    }

    #[test]
    fn a_second_client_ahead_is_known_by_its_batches_and_steps() {
        let now = Instant::now();
        for expected in [
            ExpectedJob {
                batches: Some(4),
                steps: None,
            },
            ExpectedJob {
                batches: None,
                steps: Some(25),
            },
        ] {
            let own = OwnRender::default();
            own.begin_at(Some(&rendering(THEIRS, 3)), expected, now);
            assert_eq!(own.owner_at(&rendering(LATER, 1), now), RenderOwner::ClientAhead);
            let ours = of(&json!({
                "job_count": expected.batches.unwrap_or(1), "job_timestamp": "20260101000019",
                "sampling_step": 2, "sampling_steps": expected.steps.unwrap_or(20),
            }));
            assert_eq!(own.owner_at(&ours, now), RenderOwner::Worker);
        }
    }

    #[test]
    fn what_begins_after_the_worker_s_own_render_is_another_client_s() {
        let (own, now) = sent(&idle());
        assert_eq!(own.owner_at(&rendering(THEIRS, 3), now), RenderOwner::Worker);
        let later = now + seconds(9);
        assert_eq!(
            own.owner_at(&rendering(LATER, 0), later),
            RenderOwner::ClientAfter
        );
        own.end();
        assert!(!own.may_run());
        assert_eq!(
            own.owner_at(&rendering(LATER, 1), later),
            RenderOwner::ClientAfter
        );
    }

    #[test]
    fn without_times_of_jobs_every_render_counts_as_the_worker_s() {
        let untimed = of(&json!({ "job_count": 1 }));
        let (own, now) = sent(&untimed);
        assert!(!own.is_behind_another());
        assert_eq!(own.owner_at(&untimed, now), RenderOwner::Worker);
    }

    #[test]
    fn the_remains_of_a_failed_upscaling_are_no_client_ahead() {
        let remains = of(&json!({ "job_count": 1, "job_no": 1, "job_timestamp": THEIRS }));
        assert!(!sent(&remains).0.is_behind_another());
    }
}
