//! How many jobs run at once, changed while they run.

use std::num::NonZeroUsize;

use tokio::sync::watch;

/// Changes a running worker's concurrency.
///
/// More takes effect at once. Fewer takes effect as running jobs end: no job is stopped for it.
///
/// ```
/// use runpod_sdk::{Concurrency, JobError, Worker};
///
/// let concurrency = Concurrency::new(2);
/// let worker: Worker = Worker::new(|n: u32| async move { Ok::<_, JobError>(n) }).live_concurrency(&concurrency);
/// // Later, from anywhere:
/// concurrency.set(4);
/// ```
#[derive(Debug, Clone)]
pub struct Concurrency {
    limit: watch::Sender<NonZeroUsize>,
}

impl Concurrency {
    /// So many jobs at once to begin with. Zero counts as 1.
    pub fn new(jobs: usize) -> Self {
        Self {
            limit: watch::Sender::new(at_least_one(jobs)),
        }
    }

    /// So many jobs at once from now on. Zero counts as 1.
    pub fn set(&self, jobs: usize) {
        self.limit.send_replace(at_least_one(jobs));
    }

    /// How many jobs may run at once.
    pub fn get(&self) -> usize {
        self.limit.borrow().get()
    }

    pub(super) fn changes(&self) -> watch::Receiver<NonZeroUsize> {
        self.limit.subscribe()
    }
}

fn at_least_one(jobs: usize) -> NonZeroUsize {
    NonZeroUsize::new(jobs).unwrap_or(NonZeroUsize::MIN)
}
