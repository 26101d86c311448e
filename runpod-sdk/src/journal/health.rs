//! Whether the disk does what it should. One line when it stops, one when it works again.

use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::{debug, error, info};

/// How long a disk that failed is left alone.
pub(super) const LEFT_ALONE: Duration = Duration::from_mins(1);

#[derive(Debug)]
pub(super) struct Health {
    dir: PathBuf,
    failed_at: Mutex<Option<Instant>>,
    stuck_at: Mutex<Option<Instant>>,
}

impl Health {
    pub(super) fn new(dir: PathBuf) -> Self {
        Self {
            dir,
            failed_at: Mutex::new(None),
            stuck_at: Mutex::new(None),
        }
    }

    /// Whether the disk is worth a try.
    pub(super) fn usable(&self) -> bool {
        let failed_at = self.failed_at.lock().unwrap_or_else(PoisonError::into_inner);
        failed_at.is_none_or(|at| at.elapsed() >= LEFT_ALONE)
    }

    /// Whether the disk does not even answer. Then nothing is asked of it: each question costs a thread.
    pub(super) fn is_stuck(&self) -> bool {
        let stuck_at = self.stuck_at.lock().unwrap_or_else(PoisonError::into_inner);
        stuck_at.is_some_and(|at| at.elapsed() < LEFT_ALONE)
    }

    /// The disk has not answered for so long.
    pub(super) fn stuck(&self, patience: Duration) {
        *self.stuck_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        let error = io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {patience:?}"));
        self.failed(&error);
    }

    /// Takes note of how a write ended.
    pub(super) fn note<T>(&self, done: io::Result<T>) -> Option<T> {
        match done {
            Ok(value) => {
                self.works();
                Some(value)
            }
            Err(error) => {
                self.failed(&error);
                None
            }
        }
    }

    pub(super) fn failed(&self, error: &io::Error) {
        let mut failed_at = self.failed_at.lock().unwrap_or_else(PoisonError::into_inner);
        let first = failed_at.replace(Instant::now()).is_none();
        let dir = self.dir.display();
        if first {
            error!(
                %error,
                "the journal in {dir} can't be written; going on without it: results that can't be delivered \
                 before this process ends are lost. Trying it again every minute"
            );
        } else {
            debug!(%error, "the journal in {dir} still can't be written");
        }
    }

    fn works(&self) {
        let mut failed_at = self.failed_at.lock().unwrap_or_else(PoisonError::into_inner);
        if failed_at.take().is_some() {
            info!("the journal in {} works again", self.dir.display());
        }
    }
}
