//! The tasks beside the main loop: concurrency, intake, recovery from the journal, stop signals.

use std::sync::Arc;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::drain::LAST_POSTS;
use super::{Runtime, intake, pacing, recover, stop};
use crate::events::WorkerEvent;

/// The tasks beside the main loop of one worker.
pub(super) struct Companions {
    resizing: JoinHandle<()>,
    adapting: JoinHandle<()>,
    intake: JoinHandle<()>,
    recovery: JoinHandle<()>,
    stop_signals: JoinHandle<()>,
    end_stop_signals: CancellationToken,
    /// Cancelled after the first round of the recovery.
    pub(super) first_round: CancellationToken,
}

impl Companions {
    pub(super) fn spawn(runtime: &Arc<Runtime>) -> Self {
        let concurrency = runtime.settings.concurrency.clone();
        let intake = intake::follow(
            runtime.settings.intake.clone(),
            runtime.shutdown.drain.clone(),
            runtime.events.clone(),
        );
        let first_round = CancellationToken::new();
        let end_stop_signals = CancellationToken::new();
        Self {
            resizing: tokio::spawn(resize_slots(runtime.clone())),
            adapting: tokio::spawn(pacing::adapt(runtime.meter.clone(), concurrency)),
            intake: tokio::spawn(intake),
            recovery: tokio::spawn(recover::recover(runtime.clone(), first_round.clone())),
            stop_signals: tokio::spawn(stop::stop(runtime.clone(), end_stop_signals.clone())),
            end_stop_signals,
            first_round,
        }
    }

    /// Ends the tasks. A result that the recovery has begun to post still has [`LAST_POSTS`].
    pub(super) async fn end(self) {
        self.end_stop_signals.cancel();
        self.resizing.abort();
        self.adapting.abort();
        self.intake.abort();
        let _ = self.stop_signals.await;
        let _ = tokio::time::timeout(LAST_POSTS, self.recovery).await;
    }
}

/// Applies each change of a [`Concurrency`](crate::Concurrency) at once.
async fn resize_slots(runtime: Arc<Runtime>) {
    let mut changes = runtime.settings.concurrency.changes();
    loop {
        let limit = *changes.borrow_and_update();
        if runtime.slots.resize(limit) {
            runtime.meter.resized(limit.get());
            runtime
                .events
                .emit(|| WorkerEvent::SlotsChanged { slots: limit.get() });
        }
        if changes.changed().await.is_err() {
            return;
        }
    }
}
