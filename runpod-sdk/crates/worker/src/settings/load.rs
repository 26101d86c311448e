//! The load of a worker, by which an adaptive concurrency decides.

use std::time::Duration;

/// The load of a worker, for the function of [`Concurrency::adaptive`](crate::Concurrency::adaptive).
///
/// For a test of such a function, change the fields of a [`Load::default`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Load {
    /// The lower bound of the range.
    pub lowest: usize,
    /// The upper bound of the range.
    pub highest: usize,
    /// The number of jobs that may run now.
    pub limit: usize,
    /// The number of running jobs.
    pub running: usize,
    /// The number of takes in a row that brought all the jobs they asked for: the queue may have more.
    pub full_takes: u32,
    /// The number of takes in a row that brought none.
    pub empty_takes: u32,
    /// The number of jobs that have ended since the limit was changed.
    pub ended: u32,
    /// The mean handler time of these jobs; of many, later ones count for more. `None` until a job has ended.
    pub handler_time: Option<Duration>,
    /// The mean handler time at the lowest limit, measured last: the time of a job that hardly shares the machine.
    pub lone_time: Option<Duration>,
}

impl Default for Load {
    /// An idle worker with one slot.
    fn default() -> Self {
        Self {
            lowest: 1,
            highest: 1,
            limit: 1,
            running: 0,
            full_takes: 0,
            empty_takes: 0,
            ended: 0,
            handler_time: None,
            lone_time: None,
        }
    }
}

impl Load {
    /// A choice that suits handlers whose jobs take about the same time each.
    ///
    /// Jobs that share a machine without loss take as long as alone. Jobs that only wait for each other take
    /// twice as long when there are twice as many. The difference gives the number of jobs that only wait. Like TCP
    /// Vegas, this adds a slot while that number is below one and jobs are in the queue, and removes one when it is
    /// above two. Work that runs in parallel grows to the highest limit. Other work stays at two or three: while one
    /// job computes, the next has its input ready.
    ///
    /// After each change it waits until twice as many jobs have ended as run at once.
    pub fn suggest(&self) -> usize {
        let settled = usize::try_from(self.ended).unwrap_or(usize::MAX) / 2 >= self.limit;
        let (Some(time), Some(alone), true) = (self.handler_time, self.lone_time, settled) else {
            return self.limit;
        };
        let all = time.as_nanos();
        let waits = all.saturating_sub(alone.as_nanos());
        let jobs = u128::try_from(self.limit).unwrap_or(u128::MAX);
        // The number of jobs that only wait, compared without a division.
        let waiting = waits.saturating_mul(jobs);
        if waiting > all.saturating_mul(2) {
            self.limit.saturating_sub(1).max(self.lowest)
        } else if waiting < all && self.running >= self.limit && self.full_takes > 0 {
            (self.limit + 1).min(self.highest)
        } else {
            self.limit
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A worker with all slots in use and jobs in the queue, whose jobs take this time.
    fn busy(limit: usize, millis: u64) -> Load {
        Load {
            lowest: 1,
            highest: 8,
            limit,
            running: limit,
            full_takes: 1,
            ended: u32::try_from(limit).unwrap() * 2,
            handler_time: Some(Duration::from_millis(millis)),
            lone_time: Some(Duration::from_millis(100)),
            ..Load::default()
        }
    }

    /// The sequence of limits for this job time at each limit.
    fn course(from: usize, time: impl Fn(usize) -> u64) -> Vec<usize> {
        let mut limit = from;
        let mut course = Vec::new();
        for _ in 0..12 {
            limit = busy(limit, time(limit)).suggest();
            course.push(limit);
        }
        course
    }

    fn wide(limit: usize) -> u64 {
        u64::try_from(limit).unwrap()
    }

    #[test]
    fn work_that_shares_without_loss_grows_to_the_highest_limit() {
        assert_eq!(course(1, |_| 100), [2, 3, 4, 5, 6, 7, 8, 8, 8, 8, 8, 8]);
    }

    #[test]
    fn work_that_only_waits_for_itself_stays_at_two_and_comes_down_to_three() {
        assert_eq!(course(1, |limit| 100 * wide(limit)).last(), Some(&2));
        assert_eq!(course(8, |limit| 100 * wide(limit)).last(), Some(&3));
    }

    #[test]
    fn nothing_grows_without_demand_or_before_enough_has_been_seen() {
        assert_eq!(busy(3, 100).suggest(), 4);
        assert_eq!(
            Load {
                running: 2,
                ..busy(3, 100)
            }
            .suggest(),
            3
        );
        assert_eq!(
            Load {
                full_takes: 0,
                ..busy(3, 100)
            }
            .suggest(),
            3
        );
        assert_eq!(
            Load {
                ended: 5,
                ..busy(3, 100)
            }
            .suggest(),
            3
        );
        assert_eq!(
            Load {
                handler_time: None,
                ..busy(3, 100)
            }
            .suggest(),
            3
        );
        assert_eq!(Load::default().suggest(), 1);
    }

    proptest! {
        #[test]
        fn a_suggestion_is_one_step_at_most_and_within_the_range(
            (lowest, highest, limit) in (1_usize..9, 0_usize..9, 0_usize..9)
                .prop_map(|(lowest, more, within)| (lowest, lowest + more, lowest + within.min(more))),
            running in 0_usize..20,
            takes in (0_u32..5, 0_u32..5),
            ended: u32,
            times in (prop::option::of(any::<u64>()), prop::option::of(any::<u64>())),
        ) {
            let load = Load {
                lowest,
                highest,
                limit,
                running,
                full_takes: takes.0,
                empty_takes: takes.1,
                ended,
                handler_time: times.0.map(Duration::from_nanos),
                lone_time: times.1.map(Duration::from_nanos),
            };
            let next = load.suggest();
            prop_assert!((lowest..=highest).contains(&next));
            prop_assert!(next.abs_diff(limit) <= 1);
        }
    }
}
