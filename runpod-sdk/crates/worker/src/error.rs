//! The errors of a worker as a whole.

use std::error::Error as StdError;
use std::io;
use std::net::SocketAddr;

pub use crate::platform::{NoClient, PlatformError};

/// A failure of the worker as a whole. A failure of one job is a [`JobError`](crate::JobError).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The environment does not describe a worker. One line for each problem.
    #[error("the environment can't be used:\n  {}", .0.join("\n  "))]
    Config(Vec<String>),
    /// A fitness check failed. The failure was reported to the platform, if it could be.
    #[error("Worker is unhealthy, exiting.")]
    Unfit {
        /// The check's name.
        check: String,
        /// Why it failed.
        reason: String,
    },
    /// The worker could not be started.
    #[error("start-up failed: {0}")]
    Startup(#[source] StartupError),
    /// The platform cannot be reached at all.
    #[error("{0}")]
    Platform(#[from] PlatformError),
    /// The worker ended before these jobs were settled. They are left for other workers.
    #[error("left {jobs} job(s) for other workers")]
    Abandoned {
        /// The number of jobs.
        jobs: usize,
    },
    /// A part of the runtime itself broke. This is a bug.
    #[error("Uncaught exception | {0}")]
    Runtime(String),
}

/// The part of a start that failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartupError {
    /// The worker's state could not be loaded.
    #[error("{0}")]
    State(#[source] Box<dyn StdError + Send + Sync>),
    /// Loading the worker's state panicked.
    #[error("loading the state panicked: {0}")]
    StatePanicked(String),
    /// The router's routes contradict each other.
    #[error("{}", .0.join("; "))]
    Routes(Vec<String>),
    /// One route of a router could not be loaded.
    #[error("route {name:?}: {source}")]
    Route {
        /// The route's name.
        name: String,
        /// The failure of its worker.
        #[source]
        source: Box<Self>,
    },
    /// The system refused a thread or an event loop.
    #[error("no {what}: {source}")]
    NoThread {
        /// Its purpose.
        what: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The process may open too few files and sockets.
    #[error(
        "fewer than {needed} file descriptors are free: {source}; raise their limit (`ulimit -n`), or leave fewer open"
    )]
    NoDescriptors {
        /// The number that a worker needs.
        needed: usize,
        /// Why there are not as many.
        #[source]
        source: io::Error,
    },
    /// SIGTERM and SIGINT cannot be listened for.
    #[error("can't listen for signals: {0}")]
    Signals(#[source] io::Error),
    /// The port for requests cannot be listened on.
    #[error("can't listen on {address}: {source}; {variable} says which port")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The variable that names its port.
        variable: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The HTTPS client could not be made.
    #[error("{0}")]
    NoClient(#[source] NoClient),
    /// The platform on this machine could not be started.
    #[cfg(feature = "local-server")]
    #[error("{}", of_local_platform(.0))]
    LocalPlatform(#[source] runpod_local::StartError),
}

/// The error in the words of `--rp_serve_api`.
#[cfg(feature = "local-server")]
fn of_local_platform(error: &runpod_local::StartError) -> String {
    use runpod_local::StartError;
    match error {
        StartError::Listen { address, source } => format!(
            "can't listen on {address}: {source}; choose another port with --rp_api_port, 0 for any that is free"
        ),
        StartError::KeyRequired(address) => format!(
            "other machines can reach {address}, so clients need a key: set RUNPOD_API_KEY, or leave --rp_api_host away"
        ),
        other => other.to_string(),
    }
}

impl From<StartupError> for Error {
    fn from(error: StartupError) -> Self {
        Self::Startup(error)
    }
}

impl From<NoClient> for Error {
    fn from(error: NoClient) -> Self {
        match error {
            NoClient::Key => Self::Config(vec![error.to_string()]),
            NoClient::Tls(_) => Self::Startup(StartupError::NoClient(error)),
        }
    }
}
