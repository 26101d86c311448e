//! The estimates of running handlers of when they complete. Taking just in time depends on them.

use runpod_protocol::sync::{Mutex, MutexGuard};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// The estimates of all running handlers that have announced one.
#[derive(Debug, Clone, Default)]
pub(crate) struct CompletionEstimates {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    estimates: Mutex<Estimates>,
    /// Notified when an estimate is added or changed.
    changed: Notify,
}

#[derive(Debug, Default)]
struct Estimates {
    next_run: u64,
    at: BTreeMap<u64, Instant>,
}

/// The estimate of one run of a handler. It is removed when this is dropped.
#[derive(Debug)]
pub(crate) struct CompletionEstimate {
    run: u64,
    of: CompletionEstimates,
}

impl CompletionEstimates {
    /// Registers a run of a handler, without an estimate yet.
    pub(crate) fn begin(&self) -> CompletionEstimate {
        let mut estimates = self.lock();
        estimates.next_run += 1;
        CompletionEstimate {
            run: estimates.next_run,
            of: self.clone(),
        }
    }

    /// The number of handlers that expect to complete by `then`, including those that are late.
    pub(crate) fn by(&self, then: Instant) -> usize {
        self.lock().at.values().filter(|at| **at <= then).count()
    }

    /// The first estimate after `then`.
    pub(crate) fn first_after(&self, then: Instant) -> Option<Instant> {
        self.lock().at.values().copied().filter(|at| *at > then).min()
    }

    /// Waits for the next change of an estimate. A change after this call is not missed, even before the first poll.
    pub(crate) fn changed(&self) -> impl Future<Output = ()> {
        self.shared.changed.notified()
    }

    fn lock(&self) -> MutexGuard<'_, Estimates> {
        self.shared.estimates.lock()
    }
}

impl CompletionEstimate {
    pub(crate) fn expect_in(&self, time: Duration) {
        // A time beyond the clock's range counts as no estimate.
        let at = Instant::now().checked_add(time);
        let mut estimates = self.of.lock();
        match at {
            Some(at) => estimates.at.insert(self.run, at),
            None => estimates.at.remove(&self.run),
        };
        drop(estimates);
        self.of.shared.changed.notify_waiters();
    }
}

impl Drop for CompletionEstimate {
    fn drop(&mut self) {
        self.of.lock().at.remove(&self.run);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_latest_estimate_counts_and_ends_with_its_run() {
        let estimates = CompletionEstimates::default();
        let (first, second) = (estimates.begin(), estimates.begin());
        let now = Instant::now();
        first.expect_in(Duration::from_secs(9));
        second.expect_in(Duration::from_secs(5));
        first.expect_in(Duration::from_secs(1));
        assert_eq!(estimates.by(now + Duration::from_secs(1)), 1);
        assert_eq!(estimates.first_after(now), Some(now + Duration::from_secs(1)));
        tokio::time::advance(Duration::from_secs(3)).await;
        assert_eq!(estimates.by(Instant::now()), 1, "a late handler still counts");
        drop(first);
        assert_eq!(estimates.by(Instant::now()), 0);
        second.expect_in(Duration::MAX);
        assert_eq!(estimates.first_after(now), None, "never is no estimate");
    }

    #[tokio::test]
    async fn a_new_estimate_is_heard_of() {
        let estimates = CompletionEstimates::default();
        let estimate = estimates.begin();
        let changed = estimates.changed();
        estimate.expect_in(Duration::ZERO);
        tokio::pin!(changed);
        assert!(futures_util::poll!(&mut changed).is_ready());
    }
}
