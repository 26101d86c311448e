//! The health of the journal's disk. It logs one line when the disk fails and one when it works again.

use runpod_protocol::sync::{Mutex, MutexGuard};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, error, info};

/// The time after which a failed disk is tried again.
pub(super) const RETRY_AFTER: Duration = Duration::from_mins(1);

#[derive(Debug)]
pub(super) struct DiskHealth {
    dir: PathBuf,
    state: Mutex<HealthState>,
}

#[derive(Debug, Default)]
struct HealthState {
    /// Whether the last result was a failure.
    failed: bool,
    /// The time of the next try.
    not_before: Option<Instant>,
    /// The number of overdue calls.
    overdue: usize,
}

/// A guard of a call that is overdue. Drop it when the call has returned.
pub(super) struct OverdueCall(Arc<DiskHealth>);

impl DiskHealth {
    pub(super) fn new(dir: PathBuf) -> Arc<Self> {
        Arc::new(Self {
            dir,
            state: Mutex::default(),
        })
    }

    /// Whether the disk may be tried now.
    pub(super) fn usable(&self) -> bool {
        let state = self.lock();
        state.overdue == 0 && state.not_before.is_none_or(|at| Instant::now() >= at)
    }

    /// Whether a call is overdue. Then no further call is made until it returns: each would block a thread and its
    /// caller.
    pub(super) fn is_stuck(&self) -> bool {
        self.lock().overdue > 0
    }

    /// Records a call that has not returned within `timeout`.
    pub(super) fn overdue(self: &Arc<Self>, timeout: Duration) -> OverdueCall {
        self.lock().overdue += 1;
        let error = io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {timeout:?}"));
        self.failed(&error);
        OverdueCall(self.clone())
    }

    /// Records the result of a call.
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
        state.not_before = Some(Instant::now() + RETRY_AFTER);
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
        // While other calls hang, one success does not mean that the disk works.
        if state.overdue == 0 && state.failed {
            *state = HealthState::default();
            info!("the journal in {} works again", self.dir.display());
        }
    }

    fn lock(&self) -> MutexGuard<'_, HealthState> {
        self.state.lock()
    }
}

impl Drop for OverdueCall {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.overdue -= 1;
        if state.overdue == 0 {
            // The disk answers again; the next call shows whether it works.
            state.not_before = None;
        }
    }
}
