//! The runtime's interface to the journal. Disk calls run on the journal's own threads.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tracing::{error, info, warn};

use super::blocking_pool::BlockingPool;
use super::claims::{Claim, Claimant};
use super::disk::{Disk, RealDisk};
use super::format::StoredResult;
use super::name::{FileName, JobKey};
use super::open::{DISK_TIMEOUT, OpenJournal};
use super::pending::PendingResult;
use super::store::{JobHistory, Store};
use crate::job::{ErrorClass, ErrorCode, JobError, JobId, JobReport, Outcome};
use crate::settings::Journal;

/// The time that writes get to finish when the worker ends.
const LAST_WRITES: Duration = Duration::from_secs(2);

/// The journal of a running worker. Without a journal every method returns at once.
#[derive(Clone, Default)]
pub(crate) struct JournalHandle(Option<Arc<OpenJournal>>);

/// What to do with a job that has just been taken. [`JournalHandle::keep`] or [`JournalHandle::forget`] must follow.
#[derive(Debug)]
pub(crate) enum StartDecision {
    /// Run it.
    Run,
    /// Do not run it; this is its outcome.
    Answer(Outcome),
}

/// A result that an earlier process, or an earlier attempt of this one, could not deliver.
#[derive(Debug)]
pub(crate) struct Leftover {
    pub(crate) job: JobId,
    pub(crate) report: JobReport,
    key: JobKey,
    /// Ends when this is dropped.
    _claim: Claim,
}

impl JournalHandle {
    /// Opens the journal. If that fails or takes too long, an error is logged and the worker starts without it.
    pub(crate) async fn open(journal: Option<Journal>) -> Self {
        let Some(journal) = journal else { return Self(None) };
        match BlockingPool::new() {
            Ok(pool) => Self::open_on(journal, Arc::new(RealDisk), pool).await,
            Err(error) => {
                error!(%error, "no threads for the journal; going on without one");
                Self(None)
            }
        }
    }

    pub(super) async fn open_on(journal: Journal, disk: Arc<dyn Disk>, pool: BlockingPool) -> Self {
        let open = OpenJournal::open(journal, disk, pool).await;
        Self(Some(open))
    }

    /// Opens the journal on the real disk with the threads of this runtime.
    #[cfg(test)]
    pub(crate) async fn open_here(journal: Option<Journal>) -> Self {
        match journal {
            Some(journal) => {
                Self::open_on(journal, Arc::new(RealDisk), BlockingPool::of_this_runtime()).await
            }
            None => Self(None),
        }
    }

    /// Looks up a job that was taken, before its handler runs. The future may be dropped at any time.
    ///
    /// The claim keeps the job's files exclusive until the job's end. There is none without a journal, or if the files
    /// stay claimed for too long.
    pub(crate) async fn begin(&self, job: &JobId) -> (StartDecision, Option<Claim>) {
        let Some(open) = &self.0 else {
            return (StartDecision::Run, None);
        };
        let key = JobKey::of(job);
        let claim = open.claims.claim(&key);
        tokio::pin!(claim);
        let claim = loop {
            match tokio::time::timeout(DISK_TIMEOUT, &mut claim).await {
                Ok(claim) => break claim,
                // The delivery of an earlier run's result is slow. The same result answers this job.
                Err(_) if open.claims.are_with(&key, Claimant::Recovery) => {
                    let id = job.clone();
                    if let Some(report) = open.ask(move |store| store.stored(&id)).await.flatten() {
                        return (StartDecision::stored(report), None);
                    }
                    if open.health.is_stuck() {
                        return (StartDecision::Run, None);
                    }
                }
                // An earlier run of the job waits for a disk that does not answer.
                Err(_) => return (StartDecision::Run, None),
            }
        };
        if open.is_closed() {
            return (StartDecision::Run, Some(claim));
        }
        let id = job.clone();
        let begin = match open.ask(move |store| store.begin(&id)).await {
            None | Some(JobHistory::Run) => StartDecision::Run,
            Some(JobHistory::Stored(report)) => StartDecision::stored(report),
            Some(JobHistory::Poisonous(times)) => StartDecision::Answer(Outcome::Failed(poison(&times))),
        };
        (begin, Some(claim))
    }

    /// Begins to write a result, beside its delivery. The claim is that of [`begin`](Self::begin).
    pub(crate) fn keep(&self, job: &JobId, report: &JobReport, claim: Option<Claim>) -> PendingResult {
        match &self.0 {
            Some(open) => PendingResult::write(open, job, report, claim),
            None => PendingResult::disabled(),
        }
    }

    /// Records that the job has ended without a result to deliver. The claim is that of [`begin`](Self::begin).
    pub(crate) fn forget(&self, job: &JobId, claim: Option<Claim>) {
        let Some(open) = &self.0 else { return };
        if open.store().is_some() {
            let key = JobKey::of(job);
            open.spawn_blocking(move |store| {
                store.ended(&key);
                drop(claim);
            });
        }
    }

    /// Whether there is a journal.
    pub(crate) fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Removes expired files and lists the results that are not being delivered, oldest first.
    pub(crate) async fn leftovers(&self) -> Vec<FileName> {
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

    /// Takes a result over for delivery. `None` if its files are claimed or gone.
    pub(crate) async fn adopt(&self, name: FileName) -> Option<Leftover> {
        let open = self.0.as_ref()?;
        let key = name.key.clone();
        let claim = open.claims.try_claim(&key)?;
        let StoredResult { job, report } = open.ask(move |store| store.adopt(&name)).await.flatten()?;
        Some(Leftover {
            job,
            report,
            key,
            _claim: claim,
        })
    }

    /// Settles a leftover: it was `delivered`, or the platform no longer accepts it.
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

    /// Finishes running writes and closes the journal. Other processes may take over the remaining results at once.
    pub(crate) async fn close(&self) {
        let Some(open) = &self.0 else { return };
        open.stop();
        if tokio::time::timeout(LAST_WRITES, open.work.wait()).await.is_err() {
            warn!(
                writes = open.work.len(),
                "the journal's disk is too slow; not everything is written"
            );
        }
        let _ = tokio::time::timeout(LAST_WRITES, open.ask(Store::close)).await;
    }
}

impl StartDecision {
    fn stored(report: JobReport) -> Self {
        info!("answered from the journal: an earlier run of this job has left its result");
        // The job now belongs to this worker, whichever worker ran it.
        Self::Answer(Outcome::Stored(report.of_worker(None)))
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
