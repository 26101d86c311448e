//! Short looks at what the WebUI is doing. They tell how a render ended and what became of a lost one; neither is
//! worth a picture that comes late, so a WebUI that does not say is not waited for.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::time::timeout;
use tracing::warn;

use super::call::Call;
use super::error::WebUiError;
use super::progress::Progress;
use super::{Rendered, WebUi, answer};

/// For a look that nothing else is done beside.
const LOOK_LIMIT: Duration = Duration::from_secs(2);
/// For a look when all else is done.
const LAST_MOMENT: Duration = Duration::from_millis(250);
/// Without a look after one that got no answer.
const BLIND_FOR: Duration = Duration::from_secs(30);

/// Whether the WebUI says in time what it is doing.
#[derive(Debug, Default)]
pub(super) struct Sight {
    /// After a look that got no answer: until when there is no other.
    blind_until: Mutex<Option<Instant>>,
}

impl Sight {
    /// It has answered.
    pub(super) fn clear(&self) {
        *self.lock() = None;
    }

    fn is_blind(&self, now: Instant) -> bool {
        self.lock().is_some_and(|until| now < until)
    }

    /// A look got no answer. Whether that is news.
    fn fail(&self, now: Instant) -> bool {
        self.lock().replace(now + BLIND_FOR).is_none()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.blind_until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WebUi {
    /// What the WebUI is doing, if it says so soon. One that did not is not asked again for a while.
    pub(super) async fn look(&self) -> Option<Progress> {
        if self.sight.is_blind(Instant::now()) {
            return None;
        }
        match timeout(LOOK_LIMIT, self.progress()).await {
            Ok(seen) => seen.ok(),
            Err(_) => {
                self.unseen(LOOK_LIMIT);
                None
            }
        }
    }

    /// Sends what has a turn on the GPU. When its answer begins a render is over, and before another can begin the
    /// WebUI is asked how it ended; the answer is read meanwhile, and waits no longer than a moment for that. What was
    /// over at once is not asked about: the question would take a good part of its time.
    pub(super) async fn render(&self, call: &Call) -> Result<Rendered, WebUiError> {
        let sent = Instant::now();
        let answer = answer::read(self.response(call).await?, self.answer_idle);
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
        let mut look = std::pin::pin!(self.look());
        let (answer, after) = tokio::select! {
            biased;
            answer = &mut reading => {
                let after = timeout(LAST_MOMENT, look).await;
                if after.is_err() {
                    self.unseen(LAST_MOMENT);
                }
                (answer, after.ok().flatten())
            }
            after = &mut look => (reading.await, after),
        };
        Ok(Rendered {
            answer,
            after,
            is_brief,
        })
    }

    fn unseen(&self, within: Duration) {
        if self.sight.fail(Instant::now()) {
            warn!(
                ?within,
                "the WebUI does not say what it is doing: whether somebody else ends a render before its time is not noticed"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_without_an_answer_is_told_once_and_tried_again_after_a_while() {
        let sight = Sight::default();
        let now = Instant::now();
        assert!(!sight.is_blind(now));
        assert!(sight.fail(now), "news");
        assert!(sight.is_blind(now));
        let later = now + BLIND_FOR;
        assert!(!sight.is_blind(later));
        assert!(!sight.fail(later), "known");
        sight.clear();
        assert!(!sight.is_blind(later), "it has answered");
        assert!(sight.fail(later), "news again");
    }
}
