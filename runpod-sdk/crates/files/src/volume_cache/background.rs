//! Syncs on threads of their own, and waiting for them before the process ends.

use runpod_protocol::sync::Mutex;
use runpod_protocol::sync::unpoisoned;
use std::sync::Condvar;
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
        *RUNNING.lock() += 1;
        Self
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        *RUNNING.lock() -= 1;
        ONE_LESS.notify_all();
    }
}

pub(super) fn spawn(cache: VolumeCache) {
    runpod_worker::before_exit(finish_before_exit);
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
/// they have. [`start`](runpod_worker::start) does this before the process ends.
pub fn finish_syncs(limit: Duration) -> bool {
    let running = RUNNING.lock();
    let (running, _) = unpoisoned(ONE_LESS.wait_timeout_while(running, limit, |running| *running > 0));
    *running == 0
}

/// How long the end of a process waits.
fn limit(settings: &Settings) -> Duration {
    settings.finish.unwrap_or(AT_EXIT)
}

/// Waits for background syncs: 30 s, or as long as `RUNPOD_WORKER_CACHE_FINISH` says.
fn finish_before_exit() {
    let limit = limit(&Settings::from_env());
    if !finish_syncs(limit) {
        warn!("a sync of the cache did not end within {limit:?}; the volume may lack its last files");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn the_end_of_a_process_waits_30_s_unless_told_otherwise() {
        assert_eq!(limit(&Settings::default()), Duration::from_secs(30));
        let told =
            Settings::from_lookup(|name| (name == "RUNPOD_WORKER_CACHE_FINISH").then(|| "2m".to_owned()));
        assert_eq!(limit(&told), Duration::from_mins(2));
    }

    #[test]
    fn the_end_of_a_process_waits_for_a_sync() {
        let syncing = Counted::new();
        let (say, ended) = channel();
        let process = std::thread::spawn(move || {
            finish_before_exit();
            say.send(()).unwrap();
        });
        let too_early = ended.recv_timeout(Duration::from_millis(50));
        assert!(too_early.is_err(), "the sync still runs");
        drop(syncing);
        ended.recv_timeout(Duration::from_mins(1)).unwrap();
        process.join().unwrap();
    }

    #[test]
    fn a_sync_is_waited_for_but_not_longer_than_the_limit() {
        let (end, told_to_end) = channel::<()>();
        let syncing = Counted::new();
        let sync = std::thread::spawn(move || {
            let _syncing = syncing;
            let _ = told_to_end.recv();
        });
        assert!(!finish_syncs(Duration::from_millis(1)), "it still runs");
        end.send(()).unwrap();
        assert!(finish_syncs(Duration::from_mins(1)));
        sync.join().unwrap();
    }
}
