//! How a worker runs: defaults, and the environment variables that override them.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use super::hooks::Hooks;
use super::{Concurrency, Intake, TakeAhead};
use crate::events::Events;
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
    /// A larger result is not sent: its job fails.
    pub(crate) largest_result: Option<usize>,
    /// Whether the automatic fitness checks are made; `None`: wherever the platform is another machine.
    pub(crate) automatic_checks: Option<bool>,
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
            largest_result: None,
            automatic_checks: None,
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
        // Without any time at all no request could succeed, and no heartbeat would be sent.
        for (name, value) in [
            ("RUNPOD_WORKER_POLL_LIMIT", self.limits.poll),
            ("RUNPOD_WORKER_REQUEST_LIMIT", self.limits.request),
            ("RUNPOD_WORKER_CONNECT_LIMIT", self.limits.connect),
            ("RUNPOD_WORKER_PROGRESS_LIMIT", self.limits.progress),
            ("RUNPOD_WORKER_STUCK_AFTER", self.stuck_after),
        ] {
            if value.is_zero() {
                problems.push(format!(
                    "{name}: no time at all is too little; write a time such as 90s or 10m"
                ));
            }
        }
        if !timeout.is_zero() {
            self.timeout = Some(timeout);
        }
        if let Some(text) = lookup("RUNPOD_WORKER_AUTOMATIC_CHECKS").filter(|text| !text.is_empty()) {
            match text.to_ascii_lowercase().parse() {
                Ok(value) => self.automatic_checks = Some(value),
                Err(_) => problems.push(format!(
                    "RUNPOD_WORKER_AUTOMATIC_CHECKS={text}: write true or false"
                )),
            }
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
        let mut largest = NonZeroUsize::MIN;
        if count("RUNPOD_WORKER_LARGEST_RESULT", &mut largest) {
            self.largest_result = Some(largest.get());
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
    use crate::{JobError, Worker};

    fn worker() -> Worker {
        Worker::new(|n: u32| async move { Ok::<_, JobError>(n) })
    }

    /// The options of a worker in this environment, and what is wrong with it.
    fn options(worker: Worker, environment: &[(&str, &str)]) -> (Options, Vec<String>) {
        let mut options = worker.into_parts().0;
        let problems = options.override_from(|name| {
            let pair = environment.iter().find(|(key, _)| *key == name);
            pair.map(|(_, value)| (*value).to_owned())
        });
        (options, problems)
    }

    #[test]
    fn every_bad_variable_is_named_and_the_good_ones_count() {
        let environment = [
            ("RUNPOD_WORKER_CANCEL_GRACE", "3s"),
            ("RUNPOD_WORKER_TIMEOUT", "10 parsecs"),
            ("RUNPOD_WORKER_CONCURRENCY", "0"),
            ("RUNPOD_WORKER_FITNESS_LIMIT", "1m"),
            ("RUNPOD_WORKER_AUTOMATIC_CHECKS", "perhaps"),
        ];
        let (options, problems) = options(worker(), &environment);
        assert_eq!(options.cancel_grace, Duration::from_secs(3));
        assert_eq!(options.fitness_limit, Duration::from_mins(1));
        assert_eq!((options.timeout, options.automatic_checks), (None, None));
        assert_eq!(options.concurrency.get(), 1);
        insta::assert_snapshot!(problems.join("\n"));
    }

    /// A time by which a worker is patient: how it is set, and where it ends up.
    type Patience = (
        &'static str,
        fn(Worker, Duration) -> Worker,
        fn(&Options) -> Duration,
        Duration,
    );

    const PATIENCE: [Patience; 7] = [
        (
            "RUNPOD_WORKER_POLL_LIMIT",
            Worker::poll_limit,
            |options| options.limits.poll,
            Duration::from_secs(90),
        ),
        (
            "RUNPOD_WORKER_REQUEST_LIMIT",
            Worker::request_limit,
            |options| options.limits.request,
            Duration::from_mins(10),
        ),
        (
            "RUNPOD_WORKER_CONNECT_LIMIT",
            Worker::connect_limit,
            |options| options.limits.connect,
            Duration::from_secs(30),
        ),
        (
            "RUNPOD_WORKER_PROGRESS_LIMIT",
            Worker::progress_limit,
            |options| options.limits.progress,
            Duration::from_secs(10),
        ),
        (
            "RUNPOD_WORKER_STUCK_AFTER",
            Worker::stuck_after,
            |options| options.stuck_after,
            Duration::from_mins(1),
        ),
        (
            "RUNPOD_WORKER_DELIVERY_WINDOW",
            Worker::delivery_window,
            |options| options.delivery_window,
            Duration::from_mins(5),
        ),
        (
            "RUNPOD_WORKER_DELIVERY_LONGEST_WAIT",
            Worker::delivery_longest_wait,
            |options| options.delivery_longest_wait,
            Duration::from_secs(10),
        ),
    ];

    #[test]
    fn each_patience_has_its_default_its_method_and_its_variable() {
        let (by_method, by_variable) = (Duration::from_millis(1700), Duration::from_secs(42));
        for (variable, method, of, default) in PATIENCE {
            let others = |changed: &Options| {
                PATIENCE
                    .iter()
                    .filter(|(name, ..)| *name != variable)
                    .all(|(_, _, of, default)| of(changed) == *default)
            };
            let (untouched, problems) = options(worker(), &[(variable, "")]);
            assert_eq!((of(&untouched), problems.len()), (default, 0), "{variable}");
            let (set, _) = options(method(worker(), by_method), &[]);
            assert!(of(&set) == by_method && others(&set), "{variable}: the method");
            let (overridden, problems) = options(method(worker(), by_method), &[(variable, "42s")]);
            assert!(
                of(&overridden) == by_variable && others(&overridden),
                "{variable}"
            );
            assert_eq!(problems, [""; 0]);
        }
    }

    #[test]
    fn a_patience_that_makes_no_sense_is_named_and_changes_nothing() {
        for (variable, _, of, default) in PATIENCE {
            for bad in ["soon", "90", "-1s", "1 parsec"] {
                let (left, problems) = options(worker(), &[(variable, bad)]);
                assert_eq!(of(&left), default);
                assert_eq!(problems.len(), 1, "{variable}={bad}");
                assert!(
                    problems[0].starts_with(&format!("{variable}={bad}: ")),
                    "{problems:?}"
                );
            }
        }
        // A delivery window of nothing is one attempt.
        for (variable, method, ..) in &PATIENCE[..5] {
            for (worker, environment) in [
                (worker(), vec![(*variable, "0s")]),
                (method(worker(), Duration::ZERO), vec![]),
            ] {
                let (_, problems) = options(worker, &environment);
                assert_eq!(
                    problems,
                    [format!(
                        "{variable}: no time at all is too little; write a time such as 90s or 10m"
                    )]
                );
            }
        }
    }

    #[test]
    fn the_bounds_of_results_have_methods_and_variables() {
        let bounds = |options: &Options| (options.held_results, options.held_bytes, options.largest_result);
        let (default, _) = options(worker(), &[]);
        assert_eq!(bounds(&default), (16, 67_108_864, None));
        let chosen = || worker().held_results(3).held_bytes(5000).largest_result(7_000);
        assert_eq!(bounds(&options(chosen(), &[]).0), (3, 5000, Some(7000)));
        let environment = [
            ("RUNPOD_WORKER_HELD_RESULTS", "4"),
            ("RUNPOD_WORKER_HELD_BYTES", "6000"),
            ("RUNPOD_WORKER_LARGEST_RESULT", "8000"),
        ];
        let (overridden, problems) = options(chosen(), &environment);
        assert_eq!((bounds(&overridden), problems.len()), ((4, 6000, Some(8000)), 0));
        for (name, _) in environment {
            for bad in ["0", "-1", "many", "1e6"] {
                let (left, problems) = options(chosen(), &[(name, bad)]);
                assert_eq!(bounds(&left), (3, 5000, Some(7000)));
                assert_eq!(problems.len(), 1, "{name}={bad}");
                assert!(problems[0].contains(name), "{problems:?}");
            }
        }
        // Nothing at all would stop the taking for good.
        let (least, _) = options(worker().held_results(0).held_bytes(0), &[]);
        assert_eq!((least.held_results, least.held_bytes), (1, 1));
    }
}
