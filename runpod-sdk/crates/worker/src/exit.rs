//! Functions that run before the process ends.

use runpod_protocol::sync::Mutex;

static WAITS: Mutex<Vec<fn()>> = Mutex::new(Vec::new());

/// Calls `wait` when [`start`](crate::start) returns, so that work in the background can end before the process does.
///
/// `wait` blocks for a bounded time and then returns. The same function is called once, however often it is given.
/// A program that runs its worker by [`Worker::run`](crate::Worker::run) waits for its own work.
pub fn before_exit(wait: fn()) {
    let mut waits = WAITS.lock();
    if !waits.iter().any(|known| std::ptr::fn_addr_eq(*known, wait)) {
        waits.push(wait);
    }
}

/// Calls the functions of [`before_exit`] when it is dropped.
#[derive(Debug)]
pub(crate) struct WaitBeforeExit;

impl Drop for WaitBeforeExit {
    fn drop(&mut self) {
        let waits = std::mem::take(&mut *WAITS.lock());
        for wait in waits {
            wait();
        }
    }
}
