//! The one clock behind every timer of the platform.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// Where the platform reads the time and waits for it to pass.
///
/// Times are durations since the clock was made. Long polls, time to live, execution limits,
/// retention, lost-worker detection and webhook retries all go through the same clock, so a test
/// with [`Clock::manual`] moves hours in milliseconds.
///
/// ```
/// use std::time::Duration;
/// use runpod_sdk::local::Clock;
///
/// let clock = Clock::manual();
/// clock.advance(Duration::from_hours(1));
/// assert_eq!(clock.now(), Duration::from_hours(1));
/// ```
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    Real(Instant),
    Manual(ManualClock),
}

impl Clock {
    /// A clock that follows the machine's monotonic time, starting at zero now.
    pub fn real() -> Self {
        Self(Source::Real(Instant::now()))
    }

    /// A clock that stands still until it is [advanced](ManualClock::advance).
    pub fn manual() -> ManualClock {
        ManualClock {
            now: Arc::new(watch::Sender::new(Duration::ZERO)),
        }
    }

    /// Time passed since the clock was made.
    pub fn now(&self) -> Duration {
        match &self.0 {
            Source::Real(origin) => origin.elapsed(),
            Source::Manual(clock) => clock.now(),
        }
    }

    /// Returns once the clock shows `at` or later; at once if it already does.
    pub(crate) async fn sleep_until(&self, at: Duration) {
        match &self.0 {
            Source::Real(origin) => match origin.checked_add(at) {
                Some(instant) => tokio::time::sleep_until(instant).await,
                None => std::future::pending().await,
            },
            Source::Manual(clock) => {
                let mut now = clock.now.subscribe();
                // The sender lives as long as `self`, so waiting cannot end early.
                let _ = now.wait_for(|now| *now >= at).await;
            }
        }
    }

    /// Returns after `span` has passed on this clock.
    pub(crate) async fn sleep(&self, span: Duration) {
        self.sleep_until(self.now().saturating_add(span)).await;
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::real()
    }
}

/// A clock moved by hand. Clones share the same time.
#[derive(Clone, Debug)]
pub struct ManualClock {
    now: Arc<watch::Sender<Duration>>,
}

impl ManualClock {
    /// Time passed so far: the sum of all advances.
    pub fn now(&self) -> Duration {
        *self.now.borrow()
    }

    /// Moves the clock forward and wakes whatever was waiting for a time now reached.
    pub fn advance(&self, by: Duration) {
        self.now.send_modify(|now| *now = now.saturating_add(by));
    }
}

impl From<ManualClock> for Clock {
    fn from(clock: ManualClock) -> Self {
        Self(Source::Manual(clock))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_manual_clock_wakes_its_sleepers_when_their_time_has_come() {
        let manual = Clock::manual();
        let clock = Clock::from(manual.clone());
        let sleeper = tokio::spawn(async move {
            clock.sleep_until(Duration::from_secs(10)).await;
            clock.now()
        });
        manual.advance(Duration::from_secs(4));
        manual.advance(Duration::from_secs(7));
        assert_eq!(sleeper.await.unwrap(), Duration::from_secs(11));
    }

    #[tokio::test(start_paused = true)]
    async fn a_real_clock_follows_the_runtime() {
        let clock = Clock::real();
        clock.sleep(Duration::from_secs(5)).await;
        assert!(clock.now() >= Duration::from_secs(5));
    }
}
