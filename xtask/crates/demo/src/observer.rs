//! Watching the WebUI from the side, to tell rendering from answering.
//!
//! The WebUI's answer does not say when the picture was done. Its progress does: it falls back to nothing when the
//! render has ended and the answer is being written. That moment lies between two looks.

use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use serde::Deserialize;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How long to wait for a look after the answer.
const LAST_LOOK_WITHIN: Duration = Duration::from_secs(10);

/// What was seen so far. Watching ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Observer {
    seen: watch::Receiver<Vec<Sample>>,
    task: JoinHandle<()>,
}

/// One look at the progress.
#[derive(Debug, Clone, Copy)]
struct Sample {
    at: SystemTime,
    progress: f64,
}

/// A moment that lies between two others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) not_before: SystemTime,
    pub(crate) not_after: SystemTime,
}

#[derive(Deserialize)]
struct Progress {
    progress: f64,
}

impl Observer {
    /// Begins to watch the WebUI at `url`. `credentials`: `USER:PASSWORD`, if it asks for any.
    pub(crate) fn start(url: &str, every: Duration, credentials: Option<&str>) -> anyhow::Result<Self> {
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
        let mut look = http.get(url);
        if let Some((user, password)) = credentials.and_then(|both| both.split_once(':')) {
            look = look.basic_auth(user, Some(password));
        }
        let look = look.build().context("no request for the WebUI's progress")?;
        let (samples, seen) = watch::channel(Vec::new());
        let task = tokio::spawn(watch_webui(http, look, every, samples));
        Ok(Self { seen, task })
    }

    /// When the render was done that a worker asked for at `begun` and had whole at `answered`; `None` if it was
    /// not seen.
    pub(crate) async fn render_ended(&self, begun: SystemTime, answered: SystemTime) -> Option<Moment> {
        let looked_after = |seen: &Vec<Sample>| seen.last().is_some_and(|sample| sample.at > answered);
        let mut seen = self.seen.clone();
        if seen.borrow().is_empty() {
            // It does not let us look.
            return None;
        }
        let seen = tokio::time::timeout(LAST_LOOK_WITHIN, seen.wait_for(looked_after)).await;
        end_of_render(&seen.ok()?.ok()?, begun, answered)
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Between the last look that saw the render and the first that did not, but no later than the answer.
fn end_of_render(seen: &[Sample], begun: SystemTime, answered: SystemTime) -> Option<Moment> {
    let mut last: Option<Sample> = None;
    for sample in seen.iter().filter(|sample| sample.at >= begun) {
        match last {
            Some(last) if sample.progress < last.progress => {
                return Some(Moment {
                    not_before: last.at.min(answered),
                    not_after: sample.at.min(answered),
                });
            }
            _ if sample.progress > 0.0 => last = Some(*sample),
            _ => {}
        }
    }
    None
}

async fn watch_webui(
    http: reqwest::Client,
    look: reqwest::Request,
    every: Duration,
    samples: watch::Sender<Vec<Sample>>,
) {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        // A look that fails is only a gap: the jobs do not depend on it.
        let Some(look) = look.try_clone() else { return };
        let Ok(answer) = http.execute(look).await else {
            continue;
        };
        let Ok(body) = answer.bytes().await else { continue };
        let Ok(Progress { progress }) = serde_json::from_slice(&body) else {
            continue;
        };
        let at = SystemTime::now();
        samples.send_modify(|seen| seen.push(Sample { at, progress }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(millis)
    }

    fn samples(all: &[(u64, f64)]) -> Vec<Sample> {
        let sample = |&(millis, progress)| Sample {
            at: at(millis),
            progress,
        };
        all.iter().map(sample).collect()
    }

    fn between(not_before: u64, not_after: u64) -> Moment {
        let (not_before, not_after) = (at(not_before), at(not_after));
        Moment {
            not_before,
            not_after,
        }
    }

    #[test]
    fn a_render_ends_when_its_progress_falls_back() {
        let seen = samples(&[(0, 0.0), (20, 0.01), (40, 0.5), (60, 0.98), (80, 0.0), (100, 0.0)]);
        assert_eq!(end_of_render(&seen, at(10), at(95)), Some(between(60, 80)));
        // The answer was there before the look: the render cannot have ended after it.
        assert_eq!(end_of_render(&seen, at(10), at(70)), Some(between(60, 70)));
    }

    #[test]
    fn the_next_render_ends_the_one_before() {
        let seen = samples(&[(20, 0.5), (40, 0.98), (60, 0.01), (80, 0.5), (100, 0.0)]);
        assert_eq!(end_of_render(&seen, at(0), at(55)), Some(between(40, 55)));
        assert_eq!(end_of_render(&seen, at(50), at(99)), Some(between(80, 99)));
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
