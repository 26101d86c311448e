//! Retries of one post within the delivery window.

use std::time::Duration;

use runpod_protocol::backoff::Backoff;
use tokio::time::Instant;
use tracing::{debug, error, warn};

use crate::platform::{PlatformError, PostDisposition, wait_after};
use crate::runtime::Runtime;

const FIRST_RETRY: Duration = Duration::from_millis(200);

/// What to do after a failed post.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum AfterFailure {
    /// Post again after this wait.
    Retry(Duration),
    /// The platform no longer knows the job.
    Gone,
    /// The platform never accepts this body.
    Refused,
    /// The delivery window is spent.
    GiveUp,
}

/// The attempts at one post: the waits between them and the end of the delivery window.
pub(super) struct Attempts {
    backoff: Backoff,
    /// The end of the window; `None` if it is beyond the clock's range.
    until: Option<Instant>,
    credentials_reported: bool,
    pub(super) failures: u32,
}

impl Attempts {
    pub(super) fn new(runtime: &Runtime) -> Self {
        Self {
            backoff: Backoff::full_jitter(
                FIRST_RETRY,
                runtime.settings.limits.delivery_longest_wait,
                runtime.random_for("deliver"),
            ),
            until: Instant::now().checked_add(runtime.settings.delivery_window),
            credentials_reported: false,
            failures: 0,
        }
    }

    /// Counts a failure and decides what follows it.
    pub(super) fn after(&mut self, error: &PlatformError) -> AfterFailure {
        self.failures += 1;
        let wait = match error.disposition() {
            PostDisposition::Gone => return AfterFailure::Gone,
            PostDisposition::Refused => return AfterFailure::Refused,
            PostDisposition::NotHere => return AfterFailure::GiveUp,
            PostDisposition::NotNow => wait_after(error, &mut self.backoff),
        };
        // The last attempt comes at the end of the window, even if the back-off would wait longer.
        let left = self
            .until
            .map(|until| until.saturating_duration_since(Instant::now()));
        match left {
            None => AfterFailure::Retry(wait),
            Some(Duration::ZERO) => AfterFailure::GiveUp,
            Some(left) => AfterFailure::Retry(wait.min(left)),
        }
    }

    /// Logs a failure that is retried: loudly the first time.
    pub(super) fn log(&mut self, error: &PlatformError, wait: Duration, bytes: usize) {
        if error.is_credentials() {
            if !self.credentials_reported {
                self.credentials_reported = true;
                error!(%error, bytes, "the platform does not accept this worker's key for a result; check RUNPOD_AI_API_KEY. Going on trying");
            }
        } else if self.failures == 1 {
            warn!(%error, bytes, retry_in = ?wait, "could not deliver the result; trying again");
        } else {
            debug!(%error, bytes, retry_in = ?wait, failures = self.failures, "still not delivered");
        }
    }
}
