//! Syncs on threads of their own, and the wait for them before the process ends.

use std::sync::Condvar;
use std::time::Duration;

use runpod_protocol::sync::{Mutex, unpoisoned};
use tracing::warn;

/// How long the end of a process waits for syncs. A worker is billed while it waits.
const EXIT_WAIT: Duration = Duration::from_secs(30);

static RUNNING: Mutex<usize> = Mutex::new(0);
static ONE_ENDED: Condvar = Condvar::new();

/// Counts one sync for as long as it lives, a panicking one included.
struct RunningSync;

impl RunningSync {
    fn new() -> Self {
        *RUNNING.lock() += 1;
        Self
    }
}

impl Drop for RunningSync {
    fn drop(&mut self) {
        *RUNNING.lock() -= 1;
        ONE_ENDED.notify_all();
    }
}

/// Runs `sync` on a thread of its own.
pub(super) fn spawn(sync: impl FnOnce() + Send + 'static) {
    runpod_worker::before_exit(finish_before_exit);
    let running = RunningSync::new();
    let thread = std::thread::Builder::new()
        .name("runpod-sync".to_owned())
        .spawn(move || {
            let _running = running;
            sync();
        });
    if let Err(error) = thread {
        warn!(%error, "no thread for the sync of the cache");
    }
}

/// Waits until all background syncs have ended, at most `limit`. Returns whether they have.
///
/// [`start`](runpod_worker::start) waits for 30 s before the process ends. A program with an end of its own calls this.
pub fn finish_syncs(limit: Duration) -> bool {
    let running = RUNNING.lock();
    let (running, _) = unpoisoned(ONE_ENDED.wait_timeout_while(running, limit, |running| *running > 0));
    *running == 0
}

fn finish_before_exit() {
    if !finish_syncs(EXIT_WAIT) {
        warn!("a sync of the cache did not end within {EXIT_WAIT:?}; the volume may lack its last files");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn the_end_of_a_process_waits_30_s() {
        assert_eq!(EXIT_WAIT, Duration::from_secs(30));
    }

    #[test]
    fn the_end_of_a_process_waits_for_a_sync() {
        let syncing = RunningSync::new();
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
        let (end, wait_for_end) = channel::<()>();
        let syncing = RunningSync::new();
        let sync = std::thread::spawn(move || {
            let _syncing = syncing;
            let _ = wait_for_end.recv();
        });
        assert!(!finish_syncs(Duration::from_millis(1)), "it still runs");
        end.send(()).unwrap();
        assert!(finish_syncs(Duration::from_mins(1)));
        sync.join().unwrap();
    }
}
