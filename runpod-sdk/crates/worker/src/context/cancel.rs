//! Cancellation of a job, with its reason.

use std::fmt;
use std::sync::{Arc, OnceLock};

use tokio_util::sync::CancellationToken;

/// Why a job was cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CancelReason {
    /// The platform asked for it, most often because the client cancelled the job.
    Stopped,
    /// The job's deadline has passed.
    DeadlineExceeded,
    /// The worker is going away and its grace period is over.
    ShuttingDown,
}

impl fmt::Display for CancelReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stopped => "stopped by the platform",
            Self::DeadlineExceeded => "its deadline has passed",
            Self::ShuttingDown => "the worker is shutting down",
        })
    }
}

/// A cancellation token that keeps its first reason.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cancel {
    token: CancellationToken,
    reason: Arc<OnceLock<CancelReason>>,
}

impl Cancel {
    /// Cancels the job. If it is cancelled already, the first reason stays.
    pub(crate) fn cancel(&self, reason: CancelReason) {
        if self.reason.set(reason).is_ok() {
            self.token.cancel();
        }
    }

    pub(crate) fn reason(&self) -> Option<CancelReason> {
        self.reason.get().copied()
    }

    /// Whether `other` is a clone of this one.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.reason, &other.reason)
    }

    pub(crate) fn token(&self) -> &CancellationToken {
        &self.token
    }

    pub(crate) async fn cancelled(&self) -> CancelReason {
        self.token.cancelled().await;
        // The reason is set before the token is cancelled. It is missing only if the handler cancels the token that
        // `Context::cancellation_token` returned.
        self.reason().unwrap_or(CancelReason::Stopped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_reason_stays() {
        let cancel = Cancel::default();
        assert_eq!(cancel.reason(), None);
        cancel.cancel(CancelReason::DeadlineExceeded);
        cancel.cancel(CancelReason::Stopped);
        assert_eq!(cancel.cancelled().await, CancelReason::DeadlineExceeded);
    }
}
