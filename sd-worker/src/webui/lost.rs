//! A request whose answer was lost: finding out what became of it, and saving what can be saved.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use runpod_sdk::Context;
use runpod_sdk::json::RawJson;
use tokio::time::sleep;
use tracing::{debug, info, warn};

use super::call::Call;
use super::ending::Signs;
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
    /// Of which process, and what.
    last: Mutex<Option<(u64, Before)>>,
}

impl Memory {
    fn get(&self, generation: u64) -> Option<Before> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref()
            .filter(|(known, _)| *known == generation)
            .map(|(_, before)| before.clone())
    }

    fn set(&self, generation: u64, timestamp: Option<String>) -> Before {
        let before = Before {
            timestamp,
            seen_at: Instant::now(),
        };
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last = Some((generation, before.clone()));
        before
    }
}

/// One request on its way, and what has to be known if it is lost.
#[derive(Debug)]
pub(super) struct Attempt {
    generation: u64,
    before: Before,
    began: Instant,
    began_at: SystemTime,
    pub(super) seen_running: bool,
    /// It was seen to have come to its end.
    pub(super) seen_over: bool,
}

impl Attempt {
    /// Takes a look at the WebUI, unless it is known already. Only the first attempt after a start has to.
    pub(super) async fn begin(renderer: &Renderer, ctx: &Context) -> Result<Self, WebUiError> {
        let generation = renderer.health.generation();
        let before = match renderer.memory.get(generation) {
            Some(before) => before,
            None => {
                let seen = unless_cancelled(ctx, renderer.webui.progress()).await?;
                let timestamp = seen.ok().and_then(|seen| seen.state.job_timestamp);
                renderer.memory.set(generation, timestamp)
            }
        };
        Ok(Self {
            generation,
            before,
            began: Instant::now(),
            began_at: SystemTime::now(),
            seen_running: false,
            seen_over: false,
        })
    }
}

impl Attempt {
    /// The render was answered, and this was seen after it: the next one is told from it by that.
    pub(super) fn is_over(&mut self, renderer: &Renderer, after: Progress) {
        if !after.is_rendering() {
            self.seen_over = true;
            renderer.memory.set(self.generation, after.state.job_timestamp);
        }
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

    /// Waits for the end of a render whose answer was lost, and puts the answer together from the pictures that it
    /// has saved. Without any it fails with `error`: to render again would take the GPU twice for one job.
    pub(super) async fn recover(
        &self,
        call: &Call,
        ctx: &Context,
        attempt: &Attempt,
        error: WebUiError,
    ) -> Result<RawJson, WebUiError> {
        // A proxy's answer says that it is unavailable; what matters is that the render has run.
        let lost = match error {
            error @ WebUiError::Lost { .. } => error,
            other => WebUiError::Lost {
                reason: other.to_string(),
            },
        };
        let request = call.body.as_ref().filter(|_| renders(call));
        let (Some(recovery), Some(request)) = (&self.renderer.recovery, request) else {
            return Err(lost);
        };
        if !super::recover::saves_images(request) {
            return Err(lost);
        }
        if !unless_cancelled(ctx, self.until_idle()).await? {
            return Err(lost);
        }
        let after = unless_cancelled(ctx, self.renderer.webui.progress()).await?;
        if let Some(how) = after.ok().and_then(|after| Signs::default().cut_short(&after, 1)) {
            return Err(WebUiError::CutShort { how, seen: None });
        }
        match recovery.collect(request.clone(), attempt.began_at).await {
            Ok(Some(answer)) => {
                info!("the answer was put together from saved pictures");
                self.renderer.nothing_is_left_running();
                Ok(answer)
            }
            Ok(None) => {
                warn!("no saved pictures of this render were found");
                Err(lost)
            }
            Err(problem) => {
                warn!(%problem, "saved pictures can't be read");
                Err(lost)
            }
        }
    }

    /// Waits until nothing renders; false if that takes too long. What cannot be seen does not count.
    pub(super) async fn until_idle(&self) -> bool {
        let started = Instant::now();
        while started.elapsed() < self.renderer.attempt_timeout {
            match self.renderer.webui.progress().await {
                Ok(seen) if seen.is_rendering() => {}
                Ok(_) => return true,
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

/// Whether pictures come of it.
fn renders(call: &Call) -> bool {
    ["/txt2img", "/img2img"]
        .iter()
        .any(|route| call.route.ends_with(route))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_of_one_process_says_nothing_of_the_next() {
        let memory = Memory::default();
        assert_eq!(memory.get(1), None);
        let known = memory.set(1, Some("0".to_owned()));
        assert_eq!(memory.get(1), Some(known));
        assert_eq!(memory.get(2), None);
    }
}
