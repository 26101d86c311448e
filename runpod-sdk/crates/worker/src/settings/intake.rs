//! The intake: a switch between a worker and its queue.

use tokio::sync::watch;

/// Decides, from anywhere in the program, whether a worker takes jobs.
///
/// For a program that watches a backend: it pauses the intake while the backend does not answer, and retires the worker
/// if it does not come back.
///
/// Clones share the switch. Jobs that were taken are not affected: they run, and their results are delivered.
///
/// ```
/// use runpod_sdk::{JobError, Worker};
/// use runpod_sdk::settings::Intake;
///
/// let intake = Intake::new();
/// let worker: Worker = Worker::new(|n: u32| async move { Ok::<_, JobError>(n) }).intake(&intake);
/// // Later, from anywhere:
/// intake.pause("the backend does not answer");
/// intake.resume();
/// ```
#[derive(Debug, Clone)]
pub struct Intake {
    state: watch::Sender<IntakeState>,
}

/// Whether jobs are taken, and why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum IntakeState {
    Open,
    Paused(String),
    Retired(String),
}

impl Intake {
    /// An open switch.
    pub fn new() -> Self {
        Self {
            state: watch::Sender::new(IntakeState::Open),
        }
    }

    /// Takes no more jobs until [`resume`](Self::resume). `reason` is logged.
    ///
    /// A poll that waits for a job is given up; a job whose answer has begun to arrive is still taken.
    /// There is one switch for all callers: the next `resume` opens it.
    pub fn pause(&self, reason: impl Into<String>) {
        self.turn(IntakeState::Paused(reason.into()));
    }

    /// Takes jobs again. Does nothing once the worker is retired.
    pub fn resume(&self) {
        self.turn(IntakeState::Open);
    }

    /// Ends the worker and asks the platform to replace it. This cannot be undone. `reason` is logged.
    ///
    /// The worker takes no more jobs and finishes those it has. Every result that is first posted from
    /// then on asks the platform to replace this worker (`stopPod`). Then the process exits with code 0.
    pub fn retire(&self, reason: impl Into<String>) {
        self.turn(IntakeState::Retired(reason.into()));
    }

    /// The reason for which no jobs are taken; `None` while they are.
    pub fn closed_because(&self) -> Option<String> {
        match &*self.state.borrow() {
            IntakeState::Open => None,
            IntakeState::Paused(reason) | IntakeState::Retired(reason) => Some(reason.clone()),
        }
    }

    /// Whether the worker is to be replaced.
    pub fn is_retired(&self) -> bool {
        matches!(&*self.state.borrow(), IntakeState::Retired(_))
    }

    pub(crate) fn is_open(&self) -> bool {
        *self.state.borrow() == IntakeState::Open
    }

    fn turn(&self, to: IntakeState) {
        self.state.send_if_modified(|state| {
            let changes = !matches!(state, IntakeState::Retired(_)) && *state != to;
            if changes {
                *state = to;
            }
            changes
        });
    }

    /// Waits until jobs may be taken.
    pub(crate) async fn opened(&self) {
        self.until(|state| *state == IntakeState::Open).await;
    }

    /// Waits until no jobs may be taken.
    pub(crate) async fn closed(&self) {
        self.until(|state| *state != IntakeState::Open).await;
    }

    /// The state and its changes.
    pub(crate) fn states(&self) -> watch::Receiver<IntakeState> {
        self.state.subscribe()
    }

    async fn until(&self, wanted: impl FnMut(&IntakeState) -> bool) {
        // Cannot fail: this very sender keeps the channel open.
        let _ = self.state.subscribe().wait_for(wanted).await;
    }
}

impl Default for Intake {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_reason_counts_until_the_worker_is_retired() {
        let intake = Intake::new();
        assert_eq!(intake.closed_because(), None);
        intake.pause("hot");
        intake.pause("very hot");
        assert_eq!(intake.closed_because().as_deref(), Some("very hot"));
        intake.resume();
        assert_eq!(intake.closed_because(), None);
        intake.retire("melted");
        intake.resume();
        intake.pause("too late");
        assert_eq!(intake.closed_because().as_deref(), Some("melted"));
        assert!(intake.is_retired());
    }

    #[tokio::test]
    async fn clones_are_the_same_switch() {
        let intake = Intake::new();
        let opened = intake.opened();
        tokio::pin!(opened);
        assert!(futures_util::poll!(&mut opened).is_ready());
        intake.clone().pause("one");
        let opened = intake.opened();
        tokio::pin!(opened);
        assert!(futures_util::poll!(&mut opened).is_pending());
        intake.clone().resume();
        assert!(futures_util::poll!(&mut opened).is_ready());
    }
}
