//! What a running job can ask and tell.

mod cancel;
mod counter;
mod finish;
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

pub(crate) use cancel::Cancel;
pub use cancel::CancelReason;
pub use counter::Counter;
pub(crate) use finish::{Finish, Finishes};
pub use timeline::{Timeline, point};

/// A job's view of the worker: who it is, whether it should stop, and how to report progress.
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
    inner: Arc<Parts>,
}

/// What the runtime gives the context of one job.
#[derive(Clone)]
pub(crate) struct Parts {
    pub(crate) job: Job,
    pub(crate) cancel: Cancel,
    pub(crate) deadline: Option<Instant>,
    /// Where the job's progress goes.
    pub(crate) progress: watch::Sender<Option<RawJson>>,
    pub(crate) timeline: Timeline,
    /// Whether the worker is to be replaced after this job.
    pub(crate) refresh: Arc<AtomicBool>,
    pub(crate) lease: Weak<Lease>,
    pub(crate) finish: Weak<Finish>,
    pub(crate) scratch: Weak<JobScratch>,
    /// A larger result is not sent.
    pub(crate) largest_result: Option<usize>,
}

/// What a job occupies while it runs. Only the runtime knows what that is.
pub(crate) type Lease = dyn Any + Send + Sync;

impl Context {
    pub(crate) fn new(parts: Parts) -> Self {
        Self {
            inner: Arc::new(parts),
        }
    }

    /// A context without a worker around it, for tests of what is made from contexts.
    #[cfg(test)]
    pub(crate) fn alone(job: Job) -> (Self, watch::Receiver<Option<RawJson>>) {
        let nothing: Weak<()> = Weak::new();
        let (progress, updates) = watch::channel(None);
        let context = Self::new(Parts {
            job,
            cancel: Cancel::default(),
            deadline: None,
            progress,
            timeline: Timeline::start(),
            refresh: Arc::default(),
            lease: nothing,
            finish: Weak::new(),
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

    /// Bytes that the body of this job's result may have: what the platform documents
    /// ([`JobId::result_limit`]), or [`Worker::largest_result`](crate::Worker::largest_result) if that is less. A
    /// result above the latter fails its job with `RESULT_TOO_LARGE`; one above the former alone is sent, and the
    /// platform may refuse it.
    ///
    /// Compare with [`RawJson::len_as_output`](crate::json::RawJson::len_as_output).
    pub fn result_limit(&self) -> usize {
        let documented = self.job_id().result_limit();
        self.inner
            .largest_result
            .map_or(documented, |limit| limit.min(documented))
    }

    /// When the job must be done; `None` if it has no limit that this worker knows of.
    pub fn deadline(&self) -> Option<Instant> {
        self.inner.deadline
    }

    /// Time left until the deadline; zero when it has passed.
    pub fn time_left(&self) -> Option<Duration> {
        self.inner
            .deadline
            .map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    /// Waits until the job is cancelled, and says why. Never returns otherwise.
    ///
    /// From then on the handler has the worker's cancel grace (10 s by default) to tidy up and
    /// return; after it, its future is dropped at the next `.await`.
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

    /// Reports how far the job is. Clients see it as `output` of an unfinished job.
    ///
    /// Never blocks. Updates are spaced out; of those that come too fast, the latest wins. None is
    /// sent after the result. A value that cannot be encoded is logged and left out.
    pub fn progress<T: Serialize + 'static>(&self, value: T) {
        match RawJson::encode_owned(value) {
            Ok(update) => {
                self.inner.progress.send_replace(Some(update));
            }
            Err(error) => warn!(%error, "progress update could not be written as JSON"),
        }
    }

    /// A counter that reports "done of `total`" as progress, with the percentage and the time left.
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

    /// Says that the handler expects to return in `time`, so that the next job can be fetched in time.
    ///
    /// With [`TakeAhead::JustInTime`](crate::TakeAhead::JustInTime) the worker sends its next take when this is no
    /// longer than a round trip to the platform; otherwise it changes nothing. Call it as often as you
    /// like, for instance after each step of a computation: the latest estimate counts. One that is too
    /// short makes the next job wait here; one that is too long leaves the worker idle for a while.
    pub fn finishing_in(&self, time: Duration) {
        if let Some(finish) = self.inner.finish.upgrade() {
            finish.expect_in(time);
        }
    }

    /// Asks the platform to replace this worker by a fresh one after this job.
    ///
    /// The worker takes no more jobs, finishes those it has, and exits with code 0. Use it when
    /// something has gone wrong that only a new process can mend.
    pub fn refresh_worker(&self) {
        self.inner.refresh.store(true, Ordering::Relaxed);
    }

    /// A directory for this job's files: empty, on a disk, and nobody else's. Made at the first call, and the
    /// same at each.
    ///
    /// It is removed with all it holds when the handler has ended, however it did: with a result, an error or
    /// a panic, cancelled, or dropped. What a killed process leaves is removed when the next worker starts in
    /// the same place. Python's `clean()`, which removed `job_files/` and others between jobs, has nothing
    /// left to do.
    ///
    /// It lies below [`Worker::scratch`](crate::Worker::scratch), by default the system's directory for
    /// temporary files. This makes at most two directories and a file, so it is quick.
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
    /// The disk is full or may not be written, or the handler has ended already.
    pub fn scratch_dir(&self) -> io::Result<PathBuf> {
        let scratch = self.inner.scratch.upgrade();
        scratch
            .ok_or_else(|| io::Error::other("the job has ended, and its scratch directory with it"))?
            .directory()
    }

    /// Keeps what the job occupies for work that outlives the handler's future: a thread that
    /// blocks cannot be stopped, and until it ends no other job may run in its place.
    pub(crate) fn lease(&self) -> Option<Arc<Lease>> {
        self.inner.lease.upgrade()
    }

    /// The same job, occupying `lease` beside what it occupies already.
    pub(crate) fn with_lease(&self, lease: Weak<Lease>) -> Self {
        let mut inner = Parts::clone(&self.inner);
        inner.lease = lease;
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Notes that the job has come to a certain point.
    ///
    /// When the result has been delivered, one log line lists all points with their times:
    /// `job timeline: received=2026-01-01T00:00:00.000Z handler_started=+0.2ms … response_sent=+1204.9ms`.
    pub fn mark(&self, point: &'static str) {
        self.inner.timeline.mark(point);
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
