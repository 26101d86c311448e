//! A worker with its hands on the table: every token and list within a test's reach.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::error::Error;
use crate::job::Identity;
use crate::journal::Keeper;
use crate::platform::memory::{Fault, MemoryPlatform, Said};
use crate::runtime::{Ended, Held, Runtime, Shutdown, live};
use crate::worker::Worker;

pub(super) struct Running {
    pub(super) platform: Arc<MemoryPlatform>,
    pub(super) held: Arc<Held>,
    pub(super) shutdown: Shutdown,
    worker: JoinHandle<Result<Ended, Error>>,
}

impl Running {
    /// Starts `worker` against an empty platform whose long polls last 20 s.
    pub(super) async fn start(worker: Worker) -> Self {
        Self::start_on(Arc::new(MemoryPlatform::new(Duration::from_secs(20))), worker, 1).await
    }

    pub(super) async fn start_on(platform: Arc<MemoryPlatform>, worker: Worker, seed: u64) -> Self {
        let journal = worker.options().journal.clone();
        Self::start_with(platform, worker, seed, Keeper::open_here(journal).await).await
    }

    /// Starts it with this journal, whatever it asks for.
    pub(super) async fn start_with(
        platform: Arc<MemoryPlatform>,
        worker: Worker,
        seed: u64,
        journal: Keeper,
    ) -> Self {
        let (options, load) = worker.into_parts();
        let handler = load().await.unwrap();
        let held = Arc::new(Held::new(options.held_results, options.held_bytes));
        let shutdown = Shutdown::default();
        let mut runtime = Runtime::new(
            platform.clone(),
            handler,
            options.clone(),
            Identity::default(),
            held.clone(),
            shutdown.clone(),
        );
        runtime.random = fastrand::Rng::with_seed(seed);
        runtime.journal = journal;
        let stop = shutdown.clone();
        let worker =
            tokio::spawn(async move { live(&options, &Handle::current(), &stop, runtime.run()).await });
        Self {
            platform,
            held,
            shutdown,
            worker,
        }
    }

    /// Hands out a job whose result never arrives, and waits until it is taken.
    pub(super) async fn submit_and_lose_the_result(&self, job: &str, input: serde_json::Value) {
        self.platform
            .with_faults(|said| matches!(said, Said::Result { .. }).then_some(Fault::LoseRequest));
        self.platform.submit(job, input);
        self.held.until(|held| held.len() == 1).await;
    }

    /// Waits for the worker to end.
    pub(super) async fn ended(self) -> Ended {
        self.worker.await.unwrap().unwrap()
    }

    /// Waits for the worker to break.
    pub(super) async fn failed(self) -> Error {
        self.worker.await.unwrap().unwrap_err()
    }

    /// SIGTERM, and waits for the worker to end.
    pub(super) async fn drained(self) -> Ended {
        self.shutdown.drain.cancel();
        self.ended().await
    }
}

/// Only the takes of all that was said.
pub(super) fn takes(said: &[Said]) -> Vec<(usize, bool)> {
    said.iter()
        .filter_map(|said| match said {
            Said::Take { at_most, busy } => Some((*at_most, *busy)),
            _ => None,
        })
        .collect()
}

/// The results in the order in which they arrived: job and body.
pub(super) fn results(said: &[Said]) -> Vec<(String, String)> {
    said.iter()
        .filter_map(|said| match said {
            Said::Result { job, body, .. } => Some((job.to_string(), body.clone())),
            _ => None,
        })
        .collect()
}
