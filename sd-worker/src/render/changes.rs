//! Counts the worker's own requests that may change how the WebUI renders.
//!
//! A cached answer holds until such a change (`crate::cache`). A change by another client, or on the WebUI's own page, is
//! not counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::settings_guard::Restoration;
use crate::supervisor::Health;
use crate::webui::{CONTROLNET_DETECT, Call, EXTRA_BATCH, EXTRA_SINGLE, IMG2IMG, INTERROGATE, TXT2IMG};

/// Routes that render or read pictures, and change nothing else.
const CHANGE_NOTHING: [&str; 6] = [
    TXT2IMG,
    IMG2IMG,
    EXTRA_SINGLE,
    EXTRA_BATCH,
    INTERROGATE,
    CONTROLNET_DETECT,
];

/// The number of changes so far.
#[derive(Debug)]
pub(crate) struct Changes {
    health: Health,
    count: AtomicU64,
}

/// The time between two changes. The same request gives the same pictures within it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CacheEpoch {
    generation: u64,
    changes: u64,
}

/// A request that changes the WebUI. One epoch ends when it is sent and another when it is answered, so that a render in
/// between belongs to neither.
#[derive(Debug)]
pub(super) struct PendingChange {
    changes: Arc<Changes>,
    /// Whether an epoch ends when the request is answered.
    counts: bool,
}

impl Changes {
    pub(super) fn new(health: Health) -> Self {
        Self {
            health,
            count: AtomicU64::new(0),
        }
    }

    /// The current epoch.
    pub(crate) fn epoch(&self) -> CacheEpoch {
        CacheEpoch {
            generation: self.health.generation(),
            changes: self.count.load(Ordering::Acquire),
        }
    }

    /// A guard to hold while `call` is being answered; `None` if it changes nothing. `restoration` is that of the settings
    /// that it overrides. Where it is not proven, the end alone counts, unless it is proven until then.
    pub(super) fn made_by(self: &Arc<Self>, call: &Call, restoration: Restoration) -> Option<PendingChange> {
        match restoration {
            Restoration::Proven if CHANGE_NOTHING.contains(&&*call.route) => return None,
            Restoration::Unproven if CHANGE_NOTHING.contains(&&*call.route) => {}
            _ => self.count_one(),
        }
        Some(PendingChange {
            changes: self.clone(),
            counts: true,
        })
    }

    fn count_one(&self) {
        self.count.fetch_add(1, Ordering::AcqRel);
    }
}

impl PendingChange {
    /// The settings were seen to be restored, so nothing has changed.
    pub(super) fn undone(mut self) {
        self.counts = false;
    }
}

impl Drop for PendingChange {
    fn drop(&mut self) {
        if self.counts {
            self.changes.count_one();
        }
    }
}
