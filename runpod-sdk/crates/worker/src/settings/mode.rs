//! The mode of a worker: jobs from the platform's queue, or requests that it answers.

use std::num::NonZeroUsize;
use std::str::FromStr;

use runpod_protocol::variable;
use tracing::warn;

/// How a deployed worker gets its jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum WorkerMode {
    /// It takes them from the endpoint's queue.
    #[default]
    Queue,
    /// It answers the requests of a load-balancing endpoint.
    LoadBalancing,
}

/// A text that is no [`WorkerMode`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write `queue` or `load-balancing`")]
#[non_exhaustive]
pub struct UnknownWorkerMode;

impl FromStr for WorkerMode {
    type Err = UnknownWorkerMode;

    /// `queue` or `load-balancing`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "queue" => Ok(Self::Queue),
            "load-balancing" => Ok(Self::LoadBalancing),
            _ => Err(UnknownWorkerMode),
        }
    }
}

/// The platform's request for a realtime server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Realtime {
    pub(crate) port: u16,
    /// The number of jobs at once, if the platform sets it.
    pub(crate) concurrency: Option<NonZeroUsize>,
}

impl Realtime {
    /// Reads `RUNPOD_REALTIME_PORT` and `RUNPOD_REALTIME_CONCURRENCY`. No port, or port 0, is no realtime server.
    pub(crate) fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let number = |name: &str| {
            let text = variable::unless_blank(lookup(name))?;
            let number = text.trim().parse::<u16>();
            if number.is_err() {
                warn!("{name}={text} is not a number up to 65535; it is ignored");
            }
            number.ok()
        };
        let port = number("RUNPOD_REALTIME_PORT").filter(|port| *port != 0)?;
        let concurrency =
            number("RUNPOD_REALTIME_CONCURRENCY").and_then(|jobs| NonZeroUsize::new(jobs.into()));
        Some(Self { port, concurrency })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn realtime(variables: &[(&str, &str)]) -> Option<Realtime> {
        Realtime::from_lookup(|name| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn no_port_or_zero_is_no_realtime_server() {
        for variables in [
            &[][..],
            &[("RUNPOD_REALTIME_PORT", "0")],
            &[("RUNPOD_REALTIME_PORT", "")],
        ] {
            assert_eq!(realtime(variables), None);
        }
        assert_eq!(
            realtime(&[("RUNPOD_REALTIME_PORT", "many")]),
            None,
            "as a warning says"
        );
    }

    #[test]
    fn the_platform_may_say_how_many_jobs_a_realtime_worker_runs() {
        let variables = [
            ("RUNPOD_REALTIME_PORT", "7000"),
            ("RUNPOD_REALTIME_CONCURRENCY", "3"),
        ];
        let wanted = Realtime {
            port: 7000,
            concurrency: NonZeroUsize::new(3),
        };
        assert_eq!(realtime(&variables), Some(wanted));
    }

    #[test]
    fn a_mode_that_does_not_exist_is_answered_with_those_that_do() {
        assert_eq!("queue".parse(), Ok(WorkerMode::Queue));
        assert_eq!("load-balancing".parse(), Ok(WorkerMode::LoadBalancing));
        let problem = "fast".parse::<WorkerMode>().unwrap_err();
        assert_eq!(problem.to_string(), "write `queue` or `load-balancing`");
    }
}
