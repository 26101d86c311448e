//! Finds out what became of a request whose answer was lost.

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::time::sleep;
use tracing::debug;

use super::attempt::Attempt;
use super::lease::GpuLease;
use super::lost_request::{JobBefore, LostRequestState};
use super::{Renderer, retry};
use crate::supervisor::Symptom;
use crate::webui::RenderOwner;

/// A process that dies closes its connections a moment before its exit is known.
const DEATH_NOTICE: Duration = Duration::from_secs(1);
/// How long a WebUI that the worker does not own is probed until it answers.
const PROBE_FOR: Duration = Duration::from_secs(30);
/// The time between two of these probes.
const PROBE_INTERVAL: Duration = Duration::from_millis(500);

/// How long the sight of an idle WebUI counts. Another client's render may begin later.
const FRESH: Duration = Duration::from_millis(250);

/// The WebUI's last job, as far as it is known.
#[derive(Debug, Default)]
pub(super) struct JobMemory {
    last: Mutex<Option<KnownJob>>,
}

#[derive(Debug)]
struct KnownJob {
    /// The number of the process that ran it.
    generation: u64,
    before: JobBefore,
    /// When it was seen last.
    confirmed_at: Instant,
    /// No request was sent since it was seen.
    is_current: bool,
}

impl JobMemory {
    /// Whether the WebUI was seen so shortly before that no probe is needed.
    pub(super) fn is_fresh(&self, generation: u64, now: Instant) -> bool {
        self.last.lock().as_ref().is_some_and(|known| {
            known.generation == generation
                && known.is_current
                && now.duration_since(known.confirmed_at) < FRESH
        })
    }

    /// The last job before a request is sent, if it is known. It counts as unknown from then on, until the request's
    /// end is seen.
    pub(super) fn take(&self, generation: u64) -> Option<JobBefore> {
        let mut last = self.last.lock();
        let known = last
            .as_mut()
            .filter(|known| known.generation == generation && known.is_current)?;
        known.is_current = false;
        Some(known.before.clone())
    }

    /// Notes that no job runs, and when the last one began.
    pub(super) fn set(&self, generation: u64, timestamp: Option<String>) -> JobBefore {
        let mut last = self.last.lock();
        // If it is the same job as before, the time of the first sight counts.
        let seen_at = last
            .as_ref()
            .filter(|known| {
                known.generation == generation && timestamp.is_some() && known.before.timestamp == timestamp
            })
            .map_or_else(Instant::now, |known| known.before.seen_at);
        let before = JobBefore { timestamp, seen_at };
        *last = Some(KnownJob {
            generation,
            before: before.clone(),
            confirmed_at: Instant::now(),
            is_current: true,
        });
        before
    }
}

impl GpuLease {
    /// Probes what became of a request that got no answer, until the WebUI can be seen.
    pub(super) async fn lost_request_state(&self, attempt: &Attempt) -> LostRequestState {
        let Renderer {
            webui,
            health,
            memory,
            ..
        } = &*self.renderer;
        // The death of an owned process is known by then, and the supervisor is at work.
        if health.owns_process() && tokio::time::timeout(DEATH_NOTICE, health.ill()).await.is_ok() {
            return LostRequestState::Gone;
        }
        let request = attempt.request();
        let started = Instant::now();
        while started.elapsed() < PROBE_FOR {
            if health.generation() != attempt.generation || !health.is_well() {
                return LostRequestState::Gone;
            }
            match webui.progress().await {
                Ok(now) => {
                    let state = request.state(&now);
                    if state != LostRequestState::Running {
                        memory.set(attempt.generation, now.state.job_timestamp);
                    }
                    return state;
                }
                // Nothing can be known while the WebUI cannot be reached.
                Err(error) if retry::is_about_the_connection(&error) => {
                    debug!(%error, "can't see what became of the render");
                }
                Err(error) => {
                    debug!(%error, "can't see what became of the render");
                    return LostRequestState::Unknown;
                }
            }
            sleep(PROBE_INTERVAL).await;
        }
        health.report(Symptom::Silent);
        LostRequestState::Unknown
    }

    /// Finds out what became of a request that a proxy gave up, of which nothing was seen. Waits while another client's
    /// render is ahead of it.
    pub(super) async fn state_behind_a_proxy(&self, attempt: &mut Attempt) -> LostRequestState {
        let webui = &self.renderer.webui;
        let started = Instant::now();
        while started.elapsed() < self.renderer.attempt_timeout {
            let seen = match webui.progress().await {
                Ok(seen) => seen,
                Err(error) => {
                    debug!(%error, "can't see what became of the render");
                    return LostRequestState::Unknown;
                }
            };
            match webui.own_render().owner(&seen) {
                RenderOwner::Worker if !attempt.ran_before(&seen) => return LostRequestState::Running,
                RenderOwner::Worker | RenderOwner::ClientAhead => {}
                RenderOwner::ClientAfter => return LostRequestState::Over,
                RenderOwner::Nothing => {
                    let state = attempt.request().state(&seen);
                    attempt.note_end(&self.renderer, &seen);
                    return state;
                }
            }
            sleep(PROBE_INTERVAL).await;
        }
        LostRequestState::Running
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_of_one_process_says_nothing_of_the_next() {
        let memory = JobMemory::default();
        assert_eq!(memory.take(1), None);
        let known = memory.set(1, Some("0".to_owned()));
        assert_eq!(memory.take(2), None);
        assert_eq!(memory.take(1), Some(known));
    }

    #[test]
    fn the_sight_of_an_idle_webui_is_fresh_for_a_moment_and_one_request() {
        let memory = JobMemory::default();
        let now = Instant::now();
        assert!(!memory.is_fresh(1, now));
        memory.set(1, None);
        assert!(memory.is_fresh(1, now));
        assert!(!memory.is_fresh(2, now));
        assert!(!memory.is_fresh(1, now + FRESH * 2));
        memory.take(1);
        assert!(!memory.is_fresh(1, now));
    }

    #[test]
    fn what_is_known_holds_for_one_request_and_then_has_to_be_seen_again() {
        let memory = JobMemory::default();
        let known = memory.set(1, Some("20260101000000".to_owned()));
        assert_eq!(memory.take(1), Some(known.clone()));
        assert_eq!(memory.take(1), None, "it may have begun a job");
        assert_eq!(
            memory.set(1, Some("20260101000000".to_owned())),
            known,
            "it has not, and this has been known for as long as before"
        );
        assert_ne!(
            memory.set(2, Some("20260101000000".to_owned())).seen_at,
            known.seen_at
        );
    }
}
