//! One result between its handler's end and its delivery.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tracing::{debug, warn};

use super::claims::By;
use super::keeper::{Open, PATIENCE};
use super::name::Key;
use super::store::{Store, Written};
use crate::job::{JobId, Report};

/// A result that is being written, or is written, to the journal. Whatever is not settled stays there.
#[must_use = "a result that is delivered must be settled"]
pub(crate) struct Kept(Option<Arc<Slip>>);

struct Slip {
    open: Arc<Open>,
    key: Key,
    /// Delivered: what is not yet written need not be.
    unwanted: AtomicBool,
    /// Set to done with `unwanted` looked at under the same lock.
    writer: Mutex<Writer>,
    stored: watch::Sender<Option<bool>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writer {
    /// The disk hangs, or is not there: it is asked nothing, not even to make room.
    Nobody,
    AtWork,
    Done,
}

impl Kept {
    /// Where there is no journal.
    pub(super) fn nowhere() -> Self {
        Self(None)
    }

    /// Begins to write a result, beside whatever the caller does next.
    pub(super) fn write(open: &Arc<Open>, job: &JobId, report: &Report) -> Self {
        let writes = open.store().is_some();
        let slip = Arc::new(Slip {
            open: open.clone(),
            key: Key::of(job),
            unwanted: AtomicBool::new(false),
            writer: Mutex::new(if writes { Writer::AtWork } else { Writer::Nobody }),
            stored: watch::Sender::new(None),
        });
        if writes {
            let (pen, job, report) = (slip.clone(), job.clone(), report.without_stop_pod());
            open.spawn_blocking(move |store| pen.run(store, &job, &report));
        }
        Self(Some(slip))
    }

    /// The job is settled: its result was delivered, or the platform will never want it.
    pub(crate) fn settle(self) {
        let Some(slip) = self.0 else { return };
        let writer = slip.writer();
        slip.unwanted.store(true, Ordering::Relaxed);
        let now = *writer;
        drop(writer);
        match now {
            Writer::Nobody => slip.release(),
            // It removes what it wrote.
            Writer::AtWork => {}
            Writer::Done => {
                let open = slip.open.clone();
                open.spawn_blocking(move |store| slip.settled(store));
            }
        }
    }

    /// Whether the result is on the disk by now.
    pub(crate) fn is_stored(&self) -> bool {
        let stored = self.0.as_ref().map(|slip| *slip.stored.borrow());
        stored.flatten() == Some(true)
    }

    /// The result could not be delivered in time. Returns whether it is on the disk, to be tried again later.
    pub(crate) async fn park(self) -> bool {
        let Some(slip) = &self.0 else { return false };
        if *slip.writer() == Writer::AtWork && !slip.open.health.is_stuck() {
            let mut stored = slip.stored.subscribe();
            let _ = tokio::time::timeout(PATIENCE, stored.wait_for(Option::is_some)).await;
        }
        slip.release();
        self.is_stored()
    }
}

impl Slip {
    fn run(&self, store: &Store, job: &JobId, report: &Report) {
        let wanted = || !self.unwanted.load(Ordering::Relaxed);
        let mut stored = false;
        if wanted() && store.health().usable() {
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
            self.settled(store);
        }
    }

    fn settled(&self, store: &Store) {
        store.settle(&self.key);
        self.release();
    }

    fn release(&self) {
        self.open.claims.release(&self.key, By::Job);
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
