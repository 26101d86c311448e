//! How a stub hands work to the gate.
//!
//! Wiremock answers at once and under a lock. A stub whose answer takes time, or whose body is large, defers the work
//! and answers with its number in a header. The gate claims the work by that number, once.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::HeaderValue;
use parking_lot::Mutex;

use crate::answer::Answer;
use crate::faults::ActiveFaults;

/// The header that carries the number of deferred work from a stub to the gate. It never leaves the process.
pub(crate) const DEFERRED: &str = "x-mock-webui-deferred";

/// The header that marks an answer of our own stubs, as opposed to one that a test has put over them.
/// Its value tells whether the answer gets an `x-process-time`.
pub(crate) const OWN: &str = "x-mock-webui-own";

/// Work that makes an answer from the body of the request and the faults that hit it.
pub(crate) type Work = Box<dyn FnOnce(Bytes, ActiveFaults) -> BoxFuture<'static, Answer> + Send>;

/// Work that stubs have deferred and the gate has not claimed yet.
#[derive(Clone, Default)]
pub(crate) struct DeferredAnswers {
    waiting: Arc<Mutex<Waiting>>,
}

#[derive(Default)]
struct Waiting {
    last: u64,
    work: HashMap<u64, Work>,
}

impl DeferredAnswers {
    /// Keeps work and returns the number to claim it with.
    pub(crate) fn defer(&self, work: Work) -> u64 {
        let mut waiting = self.waiting.lock();
        waiting.last += 1;
        let number = waiting.last;
        waiting.work.insert(number, work);
        number
    }

    /// The work with this number; `None` when it is unknown or was claimed before.
    pub(crate) fn claim(&self, number: &HeaderValue) -> Option<Work> {
        let number = number.to_str().ok()?.parse().ok()?;
        self.waiting.lock().work.remove(&number)
    }
}

impl fmt::Debug for DeferredAnswers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("DeferredAnswers").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn deferred_work_is_claimed_once() {
        let deferred = DeferredAnswers::default();
        let number = deferred.defer(Box::new(|_, _| Box::pin(async { Answer::null() })));
        let number = HeaderValue::from(number);
        let work = deferred.claim(&number).expect("deferred above");
        assert_eq!(work(Bytes::new(), ActiveFaults::default()).await.body, "null");
        assert!(deferred.claim(&number).is_none());
        assert!(deferred.claim(&HeaderValue::from_static("nonsense")).is_none());
    }
}
