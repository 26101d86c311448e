//! The phases of a start, from `main` to the first take.

use std::fmt;
use std::time::Duration;

/// The start of a deployed worker: its phases, in the order in which they ended.
///
/// It is logged as one line, and is an event
/// ([`FirstTake`](crate::events::WorkerEvent::FirstTake)), once the first request for jobs has been sent:
///
/// ```text
/// INFO   | started: tls=+0.1ms config=+0.3ms fitness=+0.6ms heartbeat=+0.7ms connect=+0.9ms state=+0.9ms ready=+0.9ms first_take=+1.0ms
/// ```
///
/// | phase | ends when |
/// |---|---|
/// | `tls` | the cryptography is chosen |
/// | `config` | the environment is read; logging and threads are set up |
/// | `fitness` | every fitness check passed |
/// | `heartbeat` | the heartbeat's thread runs |
/// | `connect` | the HTTP client is made, with the system's certificates if it needs them |
/// | `state` | the worker's state is loaded |
/// | `ready` | `connect` and `state`, which run concurrently, have ended |
/// | `first_take` | the first request for jobs is on its way; with a [journal](crate::Journal), after what was left there was delivered, or 2 s |
///
/// A worker that answers requests itself (feature `http-modes`) logs the same line, with `listening` (from then on
/// health checks are answered) in the place of `connect`, and `ready` at the end. It has no such event.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StartReport {
    /// The phases.
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
