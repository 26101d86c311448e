//! Where the time of a start goes: from `main` to the first take.

use runpod_protocol::sync::{Mutex, MutexGuard};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::info;

use super::{Events, WorkerEvent};

/// How a deployed worker started: its phases in the order in which they ended.
///
/// It is logged as one line, and is an event
/// ([`FirstTake`](crate::events::WorkerEvent::FirstTake)), once the first request for jobs has been sent:
///
/// ```text
/// INFO   | started: tls=+0.1ms config=+0.3ms fitness=+0.6ms heartbeat=+0.7ms connect=+0.9ms state=+0.9ms ready=+0.9ms first_take=+1.0ms
/// ```
///
/// | phase | what is done by then |
/// |---|---|
/// | `tls` | the choice of cryptography |
/// | `config` | environment read, logging and threads set up |
/// | `fitness` | every fitness check passed |
/// | `heartbeat` | the heartbeat's thread runs |
/// | `connect` | the HTTP client is there, with the system's certificates if it needs them |
/// | `state` | the worker's state is loaded |
/// | `ready` | both of these, which happen at once |
/// | `first_take` | the first request for jobs is on its way; with a [journal](crate::Journal), after what was left there was delivered, or 2 s |
///
/// A worker that answers requests itself (feature `http-modes`) logs the same line, with `listening` (from then on
/// health checks are answered) in the place of `connect`, and `ready` at the end. It has no such event.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StartReport {
    /// The phases that there were.
    pub phases: Vec<StartPhase>,
}

/// One phase of a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct StartPhase {
    /// Its name; see [`StartReport`].
    pub name: &'static str,
    /// When it had ended, counted from [`start`](crate::start) or [`Worker::run`](crate::Worker::run).
    pub ended: Duration,
}

impl StartReport {
    /// When the phase with this name had ended.
    pub fn ended(&self, phase: &str) -> Option<Duration> {
        let found = self.phases.iter().find(|known| known.name == phase)?;
        Some(found.ended)
    }
}

impl fmt::Display for StartReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, StartPhase { name, ended }) in self.phases.iter().enumerate() {
            let blank = if index == 0 { "" } else { " " };
            write!(f, "{blank}{name}=+{:.1}ms", ended.as_secs_f64() * 1000.0)?;
        }
        Ok(())
    }
}

/// Collects the phases of one start.
#[derive(Debug, Clone)]
pub(crate) struct StartTimer {
    origin: Instant,
    phases: Arc<Mutex<Vec<StartPhase>>>,
}

impl StartTimer {
    /// Begins to count.
    pub(crate) fn now() -> Self {
        Self {
            origin: Instant::now(),
            phases: Arc::default(),
        }
    }

    /// A phase has ended.
    pub(crate) fn mark(&self, name: &'static str) {
        let ended = self.origin.elapsed();
        self.phases().push(StartPhase { name, ended });
    }

    /// The last phase has ended: says so, after whatever the caller does now.
    pub(crate) fn finish(self, name: &'static str, events: Events) {
        self.mark(name);
        // On a task of its own, so that writing a line does not come before sending a request.
        tokio::spawn(async move {
            let phases = std::mem::take(&mut *self.phases());
            let report = StartReport { phases };
            info!("started: {report}");
            events.emit(|| WorkerEvent::FirstTake(report));
        });
    }

    /// The same for a worker that takes no jobs: it is ready for requests.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_is_one_line_in_the_order_of_the_phases() {
        let phase = |name, micros| StartPhase {
            name,
            ended: Duration::from_micros(micros),
        };
        let report = StartReport {
            phases: vec![
                phase("config", 120),
                phase("fitness", 1_949),
                phase("first_take", 2_500_000),
            ],
        };
        assert_eq!(
            report.to_string(),
            "config=+0.1ms fitness=+1.9ms first_take=+2500.0ms"
        );
        assert_eq!(report.ended("fitness"), Some(Duration::from_micros(1_949)));
        assert_eq!(report.ended("lunch"), None);
    }
}
