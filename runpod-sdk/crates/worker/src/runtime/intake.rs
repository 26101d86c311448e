//! Follows the intake: logs its changes, and drains a worker that is retired.

use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::events::{Events, WorkerEvent};
use crate::settings::{Intake, IntakeState};

/// Logs each change of the intake, and drains the worker when it is retired.
pub(super) async fn follow(intake: Intake, drain: CancellationToken, events: Events) {
    let mut changes = intake.states();
    changes.mark_changed();
    let mut paused = false;
    // `intake` holds a sender, so the channel does not close.
    while changes.changed().await.is_ok() {
        let state = changes.borrow_and_update().clone();
        let was_paused = std::mem::replace(&mut paused, state != IntakeState::Open);
        match state {
            IntakeState::Open if was_paused => {
                info!("taking jobs again");
                events.emit(|| WorkerEvent::Resumed);
            }
            IntakeState::Open => {}
            IntakeState::Paused(reason) => {
                info!(reason, "no more jobs are taken for now");
                events.emit(|| WorkerEvent::Paused { reason });
            }
            IntakeState::Retired(reason) => {
                info!(reason, "retiring: the platform is asked for another worker");
                events.emit(|| WorkerEvent::Refreshing { reason });
                drain.cancel();
                return;
            }
        }
    }
}
