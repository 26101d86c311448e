//! What happens to jobs that outlast the grace period.

use std::str::FromStr;

/// What happens to a job that still runs when the worker's grace period ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum WhenAbandoned {
    /// Post nothing and stop the heartbeat, after which the platform gives the job to another worker.
    #[default]
    LetPlatformRequeue,
    /// Post a failure with the code `WORKER_STOPPED`.
    PostError,
}

/// A text that is no [`WhenAbandoned`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write requeue or post_error")]
#[non_exhaustive]
pub struct UnknownWhenAbandoned;

impl FromStr for WhenAbandoned {
    type Err = UnknownWhenAbandoned;

    /// `requeue` or `post_error`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "requeue" => Ok(Self::LetPlatformRequeue),
            "post_error" => Ok(Self::PostError),
            _ => Err(UnknownWhenAbandoned),
        }
    }
}
