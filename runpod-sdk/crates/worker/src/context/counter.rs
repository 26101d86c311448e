//! A counter that reports the share of work done as progress.

use runpod_protocol::sync::Mutex;
use serde::Serialize;
use tokio::time::Instant;

use super::Context;

/// The fewest seconds after which the pace is meaningful.
const SHORTEST: f64 = 0.1;

/// Counts the finished parts of a job and reports them as progress. Made by [`Context::counter`].
///
/// A client sees `{"done": 3, "total": 4, "percent": 75.0, "eta_s": 12.5}`. `eta_s` is the number of seconds left at
/// the mean pace since the counter was made. It is `null` until something is done and a tenth of a second has passed.
/// The count never decreases and never exceeds the total.
///
/// Cheap enough for an inner loop: only a change of a tenth of a percent is reported, and [`Context::progress`] limits
/// the rate of posts. It may be shared between tasks and threads.
#[derive(Debug)]
pub struct Counter {
    context: Context,
    total: u64,
    begun: Instant,
    count: Mutex<Count>,
}

#[derive(Debug, Default)]
struct Count {
    done: u64,
    /// The last reported share, in tenths of a percent.
    reported: Option<u64>,
}

#[derive(Debug, Serialize)]
struct JobReport {
    done: u64,
    total: u64,
    percent: f64,
    eta_s: Option<f64>,
}

impl Counter {
    pub(super) fn new(context: Context, total: u64) -> Self {
        Self {
            context,
            total,
            begun: Instant::now(),
            count: Mutex::default(),
        }
    }

    /// Adds `more` to the count.
    pub fn add(&self, more: u64) {
        self.change(|done| done.saturating_add(more));
    }

    /// Raises the count to `done`. A smaller count is ignored.
    pub fn set(&self, done: u64) {
        self.change(|before| before.max(done));
    }

    /// The current count.
    pub fn done(&self) -> u64 {
        self.count.lock().done
    }

    fn change(&self, to: impl FnOnce(u64) -> u64) {
        let mut count = self.count.lock();
        count.done = to(count.done).min(self.total);
        let tenths = tenths(count.done, self.total);
        if count.reported == Some(tenths) {
            return;
        }
        count.reported = Some(tenths);
        // Reported under the lock, so that no report overtakes a later one.
        self.context.progress(self.report(count.done, tenths));
    }

    #[expect(clippy::cast_precision_loss, reason = "shown to people, with one digit")]
    fn report(&self, done: u64, tenths: u64) -> JobReport {
        let passed = self.begun.elapsed().as_secs_f64();
        let left = passed * (self.total - done) as f64 / done as f64;
        // Parts that were already done take no time and say nothing about the rest.
        let known = done > 0 && (passed >= SHORTEST || done == self.total);
        JobReport {
            done,
            total: self.total,
            percent: tenths as f64 / 10.0,
            eta_s: known.then(|| (left * 10.0).round() / 10.0),
        }
    }
}

/// The share in tenths of a percent, rounded down, so that 100 % means done. A total of 0 is always done.
fn tenths(done: u64, total: u64) -> u64 {
    let share = (u128::from(done) * 1000).checked_div(u128::from(total));
    share.map_or(1000, |share| u64::try_from(share).unwrap_or(1000))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::*;
    use crate::job::Job;
    use crate::json::RawJson;

    fn counter(total: u64) -> (Counter, impl FnMut() -> Option<Value>) {
        let (context, mut updates) = Context::alone(Job::new("j", RawJson::null()));
        let next = move || {
            let changed = updates.has_changed().unwrap();
            let update = updates.borrow_and_update().clone();
            changed.then(|| update.unwrap().decode().unwrap())
        };
        (context.counter(total), next)
    }

    #[tokio::test(start_paused = true)]
    async fn tells_the_share_and_the_time_that_is_left() {
        let (counter, mut next) = counter(8);
        counter.set(0);
        assert_eq!(
            next(),
            Some(json!({ "done": 0, "total": 8, "percent": 0.0, "eta_s": null }))
        );
        tokio::time::advance(Duration::from_secs(3)).await;
        counter.add(2);
        assert_eq!(
            next(),
            Some(json!({ "done": 2, "total": 8, "percent": 25.0, "eta_s": 9.0 }))
        );
        tokio::time::advance(Duration::from_secs(1)).await;
        counter.set(8);
        assert_eq!(
            next(),
            Some(json!({ "done": 8, "total": 8, "percent": 100.0, "eta_s": 0.0 }))
        );
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_done_in_no_time_is_no_pace() {
        let (counter, mut next) = counter(4);
        counter.add(1);
        assert_eq!(
            next(),
            Some(json!({ "done": 1, "total": 4, "percent": 25.0, "eta_s": null }))
        );
        tokio::time::advance(Duration::from_millis(100)).await;
        counter.add(1);
        assert_eq!(next().unwrap()["eta_s"], 0.1);
    }

    #[tokio::test(start_paused = true)]
    async fn never_goes_back_and_never_beyond_the_total() {
        let (counter, mut next) = counter(10);
        counter.set(6);
        assert_eq!(next().unwrap()["done"], 6);
        counter.set(4);
        assert_eq!((counter.done(), next()), (6, None));
        counter.add(u64::MAX);
        assert_eq!(
            (counter.done(), next().unwrap()["percent"].clone()),
            (10, json!(100.0))
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_step_too_small_to_see_is_not_reported() {
        let (counter, mut next) = counter(1_000_000);
        let mut reports = 0;
        for _ in 0..1_000_000 {
            counter.add(1);
            reports += usize::from(next().is_some());
        }
        // From 0.0 to 100.0 %.
        assert_eq!(reports, 1001);
    }

    #[tokio::test(start_paused = true)]
    async fn of_nothing_all_is_done() {
        let (counter, mut next) = counter(0);
        counter.add(3);
        assert_eq!(
            next(),
            Some(json!({ "done": 0, "total": 0, "percent": 100.0, "eta_s": null }))
        );
    }
}
