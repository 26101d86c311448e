//! The interface between the runtime and the platform.
//!
//! [`HttpPlatform`] speaks RunPod's protocol; [`MemoryPlatform`] makes the runtime testable on a
//! paused clock; the local test mode is a platform with a single job.

mod body;
mod http;
mod once;
mod patience;
mod taken;

#[cfg(any(test, feature = "testing"))]
#[cfg_attr(
    not(test),
    allow(dead_code, reason = "faults are injected by this crate's own tests only")
)]
pub(crate) mod memory;

use std::future::Future;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::job::{Job, JobId, JobReport};

pub use http::NoClient;
pub(crate) use http::{HttpPlatform, client};
pub(crate) use once::OncePlatform;
pub(crate) use patience::wait_after;

/// The outcome of one request to the platform.
pub(crate) type Reply<'a, T> = Pin<Box<dyn Future<Output = Result<T, PlatformError>> + Send + 'a>>;

/// The requests of a worker to its platform. Each method sends one request; the runtime retries.
///
/// The runtime knows a `dyn Platform`, so that it is compiled once for all modes.
pub(crate) trait Platform: Send + Sync + 'static {
    /// Asks for at most `at_most` jobs and waits until there is one, the platform ends the poll,
    /// or `give_up` is cancelled. An answer that has begun to arrive is read to its end in any case.
    fn take_jobs<'a>(
        &'a self,
        at_most: NonZeroUsize,
        busy: bool,
        give_up: &'a CancellationToken,
    ) -> Reply<'a, Vec<Job>>;

    /// The most jobs that one take can bring.
    fn most_per_take(&self) -> usize {
        usize::MAX
    }

    /// Posts one chunk of a streaming handler.
    fn post_chunk<'a>(&'a self, job: &'a JobId, chunk: &'a JobReport) -> Reply<'a, ()>;

    /// Posts a progress update or a final result.
    fn post_report<'a>(&'a self, job: &'a JobId, report: &'a JobReport) -> Reply<'a, ()>;

    /// Reports that the worker is alive and that `jobs` are active.
    fn heartbeat<'a>(&'a self, jobs: &'a [JobId]) -> Reply<'a, ()>;

    /// Waits for jobs that are to be stopped. An empty list is a normal answer.
    fn stop_signals(&self) -> Reply<'_, Vec<JobId>>;
}

/// A request to the platform that failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlatformError {
    /// The platform answered with a status other than success.
    #[error("{operation}: the platform answered {status}{}", excerpt(.body))]
    Refused {
        /// The operation: `take`, `done`, `stream`, `stop` or `ping`.
        operation: &'static str,
        /// The HTTP status.
        status: u16,
        /// The time of the answer's `Retry-After` header.
        retry_after: Option<Duration>,
        /// The start of the answer's body.
        body: String,
    },
    /// The platform could not be reached, or the connection broke.
    #[error("{operation}: {reason}")]
    Network {
        /// The operation.
        operation: &'static str,
        /// The chain of causes, innermost last.
        reason: String,
    },
    /// No answer in time.
    #[error("{operation}: no answer within {limit:?}")]
    TimedOut {
        /// The operation.
        operation: &'static str,
        /// How long the worker waited.
        limit: Duration,
    },
    /// A successful answer whose body cannot be read.
    #[error("{operation}: {reason}{}", excerpt(.body))]
    Garbled {
        /// The operation.
        operation: &'static str,
        /// What is wrong with the answer.
        reason: String,
        /// The start of the answer's body.
        body: String,
    },
    /// The worker cannot use this channel; the message says why.
    #[error("{0}")]
    Unavailable(String),
}

impl PlatformError {
    /// The HTTP status, if the platform answered.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// What becomes of a post that failed with this error.
    pub(crate) fn disposition(&self) -> PostDisposition {
        match self.status() {
            Some(404 | 410) => PostDisposition::Gone,
            // A redirect that could not be followed may lead somewhere later.
            Some(300..=399 | 401 | 403 | 408 | 429 | 500..) => PostDisposition::NotNow,
            Some(_) => PostDisposition::Refused,
            None if matches!(self, Self::Unavailable(_)) => PostDisposition::NotHere,
            None => PostDisposition::NotNow,
        }
    }

    /// The operation of the request; `None` if none was sent.
    pub(crate) fn operation(&self) -> Option<&'static str> {
        match self {
            Self::Refused { operation, .. }
            | Self::Network { operation, .. }
            | Self::TimedOut { operation, .. }
            | Self::Garbled { operation, .. } => Some(operation),
            Self::Unavailable(_) => None,
        }
    }

    /// The wait that the platform asks for.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// 401 or 403: the key is missing, wrong or not for this endpoint.
    pub(crate) fn is_credentials(&self) -> bool {
        matches!(self.status(), Some(401 | 403))
    }
}

/// What becomes of a post that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PostDisposition {
    /// The same post may succeed later.
    NotNow,
    /// The platform no longer knows the job.
    Gone,
    /// The platform never accepts this body.
    Refused,
    /// This worker cannot post it; another may.
    NotHere,
}

fn excerpt(body: &str) -> String {
    if body.is_empty() {
        String::new()
    } else {
        format!(": {body}")
    }
}
