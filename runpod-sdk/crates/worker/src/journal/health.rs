//! Whether the disk does what it should. One line when it stops, one when it works again.

use runpod_protocol::sync::{Mutex, MutexGuard};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, error, info};

/// How long a disk that failed is left alone.
pub(super) const LEFT_ALONE: Duration = Duration::from_mins(1);

#[derive(Debug)]
pub(super) struct Health {
    dir: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The last that was heard of it is bad.
    failed: bool,
    /// When it is worth another try.
    not_before: Option<Instant>,
    /// Calls that should have returned long ago.
    overdue: usize,
}

/// A call that should have returned long ago. Drop it when it has.
pub(super) struct Overdue(Arc<Health>);

impl Health {
    pub(super) fn new(dir: PathBuf) -> Arc<Self> {
        Arc::new(Self {
            dir,
            state: Mutex::default(),
        })
    }

    /// Whether the disk is worth a try.
    pub(super) fn usable(&self) -> bool {
        let state = self.lock();
        state.overdue == 0 && state.not_before.is_none_or(|at| Instant::now() >= at)
    }

    /// Whether the disk does not even answer. Then nothing is asked of it until it does: each question costs a
    /// thread, and whoever asks must wait.
    pub(super) fn is_stuck(&self) -> bool {
        self.lock().overdue > 0
    }

    /// A call has not returned for so long.
    pub(super) fn overdue(self: &Arc<Self>, patience: Duration) -> Overdue {
        self.lock().overdue += 1;
        let error = io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {patience:?}"));
        self.failed(&error);
        Overdue(self.clone())
    }

    /// Takes note of how something ended.
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
        let mut state = self.lock();
        let first = !std::mem::replace(&mut state.failed, true);
        state.not_before = Some(Instant::now() + LEFT_ALONE);
        drop(state);
        let dir = self.dir.display();
        if first {
            error!(
                %error,
                "the journal in {dir} can't be used; going on without it: results that can't be delivered before \
                 this process ends are lost. It is tried again every minute, or once it answers"
            );
        } else {
            debug!(%error, "the journal in {dir} still can't be used");
        }
    }

    fn works(&self) {
        let mut state = self.lock();
        // What one call that went through says of a disk with others that hang is nothing.
        if state.overdue == 0 && state.failed {
            *state = State::default();
            info!("the journal in {} works again", self.dir.display());
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl Drop for Overdue {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.overdue -= 1;
        if state.overdue == 0 {
            // It answers: the next call shows whether it works.
            state.not_before = None;
        }
    }
}
