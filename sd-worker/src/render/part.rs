//! The part of a job that one of its renders makes.

use std::time::Duration;

/// One of a job's renders, which are all of the same size. Most jobs have one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct JobPart {
    number: u32,
    of: u32,
}

impl JobPart {
    /// The only render of a job.
    pub(crate) const WHOLE: Self = Self { number: 0, of: 1 };

    /// The render with this number, from 0, `of` all.
    pub(crate) fn new(number: u32, of: u32) -> Self {
        Self {
            number,
            of: of.max(number.saturating_add(1)),
        }
    }

    pub(crate) fn is_first(self) -> bool {
        self.number == 0
    }

    pub(crate) fn is_last(self) -> bool {
        self.after() == 0
    }

    /// The number of renders before this one.
    pub(super) fn before(self) -> u32 {
        self.number
    }

    /// The number of the job's renders.
    pub(super) fn all(self) -> u32 {
        self.of
    }

    /// The done part of the job in percent, from that of this render. It grows with both.
    pub(super) fn percent(self, of_this: u8) -> u8 {
        let percent = (u64::from(self.number) * 100 + u64::from(of_this.min(100))) / u64::from(self.of);
        u8::try_from(percent).unwrap_or(100)
    }

    /// The time left for the job, from that of this render, if each later one takes `each`.
    pub(super) fn time_left(self, of_this: Duration, each: Duration) -> Duration {
        of_this.saturating_add(each.saturating_mul(self.after()))
    }

    fn after(self) -> u32 {
        self.of - self.number - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percents_of_parts_are_those_of_the_job_and_never_fall() {
        let percents: Vec<u8> = (0..3)
            .flat_map(|number| [0, 50, 99].map(|percent| JobPart::new(number, 3).percent(percent)))
            .collect();
        assert_eq!(percents, [0, 16, 33, 33, 50, 66, 66, 83, 99]);
        assert!((0..=100).all(|percent| JobPart::WHOLE.percent(percent) == percent));
    }

    #[test]
    fn parts_that_come_later_take_their_time() {
        let seconds = Duration::from_secs;
        assert_eq!(JobPart::new(1, 4).time_left(seconds(1), seconds(5)), seconds(11));
        assert_eq!(JobPart::WHOLE.time_left(seconds(1), seconds(5)), seconds(1));
        assert!(JobPart::WHOLE.is_first() && JobPart::WHOLE.is_last());
    }
}
