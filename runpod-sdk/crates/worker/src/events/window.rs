//! A window over the last jobs: success rate, mean time and trend, for a health line or a status page.

use std::collections::VecDeque;
use std::time::Duration;

/// A window over the last jobs: their success rate, their mean time and its trend.
///
/// It has no clock and no worker: the program records each job, for example from a listener for events.
///
/// ```
/// use std::time::Duration;
///
/// use runpod_sdk::events::Window;
///
/// let mut window = Window::new(100);
/// for seconds in [1, 1, 2, 2] {
///     window.record(true, Duration::from_secs(seconds));
/// }
/// window.record(false, Duration::ZERO);
/// assert_eq!(window.success_rate(), Some(0.8));
/// assert_eq!(window.average(), Some(Duration::from_millis(1500)));
/// assert_eq!(window.trend(), Some(2.0));
/// ```
#[derive(Debug, Clone)]
pub struct Window {
    /// Oldest first.
    jobs: VecDeque<WindowEntry>,
    most: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WindowEntry {
    /// With the time it took, if that is known.
    Succeeded(Option<Duration>),
    Failed,
}

impl Window {
    /// A window over the last `most` jobs. Zero counts as 1.
    pub fn new(most: usize) -> Self {
        Self {
            jobs: VecDeque::new(),
            most: most.max(1),
        }
    }

    /// Records a job that ended after `took`. The time of a failed job does not count, because many fail at once. `None`
    /// records a success whose time does not count: it changes the [`success_rate`](Self::success_rate) alone.
    pub fn record(&mut self, succeeded: bool, took: impl Into<Option<Duration>>) {
        if self.jobs.len() == self.most {
            self.jobs.pop_front();
        }
        self.jobs.push_back(if succeeded {
            WindowEntry::Succeeded(took.into())
        } else {
            WindowEntry::Failed
        });
    }

    /// The number of jobs in the window.
    pub fn len(&self) -> usize {
        self.jobs.len()
    }

    /// Whether the window is empty.
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// The part of the jobs that succeeded, from 0 to 1; `None` without jobs.
    pub fn success_rate(&self) -> Option<f64> {
        let succeeded = self
            .jobs
            .iter()
            .filter(|job| **job != WindowEntry::Failed)
            .count();
        (!self.is_empty()).then(|| ratio(succeeded, self.len()))
    }

    /// The mean time of the jobs that succeeded; `None` if none did.
    pub fn average(&self) -> Option<Duration> {
        average(self.times())
    }

    /// The mean time of the newer half of the successes, divided by that of the older half: above 1,
    /// jobs take longer than before. With an odd number the one in the middle counts in neither half.
    /// `None` with fewer than four, and if the older ones took no time at all.
    pub fn trend(&self) -> Option<f64> {
        let times: Vec<Duration> = self.times().collect();
        if times.len() < 4 {
            return None;
        }
        let half = times.len() / 2;
        let older = average(times[..half].iter().copied())?;
        let newer = average(times[times.len() - half..].iter().copied())?;
        (!older.is_zero()).then(|| newer.as_secs_f64() / older.as_secs_f64())
    }

    fn times(&self) -> impl Iterator<Item = Duration> {
        self.jobs.iter().filter_map(|job| match job {
            WindowEntry::Succeeded(took) => *took,
            WindowEntry::Failed => None,
        })
    }
}

fn average(times: impl Iterator<Item = Duration>) -> Option<Duration> {
    let (sum, number) = times.fold((Duration::ZERO, 0_u32), |(sum, number), time| {
        (sum.saturating_add(time), number.saturating_add(1))
    });
    sum.checked_div(number)
}

#[expect(clippy::cast_precision_loss, reason = "no window holds 2^52 jobs")]
fn ratio(part: usize, whole: usize) -> f64 {
    part as f64 / whole as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(times: &[u64]) -> Window {
        let mut window = Window::new(8);
        for time in times {
            window.record(true, Duration::from_secs(*time));
        }
        window
    }

    #[test]
    fn nothing_is_claimed_without_jobs() {
        let window = Window::new(0);
        assert!(window.is_empty());
        assert_eq!(window.success_rate(), None);
        assert_eq!(window.average(), None);
        assert_eq!(window.trend(), None);
    }

    #[test]
    fn old_jobs_are_forgotten() {
        let mut window = Window::new(2);
        window.record(false, Duration::ZERO);
        window.record(true, Duration::from_secs(4));
        assert_eq!(window.success_rate(), Some(0.5));
        window.record(true, Duration::from_secs(2));
        assert_eq!((window.success_rate(), window.len()), (Some(1.0), 2));
        assert_eq!(window.average(), Some(Duration::from_secs(3)));
    }

    #[test]
    fn failed_jobs_change_neither_average_nor_trend() {
        let mut window = seconds(&[1, 1, 3, 3]);
        let before = (window.average(), window.trend());
        window.record(false, Duration::from_secs(100));
        assert_eq!((window.average(), window.trend()), before);
    }

    #[test]
    fn a_success_without_a_time_counts_as_one_and_changes_neither_average_nor_trend() {
        let mut window = seconds(&[1, 1, 3, 3]);
        let before = (window.average(), window.trend());
        window.record(true, None);
        window.record(false, None);
        assert_eq!((window.average(), window.trend()), before);
        assert_eq!(window.success_rate(), Some(5.0 / 6.0));
    }

    proptest::proptest! {
        #[test]
        fn figures_stay_in_their_bounds(
            jobs in proptest::collection::vec((proptest::bool::ANY, proptest::option::of(0_u64..1000)), 0..300)
        ) {
            let mut window = Window::new(100);
            for (succeeded, took) in jobs {
                window.record(succeeded, took.map(Duration::from_secs));
            }
            proptest::prop_assert!(window.len() <= 100);
            proptest::prop_assert!(window.success_rate().is_none_or(|share| (0.0..=1.0).contains(&share)));
            proptest::prop_assert!(window.average().is_none_or(|time| time < Duration::from_secs(1000)));
            proptest::prop_assert!(window.trend().is_none_or(|trend| trend.is_finite() && trend >= 0.0));
        }
    }

    #[test]
    fn the_trend_compares_the_newer_half_with_the_older() {
        assert_eq!(seconds(&[1, 2, 3]).trend(), None, "too few to tell");
        assert_eq!(seconds(&[2, 2, 1, 1]).trend(), Some(0.5));
        assert_eq!(
            seconds(&[2, 2, 100, 2, 2]).trend(),
            Some(1.0),
            "the middle is no half"
        );
        assert_eq!(seconds(&[0, 0, 1, 1]).trend(), None, "nothing to compare with");
    }
}
