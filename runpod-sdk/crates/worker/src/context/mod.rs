//! The context of a running job: its data, cancellation, progress and timeline.

mod blocking;
mod cancel;
mod completion;
mod counter;
mod timeline;

use std::any::Any;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::job::{Job, JobId};
use crate::json::RawJson;
use crate::scratch::JobScratch;

pub(crate) use blocking::offload;
pub(crate) use cancel::Cancel;
pub use cancel::CancelReason;
pub(crate) use completion::{CompletionEstimate, CompletionEstimates};
pub use counter::Counter;
pub use timeline::{Timeline, point};

/// A job's handle to the worker: the job itself, its cancellation, its progress.
///
/// Cheap to clone; clones belong to the same job.
///
/// # Tasks and threads of your own
///
/// A handler runs within the job's `tracing` span, which puts the job's id on every line of its log and its work into
/// the job's trace. A task that it spawns has no span unless it is given one, and neither has a thread:
///
/// ```
/// use runpod_sdk::prelude::*;
/// use tracing::Instrument as _;
///
/// #[handler]
/// async fn paint(prompt: String) -> JobResult<String> {
///     let sketch = async move {
///         tracing::info!("sketching");
///         format!("a sketch of {prompt}")
///     };
///     let sketch = tokio::spawn(sketch.in_current_span()).await?;
///
///     let span = tracing::Span::current();
///     let paint = move || {
///         span.in_scope(|| tracing::info!("painting"));
///         sketch
///     };
///     Ok(tokio::task::spawn_blocking(paint).await?)
/// }
/// # fn main() { let _ = paint::worker(); }
/// ```
///
/// A cancelled job's handler is dropped, but not the tasks that it has spawned: let those watch
/// [`cancelled`](Self::cancelled), or abort them.
#[derive(Clone)]
pub struct Context {
    inner: Arc<ContextParts>,
}

/// The values from which the runtime makes the context of one job.
#[derive(Clone)]
pub(crate) struct ContextParts {
    pub(crate) job: Job,
    pub(crate) cancel: Cancel,
    pub(crate) deadline: Option<Instant>,
    /// The latest progress update.
    pub(crate) progress: watch::Sender<Option<RawJson>>,
    pub(crate) timeline: Timeline,
    /// Set if the worker is to be replaced after this job.
    pub(crate) refresh: Arc<AtomicBool>,
    pub(crate) lease: Weak<Lease>,
    pub(crate) estimate: Weak<CompletionEstimate>,
    pub(crate) scratch: Weak<JobScratch>,
    /// The worker's own limit on the bytes of a result.
    pub(crate) largest_result: Option<usize>,
}

/// The resources that a job occupies while it runs, such as its slot. Only the runtime knows their type.
pub(crate) type Lease = dyn Any + Send + Sync;

impl Context {
    pub(crate) fn new(parts: ContextParts) -> Self {
        Self {
            inner: Arc::new(parts),
        }
    }

    /// A context without a worker, for tests.
    #[cfg(test)]
    pub(crate) fn alone(job: Job) -> (Self, watch::Receiver<Option<RawJson>>) {
        let nothing: Weak<()> = Weak::new();
        let (progress, updates) = watch::channel(None);
        let context = Self::new(ContextParts {
            job,
            cancel: Cancel::default(),
            deadline: None,
            progress,
            timeline: Timeline::start(),
            refresh: Arc::default(),
            lease: nothing,
            estimate: Weak::new(),
            scratch: Weak::new(),
            largest_result: None,
        });
        (context, updates)
    }

    /// The job's id.
    pub fn job_id(&self) -> &JobId {
        self.inner.job.id()
    }

    /// The whole job, with the keys beside the input.
    pub fn job(&self) -> &Job {
        &self.inner.job
    }

    /// The most bytes of the body of this job's result: what the platform documents ([`JobId::result_limit`]), or
    /// [`Worker::largest_result`](crate::Worker::largest_result) if that is less. A result above the worker's limit
    /// fails its job with `RESULT_TOO_LARGE`. A result above the documented limit alone is sent, and the platform may
    /// refuse it.
    ///
    /// Compare with [`RawJson::len_as_output`](crate::json::RawJson::len_as_output).
    pub fn result_limit(&self) -> usize {
        let documented = self.job_id().result_limit();
        self.inner
            .largest_result
            .map_or(documented, |limit| limit.min(documented))
    }

    /// The time at which the job is cancelled; `None` if the job has no limit that this worker knows.
    pub fn deadline(&self) -> Option<Instant> {
        self.inner.deadline
    }

    /// Time left until the deadline; zero when it has passed.
    pub fn time_left(&self) -> Option<Duration> {
        self.inner
            .deadline
            .map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    /// Waits until the job is cancelled and returns the reason. Never returns otherwise.
    ///
    /// From then on the handler has the worker's cancel grace (10 s by default) to clean up and return. After that its
    /// future is dropped at the next `.await`.
    pub async fn cancelled(&self) -> CancelReason {
        self.inner.cancel.cancelled().await
    }

    /// Whether the job has been cancelled. Blocking handlers look at this between pieces of work.
    pub fn is_cancelled(&self) -> bool {
        self.inner.cancel.reason().is_some()
    }

    /// Why the job was cancelled, if it was.
    pub fn cancel_reason(&self) -> Option<CancelReason> {
        self.inner.cancel.reason()
    }

    /// A token that is cancelled with the job, for code that takes one.
    pub fn cancellation_token(&self) -> CancellationToken {
        self.inner.cancel.token().clone()
    }

    /// Reports the job's progress. Clients see the value as `output` of an unfinished job.
    ///
    /// Never blocks. Updates are rate-limited, and the latest wins. No update is sent after the result. A value that
    /// cannot be encoded is logged and skipped.
    #[doc(alias = "progress_update")]
    pub fn progress<T: Serialize + 'static>(&self, value: T) {
        match RawJson::encode_owned(value) {
            Ok(update) => {
                self.inner.progress.send_replace(Some(update));
            }
            Err(error) => warn!(%error, "progress update could not be written as JSON"),
        }
    }

    /// A counter that reports its count and `total` as progress, with the percentage and the time left.
    ///
    /// ```
    /// use runpod_sdk::{Context, JobError, Worker};
    ///
    /// let worker: Worker = Worker::new(|pages: Vec<String>, ctx: Context| async move {
    ///     let counter = ctx.counter(pages.len() as u64);
    ///     for page in pages {
    ///         // … work on the page …
    ///         counter.add(1);
    ///     }
    ///     Ok::<_, JobError>("done")
    /// });
    /// ```
    pub fn counter(&self, total: u64) -> Counter {
        Counter::new(self.clone(), total)
    }

    /// Announces that the handler expects to return in `time`, so that the next job can be taken just before.
    ///
    /// With [`TakeAhead::JustInTime`](crate::TakeAhead::JustInTime) the worker sends its next take when `time` is at
    /// most a round trip to the platform. Without it this changes nothing. The latest estimate counts, so call it as
    /// often as you like, for instance after each step of a computation. An estimate that is too short makes the next
    /// job wait in this worker; one that is too long leaves the worker idle for a while.
    pub fn finishing_in(&self, time: Duration) {
        if let Some(estimate) = self.inner.estimate.upgrade() {
            estimate.expect_in(time);
        }
    }

    /// Asks the platform to replace this worker with a new one after this job.
    ///
    /// The worker takes no more jobs, finishes those it has, and exits with code 0. Use it when something is broken
    /// that only a new process can repair.
    pub fn refresh_worker(&self) {
        self.inner.refresh.store(true, Ordering::Relaxed);
    }

    /// A directory for this job's files, empty and private to the job. The first call creates it, and later calls
    /// return the same one.
    ///
    /// The directory and its contents are removed when the handler has ended: with a result, an error or a panic,
    /// cancelled, or dropped. Directories of a killed process are removed when the next worker starts with the same
    /// base directory. A port from Python needs no `clean()`.
    ///
    /// It lies below [`Worker::scratch`](crate::Worker::scratch), by default the system's directory for temporary
    /// files. A call creates at most two directories and a file, so it is fast.
    ///
    /// ```
    /// use runpod_sdk::prelude::*;
    ///
    /// #[handler]
    /// async fn render(scene: String, ctx: Context) -> JobResult<u64> {
    ///     let file = ctx.scratch_dir()?.join("scene.txt");
    ///     std::fs::write(&file, scene)?;
    ///     Ok(std::fs::metadata(&file)?.len())
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// The disk is full or not writable, or the handler has already ended.
    #[doc(alias = "rp_cleanup")]
    pub fn scratch_dir(&self) -> io::Result<PathBuf> {
        let scratch = self.inner.scratch.upgrade();
        scratch
            .ok_or_else(|| io::Error::other("the job has ended, and its scratch directory with it"))?
            .directory()
    }

    /// The resources that the job occupies, for work that outlives the handler's future. A blocked thread cannot be
    /// stopped, and no other job may run in its place until it ends.
    pub(crate) fn lease(&self) -> Option<Arc<Lease>> {
        self.inner.lease.upgrade()
    }

    /// A context of the same job that lends out `lease` instead.
    pub(crate) fn with_lease(&self, lease: Weak<Lease>) -> Self {
        let mut inner = ContextParts::clone(&self.inner);
        inner.lease = lease;
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Marks a point in the job's timeline.
    ///
    /// When the result has been delivered, one log line lists all points with their times:
    /// `job timeline: received=2026-01-01T00:00:00.000Z handler_started=+0.2ms … response_sent=+1204.9ms`.
    #[doc(alias = "rp_debugger")]
    pub fn mark(&self, point: &'static str) {
        self.inner.timeline.mark(point);
    }

    /// Adds a fact to the job's timeline, such as the number of the GPU that ran it. It stands after the points, as
    /// `name=value`; the last value of a name counts.
    pub fn note(&self, name: &'static str, value: impl fmt::Display) {
        self.inner.timeline.note(name, value.to_string());
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("job_id", self.job_id())
            .field("cancelled", &self.cancel_reason())
            .finish_non_exhaustive()
    }
}
