//! The builder methods for listeners, hooks and metrics.

use std::future::Future;

use super::Worker;
use crate::context::Context;
use crate::events::{JobSummary, WorkerEvent};
use crate::job::IntoJobError;

impl<S> Worker<S> {
    /// Calls `listener` for each [`WorkerEvent`]. Several listeners are called in the order in which
    /// they were given.
    ///
    /// It is called where the event happens, possibly by several threads at once, and the worker
    /// waits for it, so it must not block: count, send to a channel, set a flag. Longer work
    /// reads from [`events::channel`](crate::events::channel). A listener that panics is not called again.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicU64, Ordering};
    ///
    /// use runpod_sdk::{JobError, Worker};
    /// use runpod_sdk::events::WorkerEvent;
    ///
    /// let lost = Arc::new(AtomicU64::new(0));
    /// let counter = lost.clone();
    /// let worker: Worker = Worker::new(|n: u32| async move { Ok::<_, JobError>(n) }).on_event(move |event| {
    ///     if matches!(event, WorkerEvent::ResultLost { .. }) {
    ///         counter.fetch_add(1, Ordering::Relaxed);
    ///     }
    /// });
    /// ```
    pub fn on_event(mut self, listener: impl Fn(&WorkerEvent) + Send + Sync + 'static) -> Self {
        self.observers.events.listen(listener);
        self
    }

    /// Runs `hook` before each job's handler, in the job's slot and on its time: its deadline and its
    /// cancellation hold for the hook, too.
    ///
    /// An error fails the job, as if the handler had returned it; the handler is not called then. A
    /// panic does the same. Several hooks run in the order in which they were given.
    ///
    /// ```
    /// use runpod_sdk::{Context, JobError, Worker};
    ///
    /// let worker: Worker = Worker::new(|n: u32| async move { Ok::<_, JobError>(n) }).before_job(|ctx: Context| async move {
    ///     match ctx.job().get::<String>("tenant")? {
    ///         Some(_) => Ok(()),
    ///         None => Err(JobError::invalid_input("tenant is missing")),
    ///     }
    /// });
    /// ```
    pub fn before_job<F, Fut, E>(mut self, hook: F) -> Self
    where
        F: Fn(Context) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
        E: IntoJobError,
    {
        self.observers.hooks.add_before(hook);
        self
    }

    /// Runs `hook` after each job, however it ended.
    ///
    /// It delays no job: the job's slot is free for the next one, and the result is being delivered.
    /// Work that must end before the next job begins belongs into the handler. It also runs when
    /// [`before_job`](Self::before_job) failed the job, but not for a job that was stopped before it got
    /// a slot. Shutting down waits for it.
    ///
    /// It may take 30 s and is dropped then. A panic is logged and changes nothing. Several hooks run
    /// in the order in which they were given.
    ///
    /// ```
    /// use runpod_sdk::events::JobSummary;
    /// use runpod_sdk::{Context, JobError, Worker};
    ///
    /// let worker: Worker = Worker::new(|n: u32| async move { Ok::<_, JobError>(n) })
    ///     .after_job(|ctx: Context, job: JobSummary| async move {
    ///         tracing::info!(bytes = job.output_bytes, "job {}: {}", ctx.job_id(), job.outcome);
    ///     });
    /// ```
    pub fn after_job<F, Fut>(mut self, hook: F) -> Self
    where
        F: Fn(Context, JobSummary) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.observers.hooks.add_after(hook);
        self
    }

    /// Runs `hook` once at the worker's end, for example to end a child process.
    ///
    /// It runs when every job is done or given up, and also if a check failed, the state could not be
    /// loaded or the worker was stopped before it was ready. It does not run if the process is
    /// killed or its configuration cannot be read.
    ///
    /// Several hooks run at the same time. Together they may take 30 s, and 5 s more once a second
    /// SIGTERM or SIGINT has come; the worker leaves without those that take longer. A panic is logged and
    /// does not change the exit code.
    ///
    /// ```
    /// use runpod_sdk::{JobError, Worker};
    ///
    /// let worker: Worker = Worker::new(|n: u32| async move { Ok::<_, JobError>(n) })
    ///     .on_shutdown(|| async { tracing::info!("bye") });
    /// ```
    pub fn on_shutdown<F, Fut>(mut self, hook: F) -> Self
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.observers.hooks.add_on_shutdown(hook);
        self
    }

    /// Counts the events of this worker in `metrics`.
    ///
    /// They are served where [`metrics_address`](Self::metrics_address) says; a program with an HTTP
    /// server of its own serves [`Metrics::render`](crate::metrics::Metrics::render) there instead.
    #[cfg(feature = "metrics")]
    #[cfg_attr(docsrs, doc(cfg(feature = "metrics")))]
    pub fn metrics(mut self, metrics: &crate::metrics::Metrics) -> Self {
        metrics.listen_to(&mut self.observers.events);
        self.observers.metrics = Some(metrics.clone());
        self
    }

    /// Serves the worker's figures at `http://{address}/metrics` from the start of a deployed worker to
    /// its end, on a thread of its own. Default: nowhere. Overridden by `RUNPOD_WORKER_METRICS`: a port,
    /// which is then served to this machine alone, an address with a port, or `off`.
    ///
    /// There is no password: every client that reaches the address can read the figures. They hold no job ids, inputs
    /// or keys. An address that cannot be listened on is an error in the log, and the worker runs without it.
    #[cfg(feature = "metrics")]
    #[cfg_attr(docsrs, doc(cfg(feature = "metrics")))]
    pub fn metrics_address(mut self, address: std::net::SocketAddr) -> Self {
        self.settings.metrics = Some(address);
        self
    }
}
