//! A harness for tests of handlers: a whole worker inside the test, also on a paused clock.
//!
//! ```
//! use runpod_sdk::prelude::*;
//! use runpod_sdk::testing::Harness;
//! use serde_json::json;
//!
//! let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
//! runtime.block_on(async {
//!     let double = Worker::new(|n: u32| async move { Ok::<_, JobError>(n * 2) });
//!     let harness = Harness::new(double);
//!     let run = harness.submit(json!(21)).finished().await;
//!     assert_eq!(run.output(), Some(&json!(42)));
//! });
//! # Ok::<_, std::io::Error>(())
//! ```

mod run;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde::Serialize;
use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::boot::{FitnessPlan, Launch, StartReporting, at_hand};
use crate::job::{Injected, Job, WorkerIdentity};
use crate::json::RawJson;
use crate::platform::memory::MemoryPlatform;
use crate::runtime::{ActiveJobs, Ended, Shutdown, Slots};
use crate::settings::PROTOCOL_VERSION;
use crate::worker::Worker;

pub use run::{JobEnd, JobRun, RunningJob};

/// Long polls of the platform inside the harness.
const HOLD: Duration = Duration::from_secs(20);

/// A worker that runs inside a test, with a platform in memory.
///
/// Jobs travel the same way as in production, without a network. On a paused clock
/// (`#[tokio::test(start_paused = true)]`) timeouts and grace periods cost no time.
///
/// Progress updates have no minimum interval here. A test sees each update after which the handler
/// awaits something that takes time.
///
/// Dropping the harness ends the worker at the next `.await`.
pub struct Harness {
    platform: Arc<MemoryPlatform>,
    active_jobs: Arc<ActiveJobs>,
    shutdown: Shutdown,
    submitted: AtomicUsize,
    injected: Injected,
    ended: watch::Receiver<Option<Ended>>,
}

impl Harness {
    /// Starts the worker on the current tokio runtime.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime. If the worker's state cannot be loaded, the harness's jobs panic
    /// with that error.
    pub fn new(mut worker: Worker) -> Self {
        let settings = worker.settings_mut();
        settings.progress_interval = Duration::ZERO;
        let limits = settings.limits;
        let slots = Slots::of(&settings.concurrency);
        let active_jobs = Arc::new(ActiveJobs::new(
            limits.undelivered_results,
            limits.undelivered_bytes,
        ));
        let platform = Arc::new(MemoryPlatform::new(HOLD));
        let shutdown = Shutdown::default();
        let (report_end, ended) = watch::channel(None);
        let launch = Launch {
            identity: WorkerIdentity {
                hostname: "harness".to_owned(),
                worker_id: "harness".to_owned(),
                runpod_version: PROTOCOL_VERSION.to_owned(),
            },
            active_jobs: active_jobs.clone(),
            slots,
            handlers: Handle::current(),
            shutdown: shutdown.clone(),
            fitness: FitnessPlan::none(),
            heartbeat: None,
            connect: at_hand(platform.clone()),
            random: fastrand::Rng::new(),
            start: StartReporting::Silent,
            worker,
        };
        tokio::spawn(async move {
            match launch.run().await {
                Ok(ended) => report_end.send_replace(Some(ended)),
                Err(error) => panic!("the worker could not start or go on: {error}"),
            };
        });
        Self {
            platform,
            active_jobs,
            shutdown,
            submitted: AtomicUsize::new(0),
            injected: Injected::default(),
            ended,
        }
    }

    /// Gives a value to the SDK's helpers, in place of what the environment configures, for all jobs submitted from now
    /// on. So a test sets no variables, and tests that run side by side do not see each other's values.
    ///
    /// A `storage::Bucket` is what `Bucket::for_job` then gives, whatever the job and the environment name:
    /// `Harness::new(paint::worker()).inject(Bucket::directory(folder))`.
    #[must_use]
    pub fn inject<T: Clone + Send + Sync + 'static>(mut self, value: T) -> Self {
        self.injected = self.injected.with(value);
        self
    }

    /// Puts a job with this input into the queue. Jobs are called `job-1`, `job-2` and so on.
    ///
    /// # Panics
    ///
    /// The input cannot be written as JSON.
    pub fn submit<T: Serialize>(&self, input: T) -> RunningJob {
        let number = self.submitted.fetch_add(1, Ordering::Relaxed) + 1;
        let id = format!("job-{number}");
        let input = match serde_json::to_value(input) {
            Ok(input) => input,
            Err(error) => panic!("the input can't be written as JSON: {error}"),
        };
        self.submit_job(Job::new(&id, RawJson::from(input)))
    }

    /// Puts a whole job into the queue, with its own id, `policy`, `s3Config` and what else it has.
    ///
    /// ```
    /// use runpod_sdk::Job;
    /// use runpod_sdk::prelude::*;
    /// use runpod_sdk::testing::Harness;
    ///
    /// #[handler]
    /// async fn whose(_: (), ctx: Context) -> JobResult<String> {
    ///     Ok(ctx.job_id().to_string())
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let harness = Harness::new(whose::worker());
    /// let job = r#"{"id": "sync-7", "input": null, "policy": {"executionTimeout": 5000}}"#;
    /// let run = harness.submit_job(Job::from_json(job)?).finished().await;
    /// assert_eq!(run.output(), Some(&"sync-7".into()));
    /// # Ok(())
    /// # }
    /// ```
    pub fn submit_job(&self, job: Job) -> RunningJob {
        let id = job.id().clone();
        self.platform.submit_job(job.with_injected(&self.injected));
        RunningJob::new(
            id,
            self.platform.clone(),
            self.active_jobs.clone(),
            self.ended.clone(),
        )
    }

    /// Drains the worker, as SIGTERM does, and waits for its end.
    ///
    /// Returns whether every job was settled.
    pub async fn shut_down(mut self) -> bool {
        self.shutdown.drain.cancel();
        match self.ended.wait_for(Option::is_some).await {
            Ok(ended) => *ended == Some(Ended::Drained),
            Err(_) => false,
        }
    }
}

impl Drop for Harness {
    fn drop(&mut self) {
        self.shutdown.drain.cancel();
    }
}

impl fmt::Debug for Harness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Harness")
            .field("active_jobs", &self.active_jobs)
            .finish_non_exhaustive()
    }
}
