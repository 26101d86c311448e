//! One result between its handler's end and its delivery.

use runpod_protocol::sync::{Mutex, MutexGuard};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;
use tracing::{debug, warn};

use super::claims::Claim;
use super::keeper::{Open, PATIENCE};
use super::name::Key;
use super::store::{Store, Written};
use crate::job::{JobId, Report};

/// A result that is being written, or is written, to the journal. Whatever is not settled stays there.
#[must_use = "a result that is delivered must be settled"]
pub(crate) struct Kept(Option<Arc<Slip>>);

struct Slip {
    open: Arc<Open>,
    job: JobId,
    key: Key,
    /// Delivered: what is not yet written need not be.
    unwanted: AtomicBool,
    /// Set to done with `unwanted` looked at under the same lock.
    writer: Mutex<Writer>,
    stored: watch::Sender<Option<bool>>,
    /// Ends with this: when the result is settled or parked, and nobody writes it any more.
    _claim: Option<Claim>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writer {
    /// The disk hangs, or is not there: it is asked nothing, not even to make room.
    Nobody,
    AtWork,
    Done,
}

/// How much depends on a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chance {
    /// The result may yet be delivered: a disk that failed a moment ago is left alone.
    First,
    /// Or else the result is lost.
    Last,
}

impl Kept {
    /// Where there is no journal.
    pub(super) fn nowhere() -> Self {
        Self(None)
    }

    /// Begins to write a result, beside whatever the caller does next.
    pub(super) fn write(open: &Arc<Open>, job: &JobId, report: &Report, claim: Option<Claim>) -> Self {
        let slip = Arc::new(Slip {
            open: open.clone(),
            job: job.clone(),
            key: Key::of(job),
            unwanted: AtomicBool::new(false),
            writer: Mutex::new(Writer::Nobody),
            stored: watch::Sender::new(None),
            _claim: claim,
        });
        slip.write(report, Chance::First);
        Self(Some(slip))
    }

    /// The job is settled: its result was delivered, or the platform will never want it.
    pub(crate) fn settle(self) {
        let Some(slip) = self.0 else { return };
        let writer = slip.writer();
        slip.unwanted.store(true, Ordering::Relaxed);
        let done = *writer == Writer::Done;
        drop(writer);
        // Whoever still writes removes it himself.
        if done {
            let open = slip.open.clone();
            open.spawn_blocking(move |store| store.settle(&slip.key));
        }
    }

    /// The result could not be delivered in time. Returns whether it is on the disk, to be tried again later. If it is
    /// not, because the disk failed or hung when the job ended, it is written now: much may have happened since.
    pub(crate) async fn park(self, report: &Report) -> bool {
        let Some(slip) = self.0 else { return false };
        slip.written().await;
        if !slip.is_stored() && slip.write(report, Chance::Last) {
            slip.written().await;
        }
        slip.is_stored()
    }
}

impl Slip {
    /// Begins to write, unless somebody does or the disk does not even answer.
    fn write(self: &Arc<Self>, report: &Report, chance: Chance) -> bool {
        let mut writer = self.writer();
        if *writer == Writer::AtWork || self.open.store().is_none() {
            return false;
        }
        *writer = Writer::AtWork;
        drop(writer);
        self.stored.send_replace(None);
        let (pen, report) = (self.clone(), report.without_stop_pod());
        self.open
            .spawn_blocking(move |store| pen.run(store, &report, chance));
        true
    }

    /// Waits for whoever writes, but not for a disk that hangs.
    async fn written(&self) {
        if *self.writer() == Writer::AtWork && !self.open.health.is_stuck() {
            let mut stored = self.stored.subscribe();
            let _ = tokio::time::timeout(PATIENCE, stored.wait_for(Option::is_some)).await;
        }
    }

    fn is_stored(&self) -> bool {
        *self.stored.borrow() == Some(true)
    }

    fn run(&self, store: &Store, report: &Report, chance: Chance) {
        let job = &self.job;
        let wanted = || !self.unwanted.load(Ordering::Relaxed);
        let mut stored = false;
        if wanted() && (chance == Chance::Last || store.health().usable()) {
            match store.health().note(store.write(job, report, &wanted)) {
                Some(Written::Stored) => {
                    stored = true;
                    debug!(job.id = %job, bytes = report.len(), "the result is in the journal");
                }
                Some(Written::NoRoom) => warn!(
                    job.id = %job, bytes = report.len(), most_bytes = store.limits().most_bytes,
                    "the journal is full; this result is not kept there"
                ),
                Some(Written::NotWanted) | None => {}
            }
        }
        store.ended(&self.key);
        let mut writer = self.writer();
        *writer = Writer::Done;
        let wanted = wanted();
        drop(writer);
        if wanted {
            self.stored.send_replace(Some(stored));
        } else {
            store.settle(&self.key);
        }
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock()
    }
}
