//! What may change how the WebUI renders, as far as the worker has to do with it.
//!
//! An answer that was kept holds until then ([`crate::cache`]). A change that somebody else makes, on the WebUI's own
//! page or with another program, is not seen here.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::call::Call;
use super::overrides;
use crate::health::Health;

/// Requests that render, or look at pictures, and leave everything else as it is.
const CHANGE_NOTHING: [&str; 6] = [
    super::TXT2IMG,
    super::IMG2IMG,
    "/sdapi/v1/extra-single-image",
    "/sdapi/v1/extra-batch-images",
    "/sdapi/v1/interrogate",
    "/controlnet/detect",
];

/// Counts the changes of a WebUI.
#[derive(Debug)]
pub(crate) struct Changes {
    health: Health,
    count: AtomicU64,
}

/// The time between two changes: what is rendered twice in it comes out alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Era {
    generation: u64,
    changes: u64,
}

/// A change in the making. One era ends when it begins, another when it is over, and whatever is rendered in between
/// belongs to neither.
#[derive(Debug)]
pub(super) struct Underway(Arc<Changes>);

impl Changes {
    pub(super) fn new(health: Health) -> Self {
        Self {
            health,
            count: AtomicU64::new(0),
        }
    }

    pub(crate) fn era(&self) -> Era {
        Era {
            generation: self.health.generation(),
            changes: self.count.load(Ordering::Acquire),
        }
    }

    /// To be held while `call` is on its way; `None` if it changes nothing. `restored`: what it overrides is known
    /// to be restored after it.
    pub(super) fn made_by(self: &Arc<Self>, call: &Call, restored: bool) -> Option<Underway> {
        if CHANGE_NOTHING.contains(&&*call.route) && (restored || !overrides::may_stay(call)) {
            return None;
        }
        self.note();
        Some(Underway(self.clone()))
    }

    fn note(&self) {
        self.count.fetch_add(1, Ordering::AcqRel);
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        self.0.note();
    }
}
