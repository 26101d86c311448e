//! Measures the phases of a start.

use std::sync::Arc;
use std::time::Instant;

use runpod_protocol::sync::{Mutex, MutexGuard};
use tracing::info;

use super::emit::Events;
use super::event::WorkerEvent;
use super::start_report::{StartPhase, StartReport};

/// Collects the phases of one start.
#[derive(Debug, Clone)]
pub(crate) struct StartTimer {
    origin: Instant,
    phases: Arc<Mutex<Vec<StartPhase>>>,
}

impl StartTimer {
    /// Starts the timer.
    pub(crate) fn now() -> Self {
        Self {
            origin: Instant::now(),
            phases: Arc::default(),
        }
    }

    /// Records the end of a phase.
    pub(crate) fn mark(&self, name: &'static str) {
        let ended = self.origin.elapsed();
        self.phases().push(StartPhase { name, ended });
    }

    /// Records the end of the last phase, and reports all phases from a task of its own.
    pub(crate) fn finish(self, name: &'static str, events: Events) {
        self.mark(name);
        // The first request does not wait for the log line.
        tokio::spawn(async move {
            let phases = std::mem::take(&mut *self.phases());
            let report = StartReport { phases };
            info!("started: {report}");
            events.emit(|| WorkerEvent::FirstTake(report));
        });
    }

    /// Records the end of the last phase of a worker that takes no jobs, and logs all phases.
    #[cfg(feature = "http-modes")]
    pub(crate) fn finish_without_take(self, name: &'static str) {
        self.mark(name);
        let phases = std::mem::take(&mut *self.phases());
        info!("started: {}", StartReport { phases });
    }

    fn phases(&self) -> MutexGuard<'_, Vec<StartPhase>> {
        self.phases.lock()
    }
}
