//! The journal in use: calls to its store on threads of its own, with a bounded wait.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info};

use super::blocking_pool::BlockingPool;
use super::claims::Claims;
use super::disk::Disk;
use super::health::DiskHealth;
use super::liveness::RENEW_INTERVAL;
use super::store::Store;
use crate::settings::Journal;

/// The longest wait for a disk call.
pub(super) const DISK_TIMEOUT: Duration = Duration::from_secs(10);

/// A journal in use: its disk, its threads, and the jobs whose files are claimed.
pub(super) struct OpenJournal {
    journal: Journal,
    disk: Arc<dyn Disk>,
    pool: BlockingPool,
    pub(super) health: Arc<DiskHealth>,
    /// Set once the directory could be opened.
    store: OnceLock<Store>,
    pub(super) claims: Claims,
    /// Set when the journal is closed: no further start is recorded.
    closed: AtomicBool,
    end: CancellationToken,
    /// The work that the end of the worker waits for.
    pub(super) work: TaskTracker,
}

impl OpenJournal {
    /// Opens the journal, and keeps trying if that fails.
    pub(super) async fn open(journal: Journal, disk: Arc<dyn Disk>, pool: BlockingPool) -> Arc<Self> {
        let open = Arc::new(Self {
            health: DiskHealth::new(journal.dir.clone()),
            journal,
            disk,
            pool,
            store: OnceLock::new(),
            claims: Claims::default(),
            closed: AtomicBool::new(false),
            end: CancellationToken::new(),
            work: TaskTracker::new(),
        });
        open.try_to_open().await;
        tokio::spawn(maintain(open.clone()));
        open
    }

    /// Ends the maintenance, and accepts no further work.
    pub(super) fn stop(&self) {
        self.closed.store(true, Ordering::Relaxed);
        self.end.cancel();
        self.work.close();
    }

    /// Whether [`stop`](Self::stop) was called.
    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// The store, if it is open and its disk answers.
    pub(super) fn store(&self) -> Option<&Store> {
        self.store.get().filter(|_| !self.health.is_stuck())
    }

    /// Runs work that the end of the worker waits for. If the disk hangs, the work runs once it answers.
    pub(super) fn spawn_blocking(self: &Arc<Self>, work: impl FnOnce(&Store) + Send + 'static) {
        let open = self.clone();
        let work = move || {
            if let Some(store) = open.store.get() {
                work(store);
            }
        };
        self.work.spawn_blocking_on(work, self.pool.handle());
    }

    /// Calls the store. `None` if it is not open or the disk does not answer.
    pub(super) async fn ask<T: Send + 'static>(
        self: &Arc<Self>,
        question: impl FnOnce(&Store) -> T + Send + 'static,
    ) -> Option<T> {
        self.store()?;
        let open = self.clone();
        self.call(move || open.store.get().map(question)).await.flatten()
    }

    /// Runs work on the blocking pool. `None` if the disk does not answer.
    pub(super) async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        if self.health.is_stuck() {
            return None;
        }
        let mut call = self.pool.handle().spawn_blocking(work);
        match tokio::time::timeout(DISK_TIMEOUT, &mut call).await {
            Ok(Ok(answer)) => Some(answer),
            Ok(Err(lost)) => {
                error!(error = %lost, "Uncaught exception | the journal broke");
                None
            }
            Err(_) => {
                let overdue = self.health.overdue(DISK_TIMEOUT);
                tokio::spawn(async move {
                    let _ = call.await;
                    drop(overdue);
                });
                None
            }
        }
    }

    async fn try_to_open(self: &Arc<Self>) {
        let open = self.clone();
        self.call(move || {
            let opened = Store::open(open.journal.clone(), open.disk.clone(), open.health.clone());
            if let Some(store) = open.health.note(opened) {
                info!("journal: {}", open.journal.dir.display());
                // Only one call at a time opens the store.
                let _ = open.store.set(store);
            }
        })
        .await;
    }
}

/// Renews this process's liveness file, and opens the journal if that failed before.
async fn maintain(open: Arc<OpenJournal>) {
    loop {
        tokio::select! {
            biased;
            () = open.end.cancelled() => return,
            () = tokio::time::sleep(RENEW_INTERVAL) => {}
        }
        if open.store.get().is_some() {
            open.ask(Store::renew).await;
        } else if open.health.usable() {
            open.try_to_open().await;
        }
    }
}
