//! When the running handlers expect to be done: what taking just in time goes by.

use runpod_protocol::sync::{Mutex, MutexGuard};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// The estimates of all running handlers that have given one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Finishes {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    estimates: Mutex<Estimates>,
    /// Told whenever an estimate has changed or come.
    changed: Notify,
}

#[derive(Debug, Default)]
struct Estimates {
    next_run: u64,
    at: BTreeMap<u64, Instant>,
}

/// One run of a handler. Its estimate ends with it.
#[derive(Debug)]
pub(crate) struct Finish {
    run: u64,
    of: Finishes,
}

impl Finishes {
    /// A handler begins; it has not said anything yet.
    pub(crate) fn begin(&self) -> Finish {
        let mut estimates = self.lock();
        estimates.next_run += 1;
        Finish {
            run: estimates.next_run,
            of: self.clone(),
        }
    }

    /// How many handlers expect to be done by `then`. Those that are late count, too.
    pub(crate) fn by(&self, then: Instant) -> usize {
        self.lock().at.values().filter(|at| **at <= then).count()
    }

    /// The first estimate after `then`.
    pub(crate) fn first_after(&self, then: Instant) -> Option<Instant> {
        self.lock().at.values().copied().filter(|at| *at > then).min()
    }

    /// Waits for the next new estimate. One that comes after this call is not missed.
    pub(crate) fn changed(&self) -> impl Future<Output = ()> {
        self.shared.changed.notified()
    }

    fn lock(&self) -> MutexGuard<'_, Estimates> {
        self.shared.estimates.lock()
    }
}

impl Finish {
    pub(crate) fn expect_in(&self, time: Duration) {
        // A time that no clock can hold is no estimate.
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

impl Drop for Finish {
    fn drop(&mut self) {
        self.of.lock().at.remove(&self.run);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_latest_estimate_counts_and_ends_with_its_run() {
        let finishes = Finishes::default();
        let (first, second) = (finishes.begin(), finishes.begin());
        let now = Instant::now();
        first.expect_in(Duration::from_secs(9));
        second.expect_in(Duration::from_secs(5));
        first.expect_in(Duration::from_secs(1));
        assert_eq!(finishes.by(now + Duration::from_secs(1)), 1);
        assert_eq!(finishes.first_after(now), Some(now + Duration::from_secs(1)));
        tokio::time::advance(Duration::from_secs(3)).await;
        assert_eq!(finishes.by(Instant::now()), 1, "a late handler still counts");
        drop(first);
        assert_eq!(finishes.by(Instant::now()), 0);
        second.expect_in(Duration::MAX);
        assert_eq!(finishes.first_after(now), None, "never is no estimate");
    }

    #[tokio::test]
    async fn a_new_estimate_is_heard_of() {
        let finishes = Finishes::default();
        let finish = finishes.begin();
        let changed = finishes.changed();
        finish.expect_in(Duration::ZERO);
        tokio::pin!(changed);
        assert!(futures_util::poll!(&mut changed).is_ready());
    }
}
