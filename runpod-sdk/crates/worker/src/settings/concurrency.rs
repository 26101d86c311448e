//! The concurrency of a worker: fixed, changed by the program, or adapted to the load.

use std::fmt;
use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::sync::Arc;

use tokio::sync::watch;

use super::Load;

/// The number of jobs that a worker runs at once, from 1 to [`Concurrency::MOST`].
///
/// Clones share the number: changing one changes that of a running worker. A larger number takes effect at once, a
/// smaller one as running jobs end. No job is stopped for it.
///
/// ```
/// use runpod_sdk::{Concurrency, JobError, Worker};
///
/// let concurrency = Concurrency::new(2);
/// let worker: Worker = Worker::new(|n: u32| async move { Ok::<_, JobError>(n) }).concurrency(concurrency.clone());
/// // Later, from anywhere:
/// concurrency.set(4);
/// ```
#[derive(Clone)]
pub struct Concurrency {
    limit: watch::Sender<NonZeroUsize>,
    pub(crate) policy: Option<Policy>,
}

/// The function that decides, and its bounds.
#[derive(Clone)]
pub(crate) struct Policy {
    pub(crate) lowest: usize,
    pub(crate) highest: usize,
    pub(crate) decide: Arc<dyn Fn(Load) -> usize + Send + Sync>,
}

impl Concurrency {
    /// The most jobs at once. A larger number counts as this one.
    ///
    /// Every heartbeat lists the jobs in its URL, and every take asks for one job for each free slot. The platform refuses
    /// both far below this number.
    pub const MOST: usize = 10_000;

    /// Starts with `jobs` at once. Zero counts as 1.
    pub fn new(jobs: usize) -> Self {
        Self {
            limit: watch::Sender::new(sensible(jobs)),
            policy: None,
        }
    }

    /// Lets `decide` choose within `range`, beginning with the fewest.
    ///
    /// It is called after a job has arrived or ended, not by a clock. A number outside the range counts as the
    /// nearest bound, and is logged once as a warning. It must not block, because it delays takes and reports.
    /// After a panic the limit stays as it is. [`Load::suggest`] suits many workers.
    ///
    /// ```
    /// use runpod_sdk::{Concurrency, JobError, Worker};
    ///
    /// let worker: Worker = Worker::new(|n: u32| async move { Ok::<_, JobError>(n) })
    ///     .concurrency(Concurrency::adaptive(1..=8, |load| load.suggest()));
    /// ```
    #[doc(alias = "concurrency_modifier")]
    pub fn adaptive<F>(range: RangeInclusive<usize>, decide: F) -> Self
    where
        F: Fn(Load) -> usize + Send + Sync + 'static,
    {
        let lowest = sensible(*range.start()).get();
        Self {
            policy: Some(Policy {
                lowest,
                highest: sensible(*range.end()).get().max(lowest),
                decide: Arc::new(decide),
            }),
            ..Self::new(lowest)
        }
    }

    /// Sets the number of jobs at once. Zero counts as 1. If a function decides ([`adaptive`](Self::adaptive)),
    /// it does so again when the next job has arrived or ended.
    pub fn set(&self, jobs: usize) {
        self.limit.send_replace(sensible(jobs));
    }

    /// The number of jobs that may run at once.
    pub fn get(&self) -> usize {
        self.limit.borrow().get()
    }

    /// The most jobs at once: the upper bound of a range, else the present number.
    pub(crate) fn most(&self) -> usize {
        self.policy
            .as_ref()
            .map_or_else(|| self.get(), |policy| policy.highest)
    }

    pub(crate) fn changes(&self) -> watch::Receiver<NonZeroUsize> {
        self.limit.subscribe()
    }
}

impl From<usize> for Concurrency {
    fn from(jobs: usize) -> Self {
        Self::new(jobs)
    }
}

impl fmt::Debug for Concurrency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Concurrency");
        shown.field("limit", &self.get());
        if let Some(policy) = &self.policy {
            shown.field("range", &(policy.lowest..=policy.highest));
        }
        shown.finish_non_exhaustive()
    }
}

fn sensible(jobs: usize) -> NonZeroUsize {
    NonZeroUsize::new(jobs.min(Concurrency::MOST)).unwrap_or(NonZeroUsize::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_number_and_no_range_stalls_a_worker_or_lets_it_take_without_end() {
        for (jobs, counts_as) in [(0, 1), (1, 1), (7, 7), (usize::MAX, Concurrency::MOST)] {
            assert_eq!(Concurrency::new(jobs).get(), counts_as);
            let concurrency = Concurrency::new(3);
            concurrency.set(jobs);
            assert_eq!(concurrency.get(), counts_as);
        }
        #[expect(clippy::reversed_empty_ranges, reason = "users can write it")]
        for (range, lowest, highest) in [
            (0..=0, 1, 1),
            (0..=5, 1, 5),
            (5..=2, 5, 5),
            (1..=usize::MAX, 1, Concurrency::MOST),
        ] {
            let concurrency = Concurrency::adaptive(range, |load| load.suggest());
            assert_eq!((concurrency.get(), concurrency.most()), (lowest, highest));
        }
    }
}
