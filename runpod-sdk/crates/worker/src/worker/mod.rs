//! The builder of a worker: a handler with its state, its options, checks, listeners and hooks.

#[cfg(feature = "http-modes")]
mod http;
mod observe;

use std::fmt;
use std::future::Future;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::Value;

use crate::error::StartupError;
use crate::events::Events;
use crate::fitness::{Check, FitnessCheck};
use crate::handler::{BlockingHandler, Bound, ErasedHandler, ErasedWithState, Handler, Offload, erase};
use crate::hooks::Hooks;
#[cfg(feature = "metrics")]
use crate::metrics::Metrics;
use crate::settings::{Concurrency, Intake, Journal, Settings, TakeAhead, WhenAbandoned};
#[cfg(feature = "http-modes")]
use crate::web::Routes;

/// A handler with its options, ready to be given to [`start`](crate::start).
///
/// `#[handler]` makes one: `greet::worker()`. A closure does too:
///
/// ```
/// use runpod_sdk::{JobError, Worker};
///
/// let worker: Worker = Worker::new(|n: u32| async move { Ok::<_, JobError>(n * 2) });
/// ```
///
/// `S` is the type of state that the handler still waits for; only a worker that waits for nothing
/// (`Worker<()>`) can be started.
#[must_use = "a worker does nothing until it is started"]
pub struct Worker<S = ()> {
    source: Source<S>,
    schema: Schema,
    settings: Settings,
    observers: Observers,
    fitness: Vec<FitnessCheck>,
    #[cfg(feature = "http-modes")]
    routes: Routes<S>,
}

/// The listeners, hooks and metrics of a worker.
#[derive(Debug, Clone, Default)]
pub(crate) struct Observers {
    pub(crate) events: Events,
    pub(crate) hooks: Hooks,
    #[cfg(feature = "metrics")]
    pub(crate) metrics: Option<Metrics>,
}

/// The parts of a worker, for its launch.
pub(crate) struct WorkerParts {
    pub(crate) settings: Settings,
    pub(crate) observers: Observers,
    pub(crate) fitness: Vec<FitnessCheck>,
    /// Makes the handler ready.
    pub(crate) load: Loader,
}

/// Makes the JSON Schema of the input.
type Schema = Box<dyn Fn() -> Option<Value> + Send + Sync>;

enum Source<S> {
    Handler(Arc<dyn ErasedWithState<S>>),
    Loader(Loader),
}

/// Makes the handler ready.
pub(crate) type Loader =
    Box<dyn FnOnce() -> BoxFuture<'static, Result<Arc<dyn ErasedHandler>, StartupError>> + Send>;

impl<S: Clone + Send + Sync + 'static> Worker<S> {
    /// A worker around `handler`, with the default options.
    pub fn new<M: 'static, H: Handler<S, M>>(handler: H) -> Self {
        let described = handler.clone();
        Self {
            source: Source::Handler(erase(handler)),
            schema: Box::new(move || described.schema()),
            settings: Settings::default(),
            observers: Observers::default(),
            fitness: Vec::new(),
            #[cfg(feature = "http-modes")]
            routes: Routes::default(),
        }
    }

    /// A worker around a function that blocks its thread: long computations, synchronous libraries.
    ///
    /// Each job runs on a thread of its own, so that it delays neither other jobs nor the
    /// runtime. Such a thread cannot be stopped from outside: check
    /// [`Context::is_cancelled`](crate::Context::is_cancelled) between pieces of work.
    ///
    /// ```
    /// use runpod_sdk::{Context, JobResult, Worker};
    ///
    /// let worker: Worker = Worker::blocking(|n: u32, ctx: Context| -> JobResult<u32> {
    ///     ctx.progress("halving");
    ///     Ok(n / 2)
    /// });
    /// ```
    pub fn blocking<M: 'static, H: BlockingHandler<S, M>>(handler: H) -> Self {
        Self::new(Offload(handler))
    }

    /// Gives the handler its state. Each job gets a clone.
    pub fn state(self, state: S) -> Worker {
        self.state_with(async move || Ok::<_, std::convert::Infallible>(state))
    }

    /// Loads the state when the worker starts: once, before the first job is taken.
    ///
    /// While it runs the worker already sends heartbeats, so a slow model does not look like a
    /// dead worker. If it fails the process exits with code 1, having taken no job.
    pub fn state_with<F, Fut, E>(self, load: F) -> Worker
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<S, E>> + Send + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let source = self.source;
        #[cfg(feature = "http-modes")]
        let (make_routes, routes) = self.routes.bind();
        let loader: Loader = Box::new(move || {
            Box::pin(async move {
                let state = load().await.map_err(|error| StartupError::State(error.into()))?;
                #[cfg(feature = "http-modes")]
                make_routes(state.clone());
                match source {
                    Source::Handler(handler) => {
                        Ok(Arc::new(Bound { handler, state }) as Arc<dyn ErasedHandler>)
                    }
                    // The handler has its state already, so `S` is `()`. This load is one more wait.
                    Source::Loader(first) => first().await,
                }
            })
        });
        Worker {
            source: Source::Loader(loader),
            schema: self.schema,
            settings: self.settings,
            observers: self.observers,
            fitness: self.fitness,
            #[cfg(feature = "http-modes")]
            routes,
        }
    }
}

impl<S> Worker<S> {
    /// Sets how many jobs run at once: a number, or a [`Concurrency`] that changes while the worker runs.
    /// Default 1. Overridden by `RUNPOD_WORKER_CONCURRENCY`, which is a fixed number.
    ///
    /// Zero counts as 1.
    #[doc(alias = "concurrency_modifier")]
    pub fn concurrency(mut self, jobs: impl Into<Concurrency>) -> Self {
        self.settings.concurrency = jobs.into();
        self
    }

    /// Lets `intake` decide, while the worker runs, whether it takes jobs. Default: it always does.
    pub fn intake(mut self, intake: &Intake) -> Self {
        self.settings.intake = intake.clone();
        self
    }

    /// Whether the next job is taken while all slots are in use. Default: it is not.
    /// Overridden by `RUNPOD_WORKER_TAKE_AHEAD`: `off`, `always` or `just_in_time`.
    ///
    /// ```
    /// use std::time::Duration;
    /// use runpod_sdk::{Context, JobError, TakeAhead, Worker};
    ///
    /// let worker: Worker = Worker::new(|steps: u64, ctx: Context| async move {
    ///     for left in (0..steps).rev() {
    ///         tokio::time::sleep(Duration::from_millis(50)).await;
    ///         ctx.finishing_in(Duration::from_millis(50 * left));
    ///     }
    ///     Ok::<_, JobError>("done")
    /// })
    /// .take_ahead(TakeAhead::JustInTime);
    /// ```
    pub fn take_ahead(mut self, ahead: TakeAhead) -> Self {
        self.settings.take_ahead = ahead;
        self
    }

    /// Asks the platform, with every result, to replace this worker. Default: off.
    ///
    /// The worker then takes no more jobs, finishes those it has, and exits with code 0. One job
    /// can ask for the same by [`Context::refresh_worker`](crate::Context::refresh_worker). Overridden by
    /// `RUNPOD_WORKER_REFRESH`: `true` or `false`.
    pub fn refresh_worker(mut self, refresh: bool) -> Self {
        self.settings.refresh = refresh;
        self
    }

    /// Gives the keys `error` and `refresh_worker` at the top of an output the meaning that they have in Python's SDK, for
    /// a worker that was ported. Default: an output is data, whatever keys it holds, and a worker that returns one of these
    /// logs a warning once.
    ///
    /// Both are taken out of the output. With an `error` that Python takes for true the job fails with its text as the
    /// message; what stands beside it is `output` in the error's details. With such a `refresh_worker` the worker is
    /// replaced after the job. A streamed value with an `error` ends its stream as a failure.
    ///
    /// ```
    /// use runpod_sdk::{JobError, Worker};
    /// use serde_json::{Value, json};
    ///
    /// let worker: Worker = Worker::new(|_: Value| async move { Ok::<_, JobError>(json!({ "error": "no model" })) })
    ///     .python_results();
    /// ```
    pub fn python_results(mut self) -> Self {
        self.settings.python_results = true;
        self
    }

    /// Adds a check that this machine is fit for work. It runs before the first job is taken.
    ///
    /// A check is a closure or one of [`fitness`](crate::fitness). All run concurrently before the state is loaded, each
    /// on a thread of its own, which it may block. The first failure in the order of the checks is reported. If a check
    /// fails or takes longer than 30 s ([`within`](crate::fitness::within) sets another limit), the worker reports itself
    /// unhealthy and exits with code 1, so that the platform replaces it. Local test runs skip the checks.
    ///
    /// ```
    /// use runpod_sdk::{JobError, Worker, fitness};
    ///
    /// let worker: Worker = Worker::new(|n: u32| async move { Ok::<_, JobError>(n) })
    ///     .fitness_check("disk", fitness::disk().min_free(20 * fitness::GIB))
    ///     .fitness_check("weights", || async { std::fs::metadata("/models/xl.safetensors") });
    /// ```
    #[doc(alias = "register_fitness_check")]
    pub fn fitness_check<M, C: Check<M>>(mut self, name: impl Into<String>, check: C) -> Self {
        self.fitness.push(FitnessCheck::new(name, check));
        self
    }

    /// Whether the [automatic checks](crate::fitness#automatic-checks) are made after the worker's
    /// own. Default: only where the platform is another machine. Overridden by
    /// `RUNPOD_WORKER_AUTOMATIC_CHECKS`; `RUNPOD_SKIP_AUTO_SYSTEM_CHECKS=true` turns them off in any case.
    pub fn automatic_checks(mut self, make_them: bool) -> Self {
        self.settings.automatic_checks = Some(make_them);
        self
    }

    /// Describes the input by a JSON Schema written by hand, for a handler whose input has none of its own.
    ///
    /// It is what `--schema` prints and [`schema`](Self::schema) returns; inputs are not checked against it.
    pub fn input_schema(mut self, schema: Value) -> Self {
        self.schema = Box::new(move || Some(schema.clone()));
        self
    }

    /// The JSON Schema (2020-12) of the input, if it is known: by `Checked` or `Validated` (feature
    /// `schema`), from a [`Router`](crate::Router), or from [`input_schema`](Self::input_schema).
    ///
    /// The flag `--schema` of every worker prints it.
    pub fn schema(&self) -> Option<Value> {
        (self.schema)()
    }

    /// Sets how long one job may run. Default: no limit. The job's own `policy.executionTimeout` applies, too;
    /// the shorter of the two holds. Overridden by `RUNPOD_WORKER_TIMEOUT`.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.settings.timeout = Some(limit);
        self
    }

    /// Sets how long a cancelled handler has for its clean-up before its future is dropped. Default 10 s.
    /// Overridden by `RUNPOD_WORKER_CANCEL_GRACE`.
    pub fn cancel_grace(mut self, grace: Duration) -> Self {
        self.settings.cancel_grace = grace;
        self
    }

    /// Sets how long running jobs and undelivered results get after SIGTERM. Default 600 s.
    /// Overridden by `RUNPOD_WORKER_SHUTDOWN_GRACE`.
    pub fn shutdown_grace(mut self, grace: Duration) -> Self {
        self.settings.shutdown_grace = grace;
        self
    }

    /// Sets how long the post of a result is retried before it is given up. Default 5 min.
    /// Overridden by `RUNPOD_WORKER_DELIVERY_WINDOW`.
    pub fn delivery_window(mut self, window: Duration) -> Self {
        self.settings.delivery_window = window;
        self
    }

    /// Sets the parent of the directories of [`Context::scratch_dir`](crate::Context::scratch_dir). It is created if it is
    /// missing. Default: the system's directory for temporary files. Overridden by
    /// `RUNPOD_WORKER_SCRATCH`.
    pub fn scratch(mut self, directory: impl Into<PathBuf>) -> Self {
        self.settings.scratch = Some(directory.into());
        self
    }

    /// Keeps results on disk until they are delivered, so that they outlive this process. Default: no journal.
    ///
    /// A directory, best on the network volume, or a [`Journal`] with limits of its own; its documentation says what is
    /// kept and guaranteed. Overridden by `RUNPOD_WORKER_JOURNAL`, and its limits by
    /// `RUNPOD_WORKER_JOURNAL_BYTES` and `_CRASHES`. Local tests do not use it.
    ///
    /// ```
    /// use runpod_sdk::{JobError, Worker};
    ///
    /// let worker: Worker =
    ///     Worker::new(|n: u32| async move { Ok::<_, JobError>(n * 2) }).journal("/runpod-volume/journal");
    /// ```
    pub fn journal(mut self, journal: impl Into<Journal>) -> Self {
        self.settings.journal = Some(journal.into());
        self
    }

    /// Sets the shortest time between two progress posts of one job. Default 500 ms. Overridden by
    /// `RUNPOD_WORKER_PROGRESS_INTERVAL`.
    pub fn progress_interval(mut self, interval: Duration) -> Self {
        self.settings.progress_interval = interval;
        self
    }

    /// Sets what happens to a job that still runs when the grace period ends. Default: nothing is
    /// posted, so that the platform gives it to another worker. Overridden by `RUNPOD_WORKER_WHEN_ABANDONED`:
    /// `requeue` or `post_error`.
    pub fn when_abandoned(mut self, action: WhenAbandoned) -> Self {
        self.settings.when_abandoned = action;
        self
    }

    /// Sets how many of the last log lines of a failed job its error shows as `log_tail`, if the error has none of its own ([`JobError::with_log_tail`](crate::JobError::with_log_tail)). Default 10, at most 20;
    /// 0 shows none. Overridden by `RUNPOD_WORKER_LOG_TAIL`.
    ///
    /// The caller of the endpoint reads them. They are what the handler logs by `tracing` within the job's span, at the
    /// level that is logged, masked like the log ([`redacted`](crate::redact::redacted)); the worker's own lines are left
    /// out, and errors that the request is to blame for have none. It works with the log that
    /// [`start`](crate::start) sets up, not with a subscriber of the program's own.
    pub fn log_tail(mut self, lines: usize) -> Self {
        self.settings.log_tail = lines;
        self
    }

    /// Sets the largest body of a result, in bytes. A larger one is not sent: its job fails with `RESULT_TOO_LARGE`.
    /// Default: every result is sent, and the platform decides. Overridden by
    /// `RUNPOD_WORKER_LARGEST_RESULT`.
    ///
    /// The platform documents limits of 10 MB for `/run` and 20 MB for `/runsync`. A worker does not know
    /// which of them a job came by, and logs a warning for a larger result.
    pub fn largest_result(mut self, bytes: usize) -> Self {
        self.settings.largest_result = Some(bytes);
        self
    }

    /// Runs handlers on the same thread as the control loop, used by [`start`](crate::start).
    ///
    /// For handlers that only wait, such as a proxy in front of a backend: it saves two changes of
    /// thread for each job. Do not use it for a handler that computes or blocks, because it would delay takes, reports
    /// and cancellations. The heartbeat has a thread of its own in any case.
    pub fn on_one_thread(mut self) -> Self {
        self.settings.one_thread = true;
        self
    }

    /// Sets the number of threads for handlers, used by [`start`](crate::start). Default: one for each core. 0 is the default.
    ///
    /// A worker that only waits for a backend needs 1.
    pub fn handler_threads(mut self, threads: usize) -> Self {
        self.settings.handler_threads = NonZeroUsize::new(threads);
        self
    }
}

impl Worker {
    /// A worker whose handler is made by `load`.
    pub(crate) fn from_loader(
        load: Loader,
        schema: impl Fn() -> Option<Value> + Send + Sync + 'static,
        fitness: Vec<FitnessCheck>,
    ) -> Self {
        Self {
            source: Source::Loader(load),
            schema: Box::new(schema),
            settings: Settings::default(),
            observers: Observers::default(),
            fitness,
            #[cfg(feature = "http-modes")]
            routes: Routes::default(),
        }
    }

    /// The settings of the worker.
    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The settings, to be overridden before the worker starts.
    pub(crate) fn settings_mut(&mut self) -> &mut Settings {
        &mut self.settings
    }

    /// Takes the worker apart, for its launch.
    pub(crate) fn into_parts(self) -> WorkerParts {
        let load: Loader = match self.source {
            Source::Handler(handler) => Box::new(move || {
                let bound: Arc<dyn ErasedHandler> = Arc::new(Bound { handler, state: () });
                Box::pin(std::future::ready(Ok(bound)))
            }),
            Source::Loader(loader) => loader,
        };
        #[cfg(feature = "http-modes")]
        let load = {
            let (make_routes, _): (_, Routes<()>) = self.routes.bind();
            let load: Loader = Box::new(move || {
                make_routes(());
                load()
            });
            load
        };
        WorkerParts {
            settings: self.settings,
            observers: self.observers,
            fitness: self.fitness,
            load,
        }
    }
}

impl<S> fmt::Debug for Worker<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
