//! Syncs on threads of their own, and waiting for them before the process ends.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use tracing::{debug, warn};

use super::VolumeCache;
use super::settings::Settings;

/// How long the end of a process waits, unless the environment says otherwise.
const AT_EXIT: Duration = Duration::from_secs(30);

static RUNNING: Mutex<usize> = Mutex::new(0);
static ONE_LESS: Condvar = Condvar::new();

/// Counts one sync for as long as it lives, should it panic too.
struct Counted;

impl Counted {
    fn new() -> Self {
        *RUNNING.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        Self
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        *RUNNING.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        ONE_LESS.notify_all();
    }
}

pub(super) fn spawn(cache: VolumeCache) {
    let counted = Counted::new();
    let sync = move || {
        let _counted = counted;
        match cache.sync() {
            Ok(done) => debug!(?done, "background sync"),
            Err(error) => warn!(%error, "the cache on the volume could not be written"),
        }
    };
    let thread = std::thread::Builder::new()
        .name("runpod-sync".to_owned())
        .spawn(sync);
    if let Err(error) = thread {
        warn!(%error, "no thread for the sync of the cache");
    }
}

/// Waits until all syncs in the background have ended, but not longer than `limit`. Returns whether
/// they have. [`start`](crate::start) does this before the process ends.
pub fn finish_syncs(limit: Duration) -> bool {
    let running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    let (running, _) = ONE_LESS
        .wait_timeout_while(running, limit, |running| *running > 0)
        .unwrap_or_else(PoisonError::into_inner);
    *running == 0
}

/// Waits when it is dropped.
#[derive(Debug)]
pub(crate) struct FinishAtExit;

impl Drop for FinishAtExit {
    fn drop(&mut self) {
        let limit = Settings::from_env().finish.unwrap_or(AT_EXIT);
        if !finish_syncs(limit) {
            warn!("a sync of the cache did not end within {limit:?}; the volume may lack its last files");
        }
    }
}
