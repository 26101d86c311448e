//! Watching the WebUI from the side, to tell rendering from answering.
//!
//! The WebUI's answer does not say when the picture was done. Its progress does: it falls back to nothing when the
//! render has ended and the answer is being written. Only as exact as the time between two looks.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use serde::Deserialize;
use tokio::task::JoinHandle;

/// Time between two looks.
pub(super) const RESOLUTION: Duration = Duration::from_millis(20);

/// What was seen so far. Watching ends when this is dropped.
#[derive(Debug)]
pub(super) struct Observer {
    seen: Arc<Mutex<Vec<Sample>>>,
    task: JoinHandle<()>,
}

/// One look at the progress.
#[derive(Debug, Clone, Copy)]
struct Sample {
    at: SystemTime,
    progress: f64,
}

#[derive(Deserialize)]
struct Progress {
    progress: f64,
}

impl Observer {
    /// Begins to watch the WebUI at `url`.
    pub(super) fn start(url: &str) -> anyhow::Result<Self> {
        let url = format!(
            "{}/sdapi/v1/progress?skip_current_image=true",
            url.trim_end_matches('/')
        );
        let http = reqwest::Client::builder()
            .no_proxy()
            .tls_certs_only([])
            .timeout(Duration::from_secs(5))
            .build()
            .context("no HTTP client")?;
        let seen = Arc::new(Mutex::new(Vec::new()));
        let task = tokio::spawn(watch(http, url, seen.clone()));
        Ok(Self { seen, task })
    }

    /// When the render that was running between two moments was done; `None` if it was not seen.
    pub(super) fn render_ended(&self, begun: SystemTime, answered: SystemTime) -> Option<SystemTime> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        end_of_render(&seen, begun, answered)
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The first look at which the progress had fallen back, no later than the answer.
fn end_of_render(seen: &[Sample], begun: SystemTime, answered: SystemTime) -> Option<SystemTime> {
    let mut highest = 0.0_f64;
    for sample in seen.iter().filter(|sample| sample.at >= begun) {
        if sample.progress < highest {
            return Some(sample.at.min(answered));
        }
        highest = sample.progress;
    }
    None
}

async fn watch(http: reqwest::Client, url: String, seen: Arc<Mutex<Vec<Sample>>>) {
    let mut ticks = tokio::time::interval(RESOLUTION);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        // A look that fails is only a gap: the jobs do not depend on it.
        let Ok(answer) = http.get(&url).send().await else {
            continue;
        };
        let Ok(body) = answer.bytes().await else { continue };
        let Ok(Progress { progress }) = serde_json::from_slice(&body) else {
            continue;
        };
        let sample = Sample {
            at: SystemTime::now(),
            progress,
        };
        seen.lock().unwrap_or_else(PoisonError::into_inner).push(sample);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(millis)
    }

    fn samples(all: &[(u64, f64)]) -> Vec<Sample> {
        all.iter()
            .map(|&(millis, progress)| Sample {
                at: at(millis),
                progress,
            })
            .collect()
    }

    #[test]
    fn a_render_ends_when_its_progress_falls_back() {
        let seen = samples(&[(0, 0.0), (20, 0.01), (40, 0.5), (60, 0.98), (80, 0.0), (100, 0.0)]);
        assert_eq!(end_of_render(&seen, at(10), at(95)), Some(at(80)));
        // The answer was there before the look: the render cannot have ended after it.
        assert_eq!(end_of_render(&seen, at(10), at(70)), Some(at(70)));
    }

    #[test]
    fn the_next_render_ends_the_one_before() {
        let seen = samples(&[(20, 0.5), (40, 0.98), (60, 0.01), (80, 0.5), (100, 0.0)]);
        assert_eq!(end_of_render(&seen, at(0), at(55)), Some(at(55)));
        assert_eq!(end_of_render(&seen, at(50), at(99)), Some(at(99)));
    }

    #[test]
    fn a_render_that_was_not_seen_has_no_end() {
        assert_eq!(
            end_of_render(&samples(&[(20, 0.0), (40, 0.0)]), at(0), at(50)),
            None
        );
        assert_eq!(end_of_render(&[], at(0), at(50)), None);
    }
}
