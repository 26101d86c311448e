//! A request whose answer was lost: finding out what became of it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use runpod_sdk::Context;
use tokio::time::sleep;
use tracing::debug;

use super::error::WebUiError;
use super::fate::{Before, Fate, LostRequest};
use super::progress::Progress;
use super::render::{Renderer, Turn, unless_cancelled};
use super::retry;
use crate::health::Symptom;

/// A process that dies closes its connections a moment before its end is known.
const DEATH_NOTICE: Duration = Duration::from_secs(1);
/// For a WebUI that is not ours to be seen again.
const LOOK_FOR: Duration = Duration::from_secs(30);
/// Between two looks at a WebUI whose answer was lost.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// What is known of the jobs that the WebUI had before.
#[derive(Debug, Default)]
pub(super) struct Memory {
    last: Mutex<Option<Known>>,
}

#[derive(Debug)]
struct Known {
    /// Of which process.
    generation: u64,
    before: Before,
    /// Nothing has been sent since.
    is_news: bool,
}

impl Memory {
    /// What is known for sure before a request is sent, if there is anything. From then on it no longer is, until the
    /// request's end was seen.
    fn take(&self, generation: u64) -> Option<Before> {
        let mut last = self.lock();
        let known = last
            .as_mut()
            .filter(|known| known.generation == generation && known.is_news)?;
        known.is_news = false;
        Some(known.before.clone())
    }

    /// No job runs, and this is when the last one began.
    fn set(&self, generation: u64, timestamp: Option<String>) -> Before {
        let mut last = self.lock();
        // The same job as before: what counts is how long it has been known.
        let seen_at = last
            .as_ref()
            .filter(|known| {
                known.generation == generation && timestamp.is_some() && known.before.timestamp == timestamp
            })
            .map_or_else(Instant::now, |known| known.before.seen_at);
        let before = Before { timestamp, seen_at };
        *last = Some(Known {
            generation,
            before: before.clone(),
            is_news: true,
        });
        before
    }

    fn lock(&self) -> MutexGuard<'_, Option<Known>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One request on its way, and what has to be known if it is lost.
#[derive(Debug)]
pub(super) struct Attempt {
    generation: u64,
    before: Before,
    began: Instant,
    /// Its render was seen to run, or its answer to begin.
    pub(super) seen_running: bool,
    /// It was seen to have come to its end.
    pub(super) seen_over: bool,
}

impl Attempt {
    /// Takes a look at the WebUI, unless it is known already: after a start, and after a render whose end was not seen.
    pub(super) async fn begin(renderer: &Renderer, ctx: &Context) -> Result<Self, WebUiError> {
        let generation = renderer.health.generation();
        let memory = &renderer.memory;
        let before = match memory.take(generation) {
            Some(before) => before,
            None => {
                if let Some(seen) = unless_cancelled(ctx, renderer.webui.look()).await? {
                    memory.set(generation, seen.state.job_timestamp);
                }
                memory.take(generation).unwrap_or_else(Before::unseen)
            }
        };
        Ok(Self {
            generation,
            before,
            began: Instant::now(),
            seen_running: false,
            seen_over: false,
        })
    }
}

impl Attempt {
    /// The render was answered, and this was seen after it: the next one is told from it by that.
    pub(super) fn is_over(&mut self, renderer: &Renderer, after: &Progress) {
        if !after.is_rendering() {
            self.seen_over = true;
            renderer
                .memory
                .set(self.generation, after.state.job_timestamp.clone());
        }
    }
}

impl Attempt {
    /// The render was answered so soon that nobody looked. Should the next one be lost, it cannot be told from this one.
    pub(super) fn was_brief(&mut self, renderer: &Renderer) {
        self.seen_over = true;
        renderer.memory.set(self.generation, None);
    }
}

impl Turn {
    /// What became of a request that got no answer. Waits until something can be seen.
    pub(super) async fn fate(&self, attempt: &Attempt) -> Fate {
        let Renderer {
            webui,
            health,
            memory,
            ..
        } = &*self.renderer;
        // If it is ours, its death is known by then, and the one who mends it is at work.
        if health.owns_process() && tokio::time::timeout(DEATH_NOTICE, health.ill()).await.is_ok() {
            return Fate::Gone;
        }
        let request = LostRequest {
            before: &attempt.before,
            sent_at: attempt.began,
            seen_running: attempt.seen_running,
        };
        let started = Instant::now();
        while started.elapsed() < LOOK_FOR {
            if health.generation() != attempt.generation || !health.is_well() {
                return Fate::Gone;
            }
            match webui.progress().await {
                Ok(now) => {
                    let fate = request.fate(&now);
                    if fate != Fate::Running {
                        memory.set(attempt.generation, now.state.job_timestamp);
                    }
                    return fate;
                }
                // As long as the way to the WebUI is not clear nothing can be known.
                Err(error) if retry::is_about_the_way(&error) => {
                    debug!(%error, "can't see what became of the render");
                }
                Err(error) => {
                    debug!(%error, "can't see what became of the render");
                    return Fate::Unknown;
                }
            }
            sleep(LOOK_AGAIN).await;
        }
        health.report(Symptom::Silent);
        Fate::Unknown
    }

    /// Waits until nothing renders; false if that takes too long. A WebUI that does not answer counts as idle.
    pub(super) async fn until_idle(&self, attempt: &mut Attempt) -> bool {
        let started = Instant::now();
        while started.elapsed() < self.renderer.attempt_timeout {
            match self.renderer.webui.progress().await {
                Ok(seen) if seen.is_rendering() => {}
                Ok(seen) => {
                    attempt.is_over(&self.renderer, &seen);
                    return true;
                }
                Err(error) => {
                    debug!(%error, "can't see whether a render runs");
                    return true;
                }
            }
            sleep(LOOK_AGAIN).await;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_of_one_process_says_nothing_of_the_next() {
        let memory = Memory::default();
        assert_eq!(memory.take(1), None);
        let known = memory.set(1, Some("0".to_owned()));
        assert_eq!(memory.take(2), None);
        assert_eq!(memory.take(1), Some(known));
    }

    #[test]
    fn what_is_known_holds_for_one_request_and_then_has_to_be_seen_again() {
        let memory = Memory::default();
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
