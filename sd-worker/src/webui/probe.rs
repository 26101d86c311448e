//! Short progress probes, which tell how a render ended and what became of a lost one.
//!
//! Neither is worth delaying a picture, so a WebUI that does not answer a probe in time is not probed for a while.

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use runpod_sdk::json::RawJson;
use tokio::time::timeout;
use tracing::warn;

use super::call::Call;
use super::client::WebUi;
use super::error::WebUiError;
use super::progress::Progress;

/// The limit of a probe that nothing else waits for.
const PROBE_LIMIT: Duration = Duration::from_secs(2);
/// How long a complete answer waits for its probe.
const LAST_MOMENT: Duration = Duration::from_millis(250);
/// How long no probe is sent after one that got no answer.
const PAUSE_AFTER_SILENCE: Duration = Duration::from_secs(30);

/// Whether probes are sent: not for a while after one that got no answer.
#[derive(Debug, Default)]
pub(super) struct ProgressProbe {
    paused_until: Mutex<Option<Instant>>,
}

impl ProgressProbe {
    /// The WebUI has answered, so probes are sent again.
    pub(super) fn answered(&self) {
        *self.paused_until.lock() = None;
    }

    fn is_paused(&self, now: Instant) -> bool {
        self.paused_until.lock().is_some_and(|until| now < until)
    }

    /// A probe got no answer. Returns whether the one before it did.
    fn unanswered(&self, now: Instant) -> bool {
        self.paused_until
            .lock()
            .replace(now + PAUSE_AFTER_SILENCE)
            .is_none()
    }
}

/// A render's answer, and what the WebUI did when the answer began.
#[derive(Debug)]
pub(crate) struct Rendered {
    pub(crate) answer: Result<RawJson, WebUiError>,
    /// What a probe saw right after the render. `None` if no probe was sent or answered in time.
    pub(crate) after: Option<Progress>,
    /// The render took so short that no other client can have interrupted it, and no probe was sent.
    pub(crate) is_brief: bool,
}

impl WebUi {
    /// What the WebUI is doing, if it answers within a short limit and has not failed to do so just before.
    pub(crate) async fn probe(&self) -> Option<Progress> {
        if self.probe.is_paused(Instant::now()) {
            return None;
        }
        match timeout(PROBE_LIMIT, self.progress()).await {
            Ok(seen) => seen.ok(),
            Err(_) => {
                self.note_silence(PROBE_LIMIT);
                None
            }
        }
    }

    /// Sends a request to render, and probes how the render ended.
    ///
    /// The render is over when its answer begins. The probe is sent then, before another render can begin, and the
    /// answer is read meanwhile. A render that was over at once is not probed: the probe would take a good part of its
    /// time.
    pub(crate) async fn send_and_probe(&self, call: &Call) -> Result<Rendered, WebUiError> {
        let sent = Instant::now();
        let begun = self.response(call).await?;
        let answer = self.read_answer(call, begun);
        let is_brief = sent.elapsed() < self.brief_render;
        if is_brief || !call.begins_a_job() {
            let answer = answer.await;
            return Ok(Rendered {
                answer,
                after: None,
                is_brief,
            });
        }
        let mut reading = std::pin::pin!(answer);
        let mut probe = std::pin::pin!(self.probe());
        let (answer, after) = tokio::select! {
            biased;
            answer = &mut reading => {
                let after = timeout(LAST_MOMENT, probe).await;
                if after.is_err() {
                    self.note_silence(LAST_MOMENT);
                }
                (answer, after.ok().flatten())
            }
            after = &mut probe => (reading.await, after),
        };
        Ok(Rendered {
            answer,
            after,
            is_brief,
        })
    }

    fn note_silence(&self, within: Duration) {
        if self.probe.unanswered(Instant::now()) {
            warn!(
                ?within,
                "the WebUI does not say what it is doing: whether another client ends a render before its time is not noticed"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_without_an_answer_is_reported_once_and_repeated_after_a_while() {
        let probe = ProgressProbe::default();
        let now = Instant::now();
        assert!(!probe.is_paused(now));
        assert!(probe.unanswered(now), "news");
        assert!(probe.is_paused(now));
        let later = now + PAUSE_AFTER_SILENCE;
        assert!(!probe.is_paused(later));
        assert!(!probe.unanswered(later), "known");
        probe.answered();
        assert!(!probe.is_paused(later), "it has answered");
        assert!(probe.unanswered(later), "news again");
    }
}
