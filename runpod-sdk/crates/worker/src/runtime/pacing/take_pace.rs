//! Spaces the takes: back-off after errors, and a floor below long polls that return too early.

use std::time::Duration;

use runpod_protocol::backoff::Backoff;
use tokio::time::Instant;
use tracing::{debug, error, info, warn};

use crate::events::{Events, WorkerEvent};
use crate::platform::{PlatformError, wait_after};

const FIRST_RETRY: Duration = Duration::from_millis(250);
const LONGEST_RETRY: Duration = Duration::from_secs(30);
/// An empty answer sooner than this does not come from a long poll.
const EARLY: Duration = Duration::from_millis(50);
const FIRST_FLOOR: Duration = Duration::from_millis(25);
const HIGHEST_FLOOR: Duration = Duration::from_secs(1);

/// The time of the next take, from the answers to the takes before it.
#[derive(Debug)]
pub(in crate::runtime) struct TakePace {
    errors: Backoff,
    floor: Duration,
    not_before: Option<Instant>,
    credentials_reported: bool,
    /// The time of the first of the takes that fail now; `None` while takes succeed.
    failing: Option<Instant>,
    events: Events,
}

impl TakePace {
    pub(in crate::runtime) fn new(random: fastrand::Rng, events: Events) -> Self {
        Self {
            errors: Backoff::half_jitter(FIRST_RETRY, LONGEST_RETRY, random),
            floor: Duration::ZERO,
            not_before: None,
            credentials_reported: false,
            failing: None,
            events,
        }
    }

    /// Waits until the next take may be sent.
    pub(in crate::runtime) async fn wait(&mut self) {
        if let Some(at) = self.not_before.take() {
            tokio::time::sleep_until(at).await;
        }
    }

    /// Records a take that brought jobs.
    pub(in crate::runtime) fn worked(&mut self) {
        self.recovered();
        self.floor = Duration::ZERO;
    }

    /// Records a take that brought no job. A server that answers so at once is asked at growing intervals.
    pub(in crate::runtime) fn empty(&mut self, after: Duration) {
        self.recovered();
        if after >= EARLY {
            self.floor = Duration::ZERO;
            return;
        }
        self.floor = (self.floor * 2).clamp(FIRST_FLOOR, HIGHEST_FLOOR);
        self.not_before = Some(Instant::now() + self.floor);
    }

    /// Records a take that failed.
    pub(in crate::runtime) fn failed(&mut self, error: &PlatformError) {
        let wait = wait_after(error, &mut self.errors);
        self.not_before = Some(Instant::now() + wait);
        if error.is_credentials() {
            if !self.credentials_reported {
                self.credentials_reported = true;
                error!(%error, "the platform does not accept this worker's key; check RUNPOD_AI_API_KEY. Going on trying");
            }
        } else if self.failing.is_some() {
            debug!(%error, retry_in = ?wait, "still no jobs to be had");
        } else {
            warn!(%error, retry_in = ?wait, "could not take jobs");
        }
        if self.failing.is_none() {
            self.failing = Some(Instant::now());
            self.events.emit(|| WorkerEvent::PlatformUnreachable {
                reason: error.to_string(),
            });
        }
    }

    fn recovered(&mut self) {
        if let Some(since) = self.failing.take() {
            info!("taking jobs again");
            self.events.emit(|| WorkerEvent::PlatformRecovered {
                after: since.elapsed(),
            });
        }
        self.credentials_reported = false;
        self.errors.reset();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn polls_that_return_early_get_a_growing_floor_up_to_a_second() {
        let mut pace = TakePace::new(fastrand::Rng::with_seed(1), Events::default());
        let mut waits = Vec::new();
        for _ in 0..8 {
            pace.empty(Duration::from_millis(1));
            let before = Instant::now();
            pace.wait().await;
            waits.push(before.elapsed().as_millis());
        }
        assert_eq!(waits, [25, 50, 100, 200, 400, 800, 1000, 1000]);
        pace.empty(Duration::from_secs(10));
        assert!(pace.not_before.is_none(), "a real long poll needs no pause");
    }

    #[tokio::test(start_paused = true)]
    async fn too_many_requests_waits_as_long_as_asked() {
        let refused = |retry_after| PlatformError::Refused {
            operation: "take",
            status: 429,
            retry_after,
            body: String::new(),
        };
        let mut pace = TakePace::new(fastrand::Rng::with_seed(1), Events::default());
        let before = Instant::now();
        pace.failed(&refused(Some(Duration::from_secs(2))));
        pace.wait().await;
        assert_eq!(before.elapsed().as_secs(), 2);
        pace.failed(&refused(None));
        pace.wait().await;
        assert_eq!(before.elapsed().as_secs(), 7);
    }

    #[tokio::test(start_paused = true)]
    async fn too_many_requests_without_a_pause_still_means_a_pause() {
        let refused = PlatformError::Refused {
            operation: "take",
            status: 429,
            retry_after: Some(Duration::ZERO),
            body: String::new(),
        };
        let mut pace = TakePace::new(fastrand::Rng::with_seed(1), Events::default());
        let before = Instant::now();
        for _ in 0..20 {
            pace.failed(&refused);
            pace.wait().await;
        }
        assert!(before.elapsed() > LONGEST_RETRY * 5, "{:?}", before.elapsed());
    }
}
