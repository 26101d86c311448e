//! Work on the entries of a list, on several threads.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};

use runpod_protocol::sync::Mutex;

/// Threads for each core. A copy waits for the network volume, not for the processor.
const THREADS_PER_CORE: usize = 4;
/// The most threads. More of them do not make a network volume faster.
const MOST_THREADS: usize = 32;

/// Calls `work` for each item and collects what it returns, in no particular order.
pub(super) fn filter_map<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> Option<R> + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::new());
    let run = || {
        while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Some(result) = work(item) {
                results.lock().push(result);
            }
        }
    };
    std::thread::scope(|scope| {
        // This thread works, too.
        for _ in 1..threads().min(items.len()) {
            scope.spawn(run);
        }
        run();
    });
    results.into_inner()
}

fn threads() -> usize {
    let cores = std::thread::available_parallelism().map_or(4, NonZeroUsize::get);
    (THREADS_PER_CORE * cores).min(MOST_THREADS)
}
