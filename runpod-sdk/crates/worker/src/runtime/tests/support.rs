//! A running worker, with access to its platform, its active jobs and its shutdown tokens.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::boot::{Connected, FitnessPlan, Launch, StartReporting};
use crate::error::Error;
use crate::job::WorkerIdentity;
use crate::journal::JournalHandle;
use crate::platform::memory::{Exchange, Fault, MemoryPlatform};
use crate::runtime::{ActiveJobs, Ended, Shutdown, Slots};
use crate::settings::WorkerLimits;
use crate::worker::Worker;

pub(super) struct Running {
    pub(super) platform: Arc<MemoryPlatform>,
    pub(super) active_jobs: Arc<ActiveJobs>,
    pub(super) shutdown: Shutdown,
    worker: JoinHandle<Result<Ended, Error>>,
}

impl Running {
    /// Starts `worker` against an empty platform whose long polls last 20 s.
    pub(super) async fn start(worker: Worker) -> Self {
        Self::start_on(Arc::new(MemoryPlatform::new(Duration::from_secs(20))), worker, 1).await
    }

    pub(super) async fn start_on(platform: Arc<MemoryPlatform>, worker: Worker, seed: u64) -> Self {
        let journal = worker.settings().journal.clone();
        Self::start_with(platform, worker, seed, JournalHandle::open_here(journal).await)
    }

    /// Starts `worker` with this journal instead of its own.
    pub(super) fn start_with(
        platform: Arc<MemoryPlatform>,
        worker: Worker,
        seed: u64,
        journal: JournalHandle,
    ) -> Self {
        let limits = worker.settings().limits;
        let active_jobs = Arc::new(ActiveJobs::new(
            limits.undelivered_results,
            limits.undelivered_bytes,
        ));
        let shutdown = Shutdown::default();
        let connected = Connected {
            platform: platform.clone(),
            journal,
        };
        let launch = Launch {
            identity: WorkerIdentity::default(),
            active_jobs: active_jobs.clone(),
            slots: Slots::of(&worker.settings().concurrency),
            handlers: Handle::current(),
            shutdown: shutdown.clone(),
            fitness: FitnessPlan::none(),
            heartbeat: None,
            connect: Box::pin(std::future::ready(Ok(connected))),
            random: fastrand::Rng::with_seed(seed),
            start: StartReporting::Silent,
            worker,
        };
        let worker = tokio::spawn(launch.run());
        Self {
            platform,
            active_jobs,
            shutdown,
            worker,
        }
    }

    /// Hands out a job whose result never arrives, and waits until it is taken.
    pub(super) async fn submit_and_lose_the_result(&self, job: &str, input: serde_json::Value) {
        self.platform.with_faults(|exchange| {
            matches!(exchange, Exchange::Result { .. }).then_some(Fault::LoseRequest)
        });
        self.platform.submit(job, input);
        self.active_jobs.until(|jobs| jobs.len() == 1).await;
    }

    /// Waits for the worker to end.
    pub(super) async fn ended(self) -> Ended {
        self.worker.await.unwrap().unwrap()
    }

    /// Waits for the worker to fail.
    pub(super) async fn failed(self) -> Error {
        self.worker.await.unwrap().unwrap_err()
    }

    /// SIGTERM, and waits for the worker to end.
    pub(super) async fn drained(self) -> Ended {
        self.shutdown.drain.cancel();
        self.ended().await
    }
}

/// The takes among the exchanges.
pub(super) fn takes(exchanges: &[Exchange]) -> Vec<(usize, bool)> {
    exchanges
        .iter()
        .filter_map(|exchange| match exchange {
            Exchange::Take { at_most, busy } => Some((*at_most, *busy)),
            _ => None,
        })
        .collect()
}

/// The results in the order in which they arrived: job and body.
pub(super) fn results(exchanges: &[Exchange]) -> Vec<(String, String)> {
    exchanges
        .iter()
        .filter_map(|exchange| match exchange {
            Exchange::Result { job, body, .. } => Some((job.to_string(), body.clone())),
            _ => None,
        })
        .collect()
}

/// The worker with limits that no user can change.
pub(super) fn with_limits(mut worker: Worker, change: impl FnOnce(&mut WorkerLimits)) -> Worker {
    change(&mut worker.settings_mut().limits);
    worker
}
