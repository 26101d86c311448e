//! The settings of a worker: those of the program, overridden by the environment.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use runpod_protocol::variable;

use super::form::NO_TIME;
use super::journal::{self, Journal};
use super::{Concurrency, Environment, Intake, Realtime, TakeAhead, WhenAbandoned, WorkerLimits, WorkerMode};

/// The settings of a worker. The builder's documentation gives their meaning and defaults.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) concurrency: Concurrency,
    pub(crate) intake: Intake,
    pub(crate) take_ahead: TakeAhead,
    /// Whether the worker asks to be replaced after its first job.
    pub(crate) refresh: bool,
    /// Whether `error` and `refresh_worker` in a result have the meaning that they have in Python's SDK.
    pub(crate) python_results: bool,
    pub(crate) timeout: Option<Duration>,
    pub(crate) cancel_grace: Duration,
    pub(crate) shutdown_grace: Duration,
    pub(crate) delivery_window: Duration,
    pub(crate) progress_interval: Duration,
    pub(crate) when_abandoned: WhenAbandoned,
    /// How many of its last log lines a failed job shows in its error.
    pub(crate) log_tail: usize,
    pub(crate) handler_threads: Option<NonZeroUsize>,
    /// Whether handlers run on the thread of the control loop.
    pub(crate) one_thread: bool,
    /// The largest result that is sent, in bytes. The job of a larger one fails.
    pub(crate) largest_result: Option<usize>,
    /// Whether the automatic fitness checks are made; `None`: wherever the platform is another machine.
    pub(crate) automatic_checks: Option<bool>,
    /// The targets of the network check after the platform; its default if empty.
    pub(crate) network_targets: Vec<String>,
    pub(crate) journal: Option<Journal>,
    pub(crate) mode: WorkerMode,
    /// How many requests may wait while every slot is taken, where the worker answers them itself.
    pub(crate) http_queue: usize,
    pub(crate) http_host: Option<IpAddr>,
    /// The parent of scratch directories; `None` for the system's directory for temporary files.
    pub(crate) scratch: Option<PathBuf>,
    /// The address of the metrics server.
    pub(crate) metrics: Option<SocketAddr>,
    pub(crate) limits: WorkerLimits,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            concurrency: Concurrency::new(1),
            intake: Intake::new(),
            take_ahead: TakeAhead::default(),
            refresh: false,
            python_results: false,
            timeout: None,
            cancel_grace: Duration::from_secs(10),
            shutdown_grace: Duration::from_mins(10),
            delivery_window: Duration::from_mins(5),
            progress_interval: Duration::from_millis(500),
            when_abandoned: WhenAbandoned::default(),
            log_tail: 10,
            handler_threads: None,
            one_thread: false,
            largest_result: None,
            automatic_checks: None,
            network_targets: Vec::new(),
            journal: None,
            mode: WorkerMode::default(),
            http_queue: 16,
            http_host: None,
            scratch: None,
            metrics: None,
            limits: WorkerLimits::default(),
        }
    }
}

impl Settings {
    /// How jobs are taken ahead. A worker that is replaced after its first job takes none ahead.
    pub(crate) fn take_ahead(&self) -> TakeAhead {
        if self.refresh {
            TakeAhead::Off
        } else {
            self.take_ahead
        }
    }

    /// Overrides the settings of the program by the environment. Returns one line for each variable that cannot be read.
    pub(crate) fn override_from(&mut self, lookup: impl Fn(&str) -> Option<String>) -> Vec<String> {
        if let Some(jobs) = Realtime::from_lookup(&lookup).and_then(|realtime| realtime.concurrency) {
            self.concurrency = Concurrency::new(jobs.get());
        }
        let endpoint = variable::unless_blank(lookup(variable::ENDPOINT_ID));
        let (environment, problems) = Environment::read(lookup);
        let mut problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        self.apply(environment, endpoint);
        if self.timeout.is_some_and(|limit| limit.is_zero()) {
            problems.push(format!("RUNPOD_WORKER_TIMEOUT: {NO_TIME}"));
        }
        if self.metrics.is_some() && !cfg!(feature = "metrics") {
            problems.push(
                "RUNPOD_WORKER_METRICS: this worker was built without runpod-sdk's feature `metrics`"
                    .to_owned(),
            );
        }
        problems
    }

    /// Applies the variables that are set. Every field is named, so that a new row of the table does not compile until it
    /// is applied.
    fn apply(&mut self, environment: Environment, endpoint: Option<String>) {
        let Environment {
            concurrency,
            take_ahead,
            timeout,
            cancel_grace,
            shutdown_grace,
            delivery_window,
            progress_interval,
            largest_result,
            refresh,
            when_abandoned,
            log_tail,
            metrics,
            scratch,
            journal,
            journal_bytes,
            journal_crashes,
            automatic_checks,
            network_targets,
            mode,
            http_queue,
            http_host,
            // Read by `boot`, before it chooses a mode.
            serve_api: _,
            // Read by runpod-files.
            download_timeout: _,
            upload_timeout: _,
            local_uploads: _,
            cache_volume: _,
            cache_namespace: _,
        } = environment;
        set(&mut self.concurrency, concurrency.map(|jobs| jobs.get().into()));
        set(&mut self.take_ahead, take_ahead);
        set(&mut self.timeout, timeout.map(Some));
        set(&mut self.cancel_grace, cancel_grace);
        set(&mut self.shutdown_grace, shutdown_grace);
        set(&mut self.delivery_window, delivery_window);
        set(&mut self.progress_interval, progress_interval);
        set(
            &mut self.largest_result,
            largest_result.map(|bytes| Some(bytes.get())),
        );
        set(&mut self.refresh, refresh);
        set(&mut self.when_abandoned, when_abandoned);
        set(&mut self.log_tail, log_tail);
        set(&mut self.metrics, metrics.map(Into::into));
        set(&mut self.scratch, scratch.map(Some));
        set(&mut self.automatic_checks, automatic_checks.map(Some));
        set(&mut self.network_targets, network_targets);
        set(&mut self.mode, mode);
        set(&mut self.http_queue, http_queue);
        set(&mut self.http_host, http_host.map(Some));
        let program = self.journal.take();
        self.journal = journal::overridden(program, journal, journal_bytes, journal_crashes, endpoint);
    }
}

/// Overrides a setting if its variable is set.
fn set<T>(setting: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *setting = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The settings in this environment, and its problems.
    fn overridden(mut settings: Settings, environment: &[(&str, &str)]) -> (Settings, Vec<String>) {
        let problems = settings.override_from(|name| {
            let pair = environment.iter().find(|(key, _)| *key == name);
            pair.map(|(_, value)| (*value).to_owned())
        });
        (settings, problems)
    }

    #[test]
    fn every_bad_variable_is_named_and_the_good_ones_count() {
        let (settings, problems) = overridden(
            Settings::default(),
            &[
                ("RUNPOD_WORKER_CANCEL_GRACE", "3s"),
                ("RUNPOD_WORKER_TIMEOUT", "10 parsecs"),
                ("RUNPOD_WORKER_CONCURRENCY", "0"),
                ("RUNPOD_WORKER_AUTOMATIC_CHECKS", "perhaps"),
                ("RUNPOD_WORKER_LOG_TAIL", "-1"),
                ("RUNPOD_WORKER_REFRESH", "TRUE"),
                ("RUNPOD_WORKER_WHEN_ABANDONED", "panic"),
                ("RUNPOD_WORKER_HTTP_HOST", "everywhere"),
            ],
        );
        assert!(settings.refresh);
        assert_eq!(settings.when_abandoned, WhenAbandoned::default());
        assert_eq!(settings.cancel_grace, Duration::from_secs(3));
        assert_eq!((settings.timeout, settings.automatic_checks), (None, None));
        assert_eq!(settings.concurrency.get(), 1);
        insta::assert_snapshot!(problems.join("\n"));
    }

    #[test]
    fn a_job_that_may_take_no_time_at_all_is_a_mistake_wherever_it_is_said() {
        let program = Settings {
            timeout: Some(Duration::ZERO),
            ..Settings::default()
        };
        for (settings, environment) in [
            (program, &[][..]),
            (Settings::default(), &[("RUNPOD_WORKER_TIMEOUT", "0s")]),
        ] {
            let (_, problems) = overridden(settings, environment);
            assert_eq!(problems.len(), 1, "{problems:?}");
            assert!(
                problems[0].contains("no time at all is too little"),
                "{problems:?}"
            );
        }
    }

    /// A time: its variable, how the program says it, where it ends up, its default in seconds.
    type Time = (
        &'static str,
        fn(&mut Settings, Duration),
        fn(&Settings) -> Duration,
        f64,
    );

    const TIMES: [Time; 5] = [
        (
            "RUNPOD_WORKER_CANCEL_GRACE",
            |to, time| to.cancel_grace = time,
            |of| of.cancel_grace,
            10.0,
        ),
        (
            "RUNPOD_WORKER_SHUTDOWN_GRACE",
            |to, time| to.shutdown_grace = time,
            |of| of.shutdown_grace,
            600.0,
        ),
        (
            "RUNPOD_WORKER_DELIVERY_WINDOW",
            |to, time| to.delivery_window = time,
            |of| of.delivery_window,
            300.0,
        ),
        (
            "RUNPOD_WORKER_PROGRESS_INTERVAL",
            |to, time| to.progress_interval = time,
            |of| of.progress_interval,
            0.5,
        ),
        (
            "RUNPOD_WORKER_TIMEOUT",
            |to, time| to.timeout = Some(time),
            |of| of.timeout.unwrap_or_default(),
            0.0,
        ),
    ];

    #[test]
    fn each_time_has_its_default_and_its_variable_beats_the_program() {
        for (variable, by_program, of, default) in TIMES {
            let (untouched, problems) = overridden(Settings::default(), &[(variable, "")]);
            assert_eq!(
                (of(&untouched), problems.len()),
                (Duration::from_secs_f64(default), 0)
            );
            let mut program = Settings::default();
            by_program(&mut program, Duration::from_millis(1700));
            let (kept, _) = overridden(program.clone(), &[]);
            assert_eq!(of(&kept), Duration::from_millis(1700), "{variable}");
            let (settings, _) = overridden(program.clone(), &[(variable, "42s")]);
            assert_eq!(of(&settings), Duration::from_secs(42), "{variable}");
            for bad in ["soon", "90", "-1s", "1 parsec"] {
                let (left, problems) = overridden(program.clone(), &[(variable, bad)]);
                assert_eq!((of(&left), problems.len()), (Duration::from_millis(1700), 1));
                assert!(
                    problems[0].starts_with(&format!("{variable}={bad}: ")),
                    "{problems:?}"
                );
            }
        }
    }

    #[test]
    fn the_largest_result_is_a_number_from_one() {
        let largest = |text: &str| overridden(Settings::default(), &[("RUNPOD_WORKER_LARGEST_RESULT", text)]);
        assert_eq!(largest("8000").0.largest_result, Some(8000));
        for bad in ["0", "-1", "many", "1e6"] {
            let (left, problems) = largest(bad);
            assert_eq!((left.largest_result, problems.len()), (None, 1), "{bad}");
        }
    }

    #[test]
    fn the_mode_in_the_environment_wins_over_the_program() {
        let balancing = || Settings {
            mode: WorkerMode::LoadBalancing,
            ..Settings::default()
        };
        let mode = |settings, text| overridden(settings, &[("RUNPOD_WORKER_MODE", text)]).0.mode;
        assert_eq!(mode(balancing(), "queue"), WorkerMode::Queue);
        assert_eq!(mode(balancing(), ""), WorkerMode::LoadBalancing);
        assert_eq!(
            mode(Settings::default(), "load-balancing"),
            WorkerMode::LoadBalancing
        );
    }

    fn journal(program: Option<Journal>, variables: &[(&str, &str)]) -> Option<Journal> {
        let program = Settings {
            journal: program,
            ..Settings::default()
        };
        let (settings, problems) = overridden(program, variables);
        assert_eq!(problems, [""; 0]);
        settings.journal
    }

    #[test]
    fn the_environment_overrides_what_the_program_says_of_the_journal() {
        const JOURNAL: &str = "RUNPOD_WORKER_JOURNAL";
        let program = || Some(Journal::at("/code").crashes(7));
        assert_eq!(journal(program(), &[]), program());
        assert_eq!(journal(program(), &[(JOURNAL, "off")]), None);
        assert_eq!(
            journal(program(), &[(JOURNAL, "")]),
            program(),
            "empty means unset"
        );
        let variables = [
            (JOURNAL, "/env"),
            ("RUNPOD_WORKER_JOURNAL_BYTES", "5"),
            ("RUNPOD_WORKER_JOURNAL_CRASHES", "0"),
        ];
        let wanted = Journal::at("/env").most_bytes(5).crashes(0);
        assert_eq!(journal(program(), &variables), Some(wanted));
        assert_eq!(journal(None, &[(JOURNAL, "/env")]), Some(Journal::at("/env")));
    }

    #[test]
    fn the_journal_is_that_of_the_endpoint_that_the_platform_names() {
        let of = |id: &str| {
            let journal = journal(Some(Journal::at("/journal")), &[("RUNPOD_ENDPOINT_ID", id)]);
            journal.unwrap().endpoint
        };
        assert_eq!(of("abc123").as_deref(), Some("abc123"));
        assert_eq!(of(""), None, "empty means unset");
    }

    #[test]
    fn a_limit_of_the_journal_that_can_not_be_read_is_named_without_a_journal_too() {
        let (settings, problems) = overridden(
            Settings::default(),
            &[
                ("RUNPOD_WORKER_JOURNAL_BYTES", "1 GB"),
                ("RUNPOD_WORKER_JOURNAL_CRASHES", "-1"),
            ],
        );
        assert_eq!(settings.journal, None);
        insta::assert_snapshot!(problems.join("\n"));
    }

    #[test]
    fn the_platforms_number_of_realtime_jobs_holds_unless_the_worker_has_a_variable_of_its_own() {
        let platform = [
            ("RUNPOD_REALTIME_PORT", "7000"),
            ("RUNPOD_REALTIME_CONCURRENCY", "3"),
        ];
        let (settings, _) = overridden(Settings::default(), &platform);
        assert_eq!(settings.concurrency.get(), 3);
        let both = [platform[0], platform[1], ("RUNPOD_WORKER_CONCURRENCY", "2")];
        let (settings, _) = overridden(Settings::default(), &both);
        assert_eq!(settings.concurrency.get(), 2);
    }
}
