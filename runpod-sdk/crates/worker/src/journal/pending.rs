//! A result between the end of its handler and its delivery.

use runpod_protocol::sync::{Mutex, MutexGuard};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;
use tracing::{debug, warn};

use super::claims::Claim;
use super::name::JobKey;
use super::open::{DISK_TIMEOUT, OpenJournal};
use super::store::{Store, WriteOutcome};
use crate::job::{JobId, JobReport};

/// A result that is being written or is written to the journal. A result that is not settled stays there.
#[must_use = "a result that is delivered must be settled"]
pub(crate) struct PendingResult(Option<Arc<JournalEntry>>);

struct JournalEntry {
    open: Arc<OpenJournal>,
    job: JobId,
    key: JobKey,
    /// Set when the result is delivered, so that a write can stop.
    unwanted: AtomicBool,
    /// Changes to `Done` under this lock, together with a look at `unwanted`.
    writer: Mutex<WriterState>,
    stored: watch::Sender<Option<bool>>,
    /// Ends with this entry: when the result is settled or parked and no write is running.
    _claim: Option<Claim>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WriterState {
    /// No write has begun, because the disk hangs or could not be opened.
    Idle,
    Writing,
    Done,
}

/// The attempt that a write belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WriteAttempt {
    /// The result may still be delivered, so a disk that failed recently is not tried.
    First,
    /// The result is lost if this write fails, so the disk is tried in any case.
    Last,
}

impl PendingResult {
    /// A result that is not stored, because there is no journal.
    pub(super) fn disabled() -> Self {
        Self(None)
    }

    /// Begins to write a result in the background.
    pub(super) fn write(
        open: &Arc<OpenJournal>,
        job: &JobId,
        report: &JobReport,
        claim: Option<Claim>,
    ) -> Self {
        let entry = Arc::new(JournalEntry {
            open: open.clone(),
            job: job.clone(),
            key: JobKey::of(job),
            unwanted: AtomicBool::new(false),
            writer: Mutex::new(WriterState::Idle),
            stored: watch::Sender::new(None),
            _claim: claim,
        });
        entry.write(report, WriteAttempt::First);
        Self(Some(entry))
    }

    /// Settles the job: its result was delivered, or the platform no longer accepts it.
    pub(crate) fn settle(self) {
        let Some(entry) = self.0 else { return };
        let writer = entry.writer();
        entry.unwanted.store(true, Ordering::Relaxed);
        let done = *writer == WriterState::Done;
        drop(writer);
        // A running write removes its result itself.
        if done {
            let open = entry.open.clone();
            open.spawn_blocking(move |store| store.settle(&entry.key));
        }
    }

    /// Keeps a result that could not be delivered in time, to be tried again later. Returns whether it is on the disk.
    /// If the first write failed or hung, it is written once more now.
    pub(crate) async fn park(self, report: &JobReport) -> bool {
        let Some(entry) = self.0 else { return false };
        entry.written().await;
        if !entry.is_stored() && entry.write(report, WriteAttempt::Last) {
            entry.written().await;
        }
        entry.is_stored()
    }
}

impl JournalEntry {
    /// Begins a write, unless one is running or the disk hangs. Returns whether it began.
    fn write(self: &Arc<Self>, report: &JobReport, chance: WriteAttempt) -> bool {
        let mut writer = self.writer();
        if *writer == WriterState::Writing || self.open.store().is_none() {
            return false;
        }
        *writer = WriterState::Writing;
        drop(writer);
        self.stored.send_replace(None);
        let (writer, report) = (self.clone(), report.without_stop_pod());
        self.open
            .spawn_blocking(move |store| writer.run(store, &report, chance));
        true
    }

    /// Waits for a running write, but not for a disk that hangs.
    async fn written(&self) {
        if *self.writer() == WriterState::Writing && !self.open.health.is_stuck() {
            let mut stored = self.stored.subscribe();
            let _ = tokio::time::timeout(DISK_TIMEOUT, stored.wait_for(Option::is_some)).await;
        }
    }

    fn is_stored(&self) -> bool {
        *self.stored.borrow() == Some(true)
    }

    fn run(&self, store: &Store, report: &JobReport, chance: WriteAttempt) {
        let job = &self.job;
        let wanted = || !self.unwanted.load(Ordering::Relaxed);
        let mut stored = false;
        if wanted() && (chance == WriteAttempt::Last || store.health().usable()) {
            match store.health().note(store.write(job, report, &wanted)) {
                Some(WriteOutcome::Stored) => {
                    stored = true;
                    debug!(job.id = %job, bytes = report.len(), "the result is in the journal");
                }
                Some(WriteOutcome::NoRoom) => warn!(
                    job.id = %job, bytes = report.len(), most_bytes = store.limits().most_bytes,
                    "the journal is full; this result is not kept there"
                ),
                Some(WriteOutcome::NotWanted) | None => {}
            }
        }
        store.ended(&self.key);
        let mut writer = self.writer();
        *writer = WriterState::Done;
        let wanted = wanted();
        drop(writer);
        if wanted {
            self.stored.send_replace(Some(stored));
        } else {
            store.settle(&self.key);
        }
    }

    fn writer(&self) -> MutexGuard<'_, WriterState> {
        self.writer.lock()
    }
}
