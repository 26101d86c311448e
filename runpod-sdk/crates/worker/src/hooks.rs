//! The hooks of a program: before a job, after it, and at the end of the worker.

use runpod_protocol::sync::Mutex;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::context::Context;
use crate::events::JobSummary;
use crate::job::{IntoJobError, JobError};
use crate::panics::guarded;

/// The longest time of an `after_job` hook.
const AFTER_LIMIT: Duration = Duration::from_secs(30);
/// The longest time of all `on_shutdown` hooks together.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(30);
/// The longest time of the `on_shutdown` hooks after a second signal.
const SECOND_SIGNAL_LIMIT: Duration = Duration::from_secs(5);

type Before = dyn Fn(Context) -> BoxFuture<'static, Result<(), JobError>> + Send + Sync;
type After = dyn Fn(Context, JobSummary) -> BoxFuture<'static, ()> + Send + Sync;
type OnShutdown = Box<dyn FnOnce() -> BoxFuture<'static, ()> + Send>;

/// The hooks of one worker.
#[derive(Clone, Default)]
pub(crate) struct Hooks {
    before: Vec<Arc<Before>>,
    after: Vec<Arc<After>>,
    /// Emptied when they run, so that they run once.
    shutdown: Arc<Mutex<Vec<OnShutdown>>>,
}

impl Hooks {
    pub(super) fn add_before<F, Fut, E>(&mut self, hook: F)
    where
        F: Fn(Context) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
        E: IntoJobError,
    {
        self.before.push(Arc::new(move |context| {
            let hook = hook(context);
            Box::pin(async move { hook.await.map_err(IntoJobError::into_job_error) })
        }));
    }

    pub(super) fn add_after<F, Fut>(&mut self, hook: F)
    where
        F: Fn(Context, JobSummary) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.after
            .push(Arc::new(move |context, job| Box::pin(hook(context, job))));
    }

    pub(super) fn add_on_shutdown<F, Fut>(&mut self, hook: F)
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.shutdown.lock().push(Box::new(move || Box::pin(hook())));
    }

    /// Runs the hooks before a job, in order. The first error ends it.
    pub(crate) async fn before_job(&self, context: &Context) -> Result<(), JobError> {
        for hook in &self.before {
            hook(context.clone()).await?;
        }
        Ok(())
    }

    pub(crate) fn any_after_job(&self) -> bool {
        !self.after.is_empty()
    }

    /// Runs the hooks after a job, in order.
    pub(crate) async fn after_job(self, context: Context, job: JobSummary) {
        for hook in self.after {
            let run = async {
                hook(context.clone(), job.clone()).await;
                Ok(())
            };
            match tokio::time::timeout(AFTER_LIMIT, guarded(run)).await {
                Ok(Ok(())) => {}
                Ok(Err(panic)) => error!("a hook after the job panicked: {}", panic.message()),
                Err(_) => warn!(limit = ?AFTER_LIMIT, "a hook after the job took too long; it is dropped"),
            }
        }
    }

    /// Runs the shutdown hooks concurrently on `handlers`. A second call does nothing.
    pub(crate) async fn shut_down(&self, handlers: &Handle, abandon: &CancellationToken) {
        let hooks = std::mem::take(&mut *self.shutdown.lock());
        let mut running = JoinSet::new();
        for hook in hooks {
            let run = async move {
                hook().await;
                Ok(())
            };
            running.spawn_on(guarded(run), handlers);
        }
        let ended = async {
            while let Some(ended) = running.join_next().await {
                if let Ok(Err(panic)) = ended {
                    error!("a shutdown hook panicked: {}", panic.message());
                }
            }
        };
        let began = Instant::now();
        let too_late = async {
            tokio::select! {
                () = tokio::time::sleep_until(began + SHUTDOWN_LIMIT) => SHUTDOWN_LIMIT,
                () = async {
                    abandon.cancelled().await;
                    tokio::time::sleep(SECOND_SIGNAL_LIMIT).await;
                } => SECOND_SIGNAL_LIMIT,
            }
        };
        tokio::select! {
            biased;
            () = ended => {}
            limit = too_late => warn!(?limit, "a shutdown hook took too long; leaving without it"),
        }
    }
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks")
            .field("before_job", &self.before.len())
            .field("after_job", &self.after.len())
            .finish_non_exhaustive()
    }
}
