//! One result between its handler's end and its delivery.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;
use tracing::{debug, warn};

use super::claims::{By, Release};
use super::keeper::{Open, PATIENCE};
use super::name::Key;
use super::store::Written;
use crate::job::{JobId, Report};

/// A result that is being written, or is written, to the journal. Whatever is not settled stays there.
#[must_use = "a result that is delivered must be settled"]
pub(crate) struct Kept(Option<Arc<Slip>>);

struct Slip {
    open: Arc<Open>,
    key: Key,
    /// Delivered: what is not yet written need not be.
    unwanted: AtomicBool,
    /// Set by the writer when it is done, with `unwanted` looked at under the same lock.
    writer_done: Mutex<bool>,
    stored: watch::Sender<Option<bool>>,
}

impl Kept {
    /// Where there is no journal.
    pub(super) fn nowhere() -> Self {
        Self(None)
    }

    /// Begins to write a result, beside whatever the caller does next.
    pub(super) fn write(open: &Arc<Open>, job: &JobId, report: &Report) -> Self {
        let slip = Arc::new(Slip {
            open: open.clone(),
            key: Key::of(job),
            unwanted: AtomicBool::new(false),
            writer_done: Mutex::new(false),
            stored: watch::Sender::new(None),
        });
        let (writer, job, report) = (slip.clone(), job.clone(), report.without_stop_pod());
        open.spawn_blocking(move || writer.run(&job, &report));
        Self(Some(slip))
    }

    /// The job is settled: its result was delivered, or the platform will never want it.
    pub(crate) fn settle(self) {
        let Some(slip) = self.0 else { return };
        let writer_done = slip.writer_done.lock().unwrap_or_else(PoisonError::into_inner);
        slip.unwanted.store(true, Ordering::Relaxed);
        let remove_here = *writer_done;
        drop(writer_done);
        // A writer that is still at work removes what it wrote.
        if remove_here {
            let open = slip.open.clone();
            open.spawn_blocking(move || slip.settled());
        }
    }

    /// Whether the result is on the disk by now.
    pub(crate) fn is_stored(&self) -> bool {
        let stored = self.0.as_ref().map(|slip| *slip.stored.borrow());
        stored.flatten() == Some(true)
    }

    /// The result could not be delivered in time. Returns whether it is on the disk, to be tried again later.
    pub(crate) async fn park(self) -> bool {
        let Some(slip) = self.0 else { return false };
        let mut stored = slip.stored.subscribe();
        let stored = tokio::time::timeout(PATIENCE, stored.wait_for(Option::is_some)).await;
        let stored = matches!(stored, Ok(Ok(stored)) if *stored == Some(true));
        slip.open.claims.release(&slip.key, By::Job, Release::Free);
        stored
    }
}

impl Slip {
    fn run(&self, job: &JobId, report: &Report) {
        let wanted = || !self.unwanted.load(Ordering::Relaxed);
        let store = &self.open.store;
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
        let mut done = self.writer_done.lock().unwrap_or_else(PoisonError::into_inner);
        *done = true;
        let wanted = wanted();
        drop(done);
        if wanted {
            self.stored.send_replace(Some(stored));
        } else {
            self.settled();
        }
    }

    fn settled(&self) {
        self.open.store.settle(&self.key);
        self.open.claims.release(&self.key, By::Job, Release::Free);
    }
}
