//! What the runtime asks of the journal. The disk is touched on other threads only.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde_json::json;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use super::claims::{By, Claim, Claims};
use super::disk::{Disk, RealDisk};
use super::entry::Entry;
use super::hands::Hands;
use super::health::Health;
use super::kept::Kept;
use super::name::{Key, Name};
use super::owners::RENEW;
use super::store::{Begun, Store};
use crate::job::{ErrorClass, ErrorCode, JobError, JobId, Outcome, Report};
use crate::settings::Journal;

/// A disk that does not answer for so long is not waited for.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// What results still being written get when the worker ends.
const LAST_WRITES: Duration = Duration::from_secs(2);

/// The journal of a running worker, or none: then every method returns at once.
#[derive(Clone, Default)]
pub(crate) struct Keeper(Option<Arc<Open>>);

pub(super) struct Open {
    journal: Journal,
    disk: Arc<dyn Disk>,
    hands: Hands,
    pub(super) health: Arc<Health>,
    /// There once the directory could be opened.
    store: OnceLock<Store>,
    pub(super) claims: Claims,
    /// Nothing more is begun.
    closed: AtomicBool,
    end: CancellationToken,
    work: TaskTracker,
}

/// What to do with a job that has just been taken. [`Keeper::keep`] or [`Keeper::forget`] must follow.
#[derive(Debug)]
pub(crate) enum Begin {
    /// Run it.
    Run,
    /// End it like this.
    Answer(Outcome),
}

/// A result that an earlier process, or an earlier attempt of this one, has left.
#[derive(Debug)]
pub(crate) struct Leftover {
    pub(crate) job: JobId,
    pub(crate) report: Report,
    key: Key,
    /// Ends when this is dropped: the leftover has to wait, or is settled.
    _claim: Claim,
}

impl Keeper {
    /// Opens the journal. If that fails, or takes too long, the worker begins without one, and the log says so.
    pub(crate) async fn open(journal: Option<Journal>) -> Self {
        let Some(journal) = journal else { return Self(None) };
        match Hands::new() {
            Ok(hands) => Self::open_on(journal, Arc::new(RealDisk), hands).await,
            Err(error) => {
                error!(%error, "no threads for the journal; going on without one");
                Self(None)
            }
        }
    }

    pub(super) async fn open_on(journal: Journal, disk: Arc<dyn Disk>, hands: Hands) -> Self {
        let open = Arc::new(Open {
            health: Health::new(journal.dir.clone()),
            journal,
            disk,
            hands,
            store: OnceLock::new(),
            claims: Claims::default(),
            closed: AtomicBool::new(false),
            end: CancellationToken::new(),
            work: TaskTracker::new(),
        });
        open.try_to_open().await;
        tokio::spawn(attend(open.clone()));
        Self(Some(open))
    }

    /// The same on the real disk with the threads of this runtime.
    #[cfg(test)]
    pub(crate) async fn open_here(journal: Option<Journal>) -> Self {
        match journal {
            Some(journal) => Self::open_on(journal, Arc::new(RealDisk), Hands::of_this_runtime()).await,
            None => Self(None),
        }
    }

    /// Looks up a job that was taken, before its handler runs. Whoever no longer wants to know drops this.
    ///
    /// The claim, which keeps others from the job's files, belongs to the job until its end. There is none if there is
    /// no journal, or if somebody else is busy with the files for too long.
    pub(crate) async fn begin(&self, job: &JobId) -> (Begin, Option<Claim>) {
        let Some(open) = &self.0 else {
            return (Begin::Run, None);
        };
        let key = Key::of(job);
        let claim = open.claims.claim(&key);
        tokio::pin!(claim);
        let claim = loop {
            match tokio::time::timeout(PATIENCE, &mut claim).await {
                Ok(claim) => break claim,
                // The platform takes its time over what an earlier run has left. The same answers this job.
                Err(_) if open.claims.are_with(&key, By::Recovery) => {
                    let id = job.clone();
                    if let Some(report) = open.ask(move |store| store.stored(&id)).await.flatten() {
                        return (Begin::stored(report), None);
                    }
                    if open.health.is_stuck() {
                        return (Begin::Run, None);
                    }
                }
                // An earlier run of the job waits for a disk that does not answer.
                Err(_) => return (Begin::Run, None),
            }
        };
        if open.closed.load(Ordering::Relaxed) {
            return (Begin::Run, Some(claim));
        }
        let id = job.clone();
        let begin = match open.ask(move |store| store.begin(&id)).await {
            None | Some(Begun::Run) => Begin::Run,
            Some(Begun::Stored(report)) => Begin::stored(report),
            Some(Begun::Poison(times)) => Begin::Answer(Outcome::Failed(poison(&times))),
        };
        (begin, Some(claim))
    }

    /// Writes a result beside its delivery. The claim is that of [`begin`](Self::begin).
    pub(crate) fn keep(&self, job: &JobId, report: &Report, claim: Option<Claim>) -> Kept {
        match &self.0 {
            Some(open) => Kept::write(open, job, report, claim),
            None => Kept::nowhere(),
        }
    }

    /// The job has ended without a result to deliver. The claim is that of [`begin`](Self::begin).
    pub(crate) fn forget(&self, job: &JobId, claim: Option<Claim>) {
        let Some(open) = &self.0 else { return };
        if open.store().is_some() {
            let key = Key::of(job);
            open.spawn_blocking(move |store| {
                store.ended(&key);
                drop(claim);
            });
        }
    }

    /// Whether there is a journal to look for leftovers in.
    pub(crate) fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Tidies up and lists the results that nobody delivers, oldest first.
    pub(crate) async fn leftovers(&self) -> Vec<Name> {
        let Some(open) = &self.0 else { return Vec::new() };
        let inner = open.clone();
        let listed = open.ask(move |store| store.leftovers(&|key| inner.claims.is_claimed(key)));
        match listed.await {
            Some(Ok(names)) => names,
            Some(Err(error)) => {
                open.health.failed(&error);
                Vec::new()
            }
            None => Vec::new(),
        }
    }

    /// Takes a result over for delivery. `None` if somebody else is busy with it.
    pub(crate) async fn adopt(&self, name: Name) -> Option<Leftover> {
        let open = self.0.as_ref()?;
        let key = name.key.clone();
        let claim = open.claims.try_claim(&key)?;
        let Entry { job, report } = open.ask(move |store| store.adopt(&name)).await.flatten()?;
        Some(Leftover {
            job,
            report,
            key,
            _claim: claim,
        })
    }

    /// The leftover was delivered, or else the platform will never want it.
    pub(crate) async fn settle(&self, leftover: Leftover, delivered: bool) {
        let Some(open) = &self.0 else { return };
        let Leftover { key, _claim, .. } = leftover;
        open.ask(move |store| {
            if delivered {
                store.delivered(&key);
            } else {
                store.settle(&key);
            }
        })
        .await;
    }

    /// Finishes what is being written and says goodbye: what this process leaves may be taken over at once.
    pub(crate) async fn close(&self) {
        let Some(open) = &self.0 else { return };
        open.closed.store(true, Ordering::Relaxed);
        open.end.cancel();
        open.work.close();
        if tokio::time::timeout(LAST_WRITES, open.work.wait()).await.is_err() {
            warn!(
                writes = open.work.len(),
                "the journal's disk is too slow; not everything is written"
            );
        }
        let _ = tokio::time::timeout(LAST_WRITES, open.ask(Store::close)).await;
    }
}

impl Begin {
    fn stored(report: Report) -> Self {
        info!("answered from the journal: an earlier run of this job has left its result");
        // The job is this worker's now, whoever ran it.
        Self::Answer(Outcome::Stored(report.of_worker(None)))
    }
}

impl Open {
    /// The store, if it is there and its disk answers.
    pub(super) fn store(&self) -> Option<&Store> {
        self.store.get().filter(|_| !self.health.is_stuck())
    }

    /// Work that is waited for when the worker ends. A disk that hangs does it once it answers.
    pub(super) fn spawn_blocking(self: &Arc<Self>, work: impl FnOnce(&Store) + Send + 'static) {
        let open = self.clone();
        let work = move || {
            if let Some(store) = open.store.get() {
                work(store);
            }
        };
        self.work.spawn_blocking_on(work, self.hands.handle());
    }

    /// Asks the store something. `None` if it is not there or the disk does not answer.
    async fn ask<T: Send + 'static>(
        self: &Arc<Self>,
        question: impl FnOnce(&Store) -> T + Send + 'static,
    ) -> Option<T> {
        self.store()?;
        let open = self.clone();
        self.call(move || open.store.get().map(question)).await.flatten()
    }

    /// Lets the disk's threads do something. `None` if the disk does not answer.
    async fn call<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        if self.health.is_stuck() {
            return None;
        }
        let mut call = self.hands.handle().spawn_blocking(work);
        match tokio::time::timeout(PATIENCE, &mut call).await {
            Ok(Ok(answer)) => Some(answer),
            Ok(Err(lost)) => {
                error!(error = %lost, "Uncaught exception | the journal broke");
                None
            }
            Err(_) => {
                let overdue = self.health.overdue(PATIENCE);
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
                // One call at a time opens it.
                let _ = open.store.set(store);
            }
        })
        .await;
    }
}

/// Shows that this process lives; opens the journal if that was not possible before.
async fn attend(open: Arc<Open>) {
    loop {
        tokio::select! {
            biased;
            () = open.end.cancelled() => return,
            () = tokio::time::sleep(RENEW) => {}
        }
        if open.store.get().is_some() {
            open.ask(Store::renew).await;
        } else if open.health.usable() {
            open.try_to_open().await;
        }
    }
}

fn poison(times: &[std::time::SystemTime]) -> JobError {
    let times: Vec<String> = times
        .iter()
        .map(|time| humantime::format_rfc3339_seconds(*time).to_string())
        .collect();
    let message = format!(
        "each of the last {} times this job ran, its worker's process died (at {}); it is not run again",
        times.len(),
        times.join(", "),
    );
    JobError::new(ErrorCode::POISON_JOB, ErrorClass::Worker, message)
        .with_hint(
            "look at the worker's log of those times; most often the job needs more memory than there is, or \
             crashes a native library",
        )
        .with_details(json!({ "crashes": times.len(), "crashed_at": times }))
}
