//! How a worker runs: defaults, and the environment variables that override them.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use super::hooks::Hooks;
use super::{Concurrency, Intake, TakeAhead};
use crate::events::Events;
use crate::fitness::AutomaticOptions;
use crate::journal::{self, Journal};
#[cfg(feature = "metrics")]
use crate::metrics::MetricsOptions;
use crate::platform::Limits;

/// What becomes of a job that still runs when the worker's grace period ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum WhenAbandoned {
    /// Post nothing and stop pinging: the platform notices and gives the job to another worker.
    #[default]
    LetPlatformRequeue,
    /// Post a failure with the code `WORKER_STOPPED`.
    PostError,
}

/// The settings of a worker. Defaults are those of the builder's documentation.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) concurrency: Concurrency,
    /// Whether jobs are taken.
    pub(crate) intake: Intake,
    pub(crate) take_ahead: TakeAhead,
    /// Ask to be replaced after the first job.
    pub(crate) refresh: bool,
    pub(crate) timeout: Option<Duration>,
    pub(crate) cancel_grace: Duration,
    pub(crate) shutdown_grace: Duration,
    pub(crate) delivery_window: Duration,
    pub(crate) delivery_longest_wait: Duration,
    pub(crate) progress_interval: Duration,
    /// How long single requests to the platform may take.
    pub(crate) limits: Limits,
    pub(crate) when_abandoned: WhenAbandoned,
    pub(crate) handler_threads: Option<NonZeroUsize>,
    /// Handlers run where the control loop runs.
    pub(crate) one_thread: bool,
    /// Undelivered results above either bound keep the worker from taking more jobs.
    pub(crate) held_results: usize,
    pub(crate) held_bytes: usize,
    /// Which automatic fitness checks are made, and of what.
    pub(crate) automatic: AutomaticOptions,
    /// How long one fitness check may take.
    pub(crate) fitness_limit: Duration,
    /// Silence of the control loop after which the heartbeat stops vouching for the worker.
    pub(crate) stuck_after: Duration,
    /// Where results that can't be delivered outlive the process.
    pub(crate) journal: Option<Journal>,
    /// Who hears of what happens.
    pub(crate) events: Events,
    pub(crate) hooks: Hooks,
    /// The program says that it is the worker of a load-balancing endpoint.
    pub(crate) load_balancing: bool,
    #[cfg(feature = "http-modes")]
    pub(crate) http: super::HttpOptions,
    /// Where jobs' scratch directories are made, if not where the system has temporary files.
    pub(crate) scratch: Option<PathBuf>,
    #[cfg(feature = "metrics")]
    pub(crate) metrics: MetricsOptions,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            concurrency: Concurrency::new(1),
            intake: Intake::new(),
            take_ahead: TakeAhead::default(),
            refresh: false,
            timeout: None,
            cancel_grace: Duration::from_secs(10),
            shutdown_grace: Duration::from_mins(10),
            delivery_window: Duration::from_mins(5),
            delivery_longest_wait: Duration::from_secs(10),
            progress_interval: Duration::from_millis(500),
            limits: Limits::default(),
            when_abandoned: WhenAbandoned::default(),
            handler_threads: None,
            one_thread: false,
            held_results: 16,
            held_bytes: 64 << 20,
            automatic: AutomaticOptions::default(),
            fitness_limit: Duration::from_secs(30),
            stuck_after: Duration::from_mins(1),
            journal: None,
            events: Events::default(),
            hooks: Hooks::default(),
            load_balancing: false,
            #[cfg(feature = "http-modes")]
            http: super::HttpOptions::default(),
            scratch: None,
            #[cfg(feature = "metrics")]
            metrics: MetricsOptions::default(),
        }
    }
}

impl Options {
    /// How jobs are taken ahead. A worker that is replaced after its first job leaves the next to others.
    pub(crate) fn take_ahead(&self) -> TakeAhead {
        if self.refresh {
            TakeAhead::Off
        } else {
            self.take_ahead
        }
    }

    /// Applies the `RUNPOD_WORKER_…` variables. Returns one line for each that cannot be read.
    pub(crate) fn override_from(&mut self, lookup: impl Fn(&str) -> Option<String>) -> Vec<String> {
        let mut problems = Vec::new();
        let mut duration = |name: &str, target: &mut Duration| {
            if let Some(text) = lookup(name).filter(|text| !text.is_empty()) {
                match humantime::parse_duration(&text) {
                    Ok(value) => *target = value,
                    Err(error) => {
                        problems.push(format!("{name}={text}: {error}; write a time such as 90s or 10m"));
                    }
                }
            }
        };
        duration("RUNPOD_WORKER_CANCEL_GRACE", &mut self.cancel_grace);
        duration("RUNPOD_WORKER_SHUTDOWN_GRACE", &mut self.shutdown_grace);
        duration("RUNPOD_WORKER_DELIVERY_WINDOW", &mut self.delivery_window);
        duration(
            "RUNPOD_WORKER_DELIVERY_LONGEST_WAIT",
            &mut self.delivery_longest_wait,
        );
        duration("RUNPOD_WORKER_PROGRESS_INTERVAL", &mut self.progress_interval);
        duration("RUNPOD_WORKER_POLL_LIMIT", &mut self.limits.poll);
        duration("RUNPOD_WORKER_REQUEST_LIMIT", &mut self.limits.request);
        duration("RUNPOD_WORKER_CONNECT_LIMIT", &mut self.limits.connect);
        duration("RUNPOD_WORKER_PROGRESS_LIMIT", &mut self.limits.progress);
        duration("RUNPOD_WORKER_STUCK_AFTER", &mut self.stuck_after);
        duration("RUNPOD_WORKER_FITNESS_LIMIT", &mut self.fitness_limit);
        let mut timeout = Duration::ZERO;
        duration("RUNPOD_WORKER_TIMEOUT", &mut timeout);
        if !timeout.is_zero() {
            self.timeout = Some(timeout);
        }
        // Returns whether there is a number.
        let mut count = |name: &str, target: &mut NonZeroUsize| {
            let Some(text) = lookup(name).filter(|text| !text.is_empty()) else {
                return false;
            };
            match text.parse() {
                Ok(value) => {
                    *target = value;
                    true
                }
                Err(error) => {
                    problems.push(format!("{name}={text}: {error}; write a number from 1"));
                    false
                }
            }
        };
        let mut jobs = NonZeroUsize::MIN;
        if count("RUNPOD_WORKER_CONCURRENCY", &mut jobs) {
            self.concurrency = Concurrency::new(jobs.get());
        }
        let mut results = NonZeroUsize::new(self.held_results).unwrap_or(NonZeroUsize::MIN);
        let mut bytes = NonZeroUsize::new(self.held_bytes).unwrap_or(NonZeroUsize::MIN);
        count("RUNPOD_WORKER_HELD_RESULTS", &mut results);
        count("RUNPOD_WORKER_HELD_BYTES", &mut bytes);
        (self.held_results, self.held_bytes) = (results.get(), bytes.get());
        self.automatic.override_from(&lookup, &mut problems);
        let name = "RUNPOD_WORKER_WHEN_ABANDONED";
        if let Some(text) = lookup(name).filter(|text| !text.is_empty()) {
            match text.trim() {
                "requeue" => self.when_abandoned = WhenAbandoned::LetPlatformRequeue,
                "post_error" => self.when_abandoned = WhenAbandoned::PostError,
                _ => problems.push(format!("{name}={text}: write requeue or post_error")),
            }
        }
        #[cfg(feature = "http-modes")]
        self.http.override_from(&lookup, &mut problems);
        if let Some(base) = lookup("RUNPOD_WORKER_SCRATCH").filter(|text| !text.is_empty()) {
            self.scratch = Some(base.into());
        }
        problems.extend(journal::override_from(&mut self.journal, &lookup));
        #[cfg(feature = "metrics")]
        problems.extend(self.metrics.override_from(&lookup, &mut self.events));
        #[cfg(not(feature = "metrics"))]
        if lookup("RUNPOD_WORKER_METRICS").is_some_and(|text| !matches!(text.trim(), "" | "off")) {
            problems.push(
                "RUNPOD_WORKER_METRICS: this worker was built without runpod-sdk's feature `metrics`"
                    .to_owned(),
            );
        }
        let name = "RUNPOD_WORKER_TAKE_AHEAD";
        if let Some(text) = lookup(name).filter(|text| !text.is_empty()) {
            match text.parse() {
                Ok(ahead) => self.take_ahead = ahead,
                Err(error) => problems.push(format!("{name}={text}: {error}")),
            }
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bad_variable_is_named_and_the_good_ones_count() {
        let mut options = Options::default();
        let problems = options.override_from(|name| match name {
            "RUNPOD_WORKER_CANCEL_GRACE" => Some("3s".into()),
            "RUNPOD_WORKER_TIMEOUT" => Some("10 parsecs".into()),
            "RUNPOD_WORKER_CONCURRENCY" => Some("0".into()),
            "RUNPOD_WORKER_FITNESS_LIMIT" => Some("1m".into()),
            "RUNPOD_WORKER_AUTOMATIC_CHECKS" => Some("perhaps".into()),
            "RUNPOD_WORKER_WHEN_ABANDONED" => Some("cry".into()),
            _ => None,
        });
        assert_eq!(options.cancel_grace, Duration::from_secs(3));
        assert_eq!(options.fitness_limit, Duration::from_mins(1));
        assert_eq!((options.timeout, options.automatic.wanted), (None, None));
        assert_eq!(options.concurrency.get(), 1);
        insta::assert_snapshot!(problems.join("\n"));
    }
}
