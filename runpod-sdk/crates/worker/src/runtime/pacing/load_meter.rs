//! Adaptive concurrency: measures the load, and lets a policy decide how many jobs run at once.

use runpod_protocol::sync::{Mutex, MutexGuard};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use tracing::{debug, error, warn};

use crate::settings::{Concurrency, Load, Policy};

/// Below this many jobs the mean handler time is arithmetic; above, exponentially weighted.
const RECENT: u32 = 8;

/// Measures the [`Load`] of a worker.
#[derive(Debug, Default)]
pub(in crate::runtime) struct LoadMeter {
    load: Mutex<Load>,
    changed: Notify,
}

/// Counts one running job. Dropping it records the end of the job.
#[derive(Debug)]
pub(in crate::runtime) struct RunningGuard {
    meter: Arc<LoadMeter>,
    begun: Instant,
}

impl LoadMeter {
    pub(in crate::runtime) fn new(concurrency: &Concurrency) -> Arc<Self> {
        let mut load = Load {
            limit: concurrency.get(),
            ..Load::default()
        };
        if let Some(policy) = &concurrency.policy {
            (load.lowest, load.highest) = (policy.lowest, policy.highest);
        }
        Arc::new(Self {
            load: Mutex::new(load),
            changed: Notify::new(),
        })
    }

    /// Records a take that asked for `asked` jobs and brought `got`.
    pub(in crate::runtime) fn took(&self, asked: usize, got: usize) {
        let mut load = self.lock();
        let one_more = |takes: u32, like_this: bool| if like_this { takes.saturating_add(1) } else { 0 };
        load.full_takes = one_more(load.full_takes, got >= asked);
        load.empty_takes = one_more(load.empty_takes, got == 0);
    }

    /// Records the start of a job.
    pub(in crate::runtime) fn begin(self: &Arc<Self>) -> RunningGuard {
        self.lock().running += 1;
        self.changed.notify_one();
        RunningGuard {
            meter: self.clone(),
            begun: Instant::now(),
        }
    }

    /// Records a new limit, and restarts the measurement.
    pub(in crate::runtime) fn resized(&self, limit: usize) {
        let mut load = self.lock();
        load.limit = limit;
        load.ended = 0;
        load.handler_time = None;
    }

    fn ended(&self, time: Duration) {
        let mut load = self.lock();
        load.running -= 1;
        load.ended = load.ended.saturating_add(1);
        let weight = load.ended.min(RECENT);
        let before = load.handler_time.unwrap_or(time);
        load.handler_time = Some((before * (weight - 1) + time) / weight);
        if load.limit <= load.lowest {
            load.lone_time = load.handler_time;
        }
        drop(load);
        self.changed.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Load> {
        self.load.lock()
    }
}

impl Drop for RunningGuard {
    fn drop(&mut self) {
        self.meter.ended(self.begun.elapsed());
    }
}

/// Calls the policy after each change of the load, until it panics.
pub(in crate::runtime) async fn adapt(meter: Arc<LoadMeter>, concurrency: Concurrency) {
    let Some(Policy {
        lowest,
        highest,
        decide,
    }) = concurrency.policy.clone()
    else {
        return;
    };
    let mut warned = false;
    loop {
        meter.changed.notified().await;
        let load = *meter.lock();
        let Ok(wanted) = catch_unwind(AssertUnwindSafe(|| decide(load))) else {
            error!(
                limit = load.limit,
                "the function that decides the concurrency panicked; it stays as it is"
            );
            return;
        };
        let limit = wanted.clamp(lowest, highest);
        if limit != wanted && !warned {
            warned = true;
            warn!(
                wanted,
                lowest,
                highest,
                "the concurrency was chosen outside its range; the nearest bound is taken, now and later"
            );
        }
        if limit != concurrency.get() {
            debug!(from = load.limit, to = limit, "the concurrency changes");
            concurrency.set(limit);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::Slots;

    #[tokio::test(start_paused = true)]
    async fn a_job_counts_while_it_runs_and_its_time_when_it_has_ended() {
        let meter = LoadMeter::new(&Concurrency::adaptive(1..=4, |load| load.suggest()));
        let (first, second) = (meter.begin(), meter.begin());
        assert_eq!(meter.lock().running, 2);
        tokio::time::advance(Duration::from_millis(100)).await;
        drop(first);
        tokio::time::advance(Duration::from_millis(200)).await;
        drop(second);
        let load = *meter.lock();
        assert_eq!((load.running, load.ended), (0, 2));
        assert_eq!(load.handler_time, Some(Duration::from_millis(200)));
        assert_eq!(load.lone_time, load.handler_time, "measured at the lowest limit");

        meter.resized(2);
        let third = meter.begin();
        tokio::time::advance(Duration::from_millis(900)).await;
        drop(third);
        let load = *meter.lock();
        assert_eq!((load.limit, load.ended), (2, 1));
        assert_eq!(load.handler_time, Some(Duration::from_millis(900)));
        assert_eq!(load.lone_time, Some(Duration::from_millis(200)));
    }

    proptest::proptest! {
        /// Whatever a user's function says, and whatever range it was given.
        #[test]
        fn the_limit_is_never_zero_and_never_outside_its_range(
            lowest in number(),
            highest in number(),
            choices in proptest::collection::vec((number(), proptest::bool::ANY), 1..30),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().start_paused(true).enable_time().build().unwrap();
            runtime.block_on(async {
                let next = Arc::new(Mutex::new(0));
                let chosen = next.clone();
                let concurrency = Concurrency::adaptive(lowest..=highest, move |_| *chosen.lock());
                let bounds = lowest.clamp(1, Concurrency::MOST);
                let bounds = bounds..=highest.clamp(1, Concurrency::MOST).max(bounds);
                let meter = LoadMeter::new(&concurrency);
                let slots = Slots::new(*concurrency.changes().borrow());
                let adapting = tokio::spawn(adapt(meter.clone(), concurrency.clone()));
                let mut running = Vec::new();
                for (choice, ends) in choices {
                    *next.lock() = choice;
                    if ends && running.pop().is_some() {
                        // The end of a job is a reason to ask.
                    } else {
                        running.push(meter.begin());
                    }
                    tokio::time::sleep(Duration::from_millis(1)).await;
                    let limit = concurrency.get();
                    assert!(bounds.contains(&limit), "{limit} is not within {bounds:?}");
                    assert_eq!(limit, choice.clamp(*bounds.start(), *bounds.end()));
                    // The runtime makes exactly this number of slots of it.
                    slots.resize(*concurrency.changes().borrow());
                    assert_eq!(slots.free_now().len(), limit);
                }
                adapting.abort();
            });
        }
    }

    /// Small numbers, zero, and absurdly large ones.
    fn number() -> impl proptest::strategy::Strategy<Value = usize> {
        use proptest::prelude::*;
        prop_oneof![
            4 => 0_usize..20,
            1 => Just(usize::MAX),
            1 => any::<usize>(),
        ]
    }

    #[test]
    fn full_and_empty_takes_are_counted_in_a_row() {
        let meter = LoadMeter::new(&Concurrency::new(3));
        let mut seen = Vec::new();
        for got in [3, 4, 1, 0, 0, 3] {
            meter.took(3, got);
            let load = meter.lock();
            seen.push((load.full_takes, load.empty_takes));
        }
        assert_eq!(seen, [(1, 0), (2, 0), (0, 0), (0, 1), (0, 2), (1, 0)]);
    }
}
