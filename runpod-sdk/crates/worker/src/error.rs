//! Why a worker could not start or go on.

use crate::platform::PlatformError;

/// A failure of the worker as a whole. A failure of one job is a [`JobError`](crate::JobError).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The environment does not describe a worker. One line for each problem.
    #[error("the environment can't be used:\n  {}", .0.join("\n  "))]
    Config(Vec<String>),
    /// A fitness check failed; the platform has been told.
    #[error("Worker is unhealthy, exiting.")]
    Unfit {
        /// The check's name.
        check: String,
        /// Why it failed.
        reason: String,
    },
    /// The worker's state could not be loaded.
    #[error("start-up failed: {0}")]
    Startup(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The platform cannot be reached at all.
    #[error("{0}")]
    Platform(#[from] PlatformError),
    /// The worker had to go before these jobs were settled; they are left for other workers.
    #[error("left {jobs} job(s) for other workers")]
    Abandoned {
        /// How many.
        jobs: usize,
    },
    /// A part of the runtime itself broke. This is a bug.
    #[error("Uncaught exception | {0}")]
    Runtime(String),
}
