//! How long requests to the platform may take.

use std::time::Duration;

/// Limits of single requests; retries have limits of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// How long one long poll may stay open.
    pub(crate) poll: Duration,
    /// How long any other request may take, its body included.
    pub(crate) request: Duration,
    /// How long a connection may take to be made.
    pub(crate) connect: Duration,
    /// How long a result waits for a progress update that is on its way.
    pub(crate) progress: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            poll: Duration::from_secs(90),
            request: Duration::from_mins(10),
            connect: Duration::from_secs(30),
            progress: Duration::from_secs(10),
        }
    }
}
