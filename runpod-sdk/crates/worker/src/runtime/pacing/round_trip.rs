//! The round trip to the platform, measured on the requests that a worker sends anyway.

use runpod_protocol::sync::{Mutex, MutexGuard};
use std::time::Duration;

/// The mean that is assumed before the first measurement.
const FIRST: Duration = Duration::from_millis(50);
/// A take longer than this multiple of the mean has most likely waited for a job.
const WAITED: u32 = 3;
/// The largest body in bytes that measures the round trip rather than its upload.
const SMALL: usize = 64 << 10;

/// The smoothed round trip and its deviation, as in TCP (RFC 6298).
#[derive(Debug)]
pub(in crate::runtime) struct RoundTrip {
    state: Mutex<Smoothed>,
}

#[derive(Debug, Clone, Copy)]
struct Smoothed {
    mean: Duration,
    deviation: Duration,
    measured: bool,
}

impl RoundTrip {
    pub(in crate::runtime) fn new() -> Self {
        Self {
            state: Mutex::new(Smoothed {
                mean: FIRST,
                deviation: FIRST / 2,
                measured: false,
            }),
        }
    }

    /// Records a take that brought a job. A take that was too long for a round trip has waited for its job and is not
    /// counted.
    pub(in crate::runtime) fn took(&self, time: Duration) {
        let mut state = self.lock();
        if time <= state.mean * WAITED {
            state.add(time);
        }
    }

    /// Records a post of `bytes` and its answer.
    pub(in crate::runtime) fn posted(&self, bytes: usize, time: Duration) {
        if bytes <= SMALL {
            self.lock().add(time);
        }
    }

    /// The time by which a take is sent before its slot is free: a round trip and a margin, because a job that waits costs
    /// less than a worker that does. It is less than two round trips.
    pub(in crate::runtime) fn lead(&self) -> Duration {
        let Smoothed { mean, deviation, .. } = *self.lock();
        (mean + deviation * 2).clamp(mean + mean / 10, mean + mean / 2)
    }

    fn lock(&self) -> MutexGuard<'_, Smoothed> {
        self.state.lock()
    }
}

impl Smoothed {
    fn add(&mut self, time: Duration) {
        if self.measured {
            self.deviation = (self.deviation * 3 + self.mean.abs_diff(time)) / 4;
            self.mean = (self.mean * 7 + time) / 8;
        } else {
            self.mean = time;
            self.deviation = time / 2;
            self.measured = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn the_first_measurement_replaces_the_assumption() {
        let trip = RoundTrip::new();
        assert_eq!(trip.lead(), FIRST + FIRST / 2);
        trip.posted(100, ms(8));
        assert_eq!(trip.lead(), ms(12));
    }

    #[test]
    fn takes_that_waited_for_a_job_and_large_posts_say_nothing() {
        let trip = RoundTrip::new();
        trip.posted(100, ms(20));
        let lead = trip.lead();
        trip.took(ms(61));
        trip.posted(SMALL + 1, ms(900));
        assert_eq!(trip.lead(), lead);
    }

    #[test]
    fn a_steady_connection_is_given_a_tenth_and_a_restless_one_more() {
        let trip = RoundTrip::new();
        for _ in 0..40 {
            trip.took(ms(50));
        }
        assert!((ms(55)..ms(56)).contains(&trip.lead()), "{:?}", trip.lead());
        for turn in 0..40 {
            trip.took(if turn % 2 == 0 { ms(30) } else { ms(70) });
        }
        assert!(trip.lead() > ms(65), "{:?}", trip.lead());
    }

    #[test]
    fn a_longer_way_is_learned_from_posts() {
        let trip = RoundTrip::new();
        trip.took(ms(5));
        for _ in 0..40 {
            trip.posted(10, ms(100));
        }
        assert!(trip.lead() > ms(100));
    }

    proptest! {
        #[test]
        fn the_lead_is_more_than_the_mean_and_less_than_two(times in prop::collection::vec(1_u64..5000, 1..60)) {
            let trip = RoundTrip::new();
            for time in times {
                trip.posted(1, ms(time));
                let mean = trip.lock().mean;
                prop_assert!(trip.lead() > mean && trip.lead() < mean * 2);
            }
        }
    }
}
