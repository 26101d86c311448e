//! How a worker runs: defaults, and the environment variables that override them.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::hooks::Hooks;
use super::{Concurrency, Intake, TakeAhead};
use crate::events::Events;
use crate::journal::{self, Journal};
#[cfg(feature = "metrics")]
use crate::metrics::MetricsOptions;
use crate::platform::Limits;
use crate::settings::{Variables, set};

const HANDLER_THREADS: &str = "RUNPOD_WORKER_HANDLER_THREADS";

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

/// A text that is no [`WhenAbandoned`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write requeue or post_error")]
#[non_exhaustive]
pub struct UnknownWhenAbandoned;

impl FromStr for WhenAbandoned {
    type Err = UnknownWhenAbandoned;

    /// `requeue` or `post_error`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "requeue" => Ok(Self::LetPlatformRequeue),
            "post_error" => Ok(Self::PostError),
            _ => Err(UnknownWhenAbandoned),
        }
    }
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
    /// So many of its last log lines a failed job shows in its error.
    pub(crate) log_tail: usize,
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
    /// What automatic checks look at, unless the environment says so.
    pub(crate) disk_check_paths: Vec<PathBuf>,
    pub(crate) network_check_targets: Vec<String>,
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
            log_tail: 10,
            handler_threads: None,
            one_thread: false,
            held_results: 16,
            held_bytes: 64 << 20,
            largest_result: None,
            automatic_checks: None,
            fitness_limit: Duration::from_secs(30),
            disk_check_paths: Vec::new(),
            network_check_targets: Vec::new(),
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

    /// Threads for handlers, which are made before everything else.
    pub(crate) fn threads(&self, lookup: impl Fn(&str) -> Option<String>) -> Option<NonZeroUsize> {
        let asked = lookup(HANDLER_THREADS).and_then(|text| text.parse().ok());
        asked.or(self.handler_threads)
    }

    /// Applies the `RUNPOD_WORKER_…` variables. Returns one line for each that cannot be read.
    pub(crate) fn override_from(&mut self, lookup: impl Fn(&str) -> Option<String>) -> Vec<String> {
        let mut variables = Variables::new(&lookup);
        self.override_times(&mut variables);
        self.override_numbers(&mut variables);
        if let Some(on) = variables.switch("RUNPOD_WORKER_AUTOMATIC_CHECKS") {
            self.automatic_checks = Some(on);
        }
        set(&mut self.refresh, variables.switch("RUNPOD_WORKER_REFRESH"));
        set(
            &mut self.when_abandoned,
            variables.parsed("RUNPOD_WORKER_WHEN_ABANDONED"),
        );
        set(&mut self.take_ahead, variables.parsed("RUNPOD_WORKER_TAKE_AHEAD"));
        if let Some(base) = variables.text("RUNPOD_WORKER_SCRATCH") {
            self.scratch = Some(base.into());
        }
        let mut problems = variables.problems;
        #[cfg(feature = "http-modes")]
        self.http.override_from(&lookup, &mut problems);
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
        problems
    }

    fn override_times<L: Fn(&str) -> Option<String>>(&mut self, variables: &mut Variables<L>) {
        let times = [
            ("CANCEL_GRACE", &mut self.cancel_grace),
            ("SHUTDOWN_GRACE", &mut self.shutdown_grace),
            ("DELIVERY_WINDOW", &mut self.delivery_window),
            ("DELIVERY_LONGEST_WAIT", &mut self.delivery_longest_wait),
            ("PROGRESS_INTERVAL", &mut self.progress_interval),
            ("POLL_LIMIT", &mut self.limits.poll),
            ("REQUEST_LIMIT", &mut self.limits.request),
            ("CONNECT_LIMIT", &mut self.limits.connect),
            ("PROGRESS_LIMIT", &mut self.limits.progress),
            ("STUCK_AFTER", &mut self.stuck_after),
            ("FITNESS_LIMIT", &mut self.fitness_limit),
        ];
        for (name, target) in times {
            set(target, variables.time(&format!("RUNPOD_WORKER_{name}")));
        }
        let timeout = variables.time("RUNPOD_WORKER_TIMEOUT");
        self.timeout = timeout.or(self.timeout);
        // Without any time at all no request, check or job could succeed, and no heartbeat would be sent.
        for (name, value) in [
            ("POLL_LIMIT", self.limits.poll),
            ("REQUEST_LIMIT", self.limits.request),
            ("CONNECT_LIMIT", self.limits.connect),
            ("PROGRESS_LIMIT", self.limits.progress),
            ("STUCK_AFTER", self.stuck_after),
            // And without a pause a result would be posted as fast as it can be refused.
            ("DELIVERY_LONGEST_WAIT", self.delivery_longest_wait),
            ("FITNESS_LIMIT", self.fitness_limit),
            ("TIMEOUT", self.timeout.unwrap_or(Duration::MAX)),
        ] {
            if value.is_zero() {
                variables.problems.push(format!(
                    "RUNPOD_WORKER_{name}: no time at all is too little; write a time such as 90s or 10m"
                ));
            }
        }
    }

    fn override_numbers<L: Fn(&str) -> Option<String>>(&mut self, variables: &mut Variables<L>) {
        if let Some(jobs) = variables.count("RUNPOD_WORKER_CONCURRENCY") {
            self.concurrency = Concurrency::new(jobs.get());
        }
        if let Some(threads) = variables.count(HANDLER_THREADS) {
            self.handler_threads = Some(threads);
        }
        if let Some(bytes) = variables.count("RUNPOD_WORKER_LARGEST_RESULT") {
            self.largest_result = Some(bytes.get());
        }
        set(&mut self.log_tail, variables.number("RUNPOD_WORKER_LOG_TAIL"));
        let mut count = |name: &str| variables.count(name).map(NonZeroUsize::get);
        set(&mut self.held_results, count("RUNPOD_WORKER_HELD_RESULTS"));
        set(&mut self.held_bytes, count("RUNPOD_WORKER_HELD_BYTES"));
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
        let mut options = Options::default();
        let problems = options.override_from(|name| match name {
            "RUNPOD_WORKER_CANCEL_GRACE" => Some("3s".into()),
            "RUNPOD_WORKER_TIMEOUT" => Some("10 parsecs".into()),
            "RUNPOD_WORKER_CONCURRENCY" => Some("0".into()),
            "RUNPOD_WORKER_FITNESS_LIMIT" => Some("1m".into()),
            "RUNPOD_WORKER_AUTOMATIC_CHECKS" => Some("perhaps".into()),
            "RUNPOD_WORKER_LOG_TAIL" => Some("-1".into()),
            "RUNPOD_WORKER_REFRESH" => Some("TRUE".into()),
            "RUNPOD_WORKER_WHEN_ABANDONED" => Some("panic".into()),
            "RUNPOD_WORKER_HANDLER_THREADS" => Some("2".into()),
            _ => None,
        });
        assert!(options.refresh);
        assert_eq!(options.handler_threads, NonZeroUsize::new(2));
        assert_eq!(options.when_abandoned, WhenAbandoned::default());
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

    const PATIENCE: [Patience; 9] = [
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
            "RUNPOD_WORKER_DELIVERY_LONGEST_WAIT",
            Worker::delivery_longest_wait,
            |options| options.delivery_longest_wait,
            Duration::from_secs(10),
        ),
        (
            "RUNPOD_WORKER_FITNESS_LIMIT",
            Worker::fitness_limit,
            |options| options.fitness_limit,
            Duration::from_secs(30),
        ),
        (
            "RUNPOD_WORKER_TIMEOUT",
            Worker::timeout,
            |options| options.timeout.unwrap_or(Duration::MAX),
            Duration::MAX,
        ),
        (
            "RUNPOD_WORKER_DELIVERY_WINDOW",
            Worker::delivery_window,
            |options| options.delivery_window,
            Duration::from_mins(5),
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
        for (variable, method, ..) in &PATIENCE[..8] {
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
