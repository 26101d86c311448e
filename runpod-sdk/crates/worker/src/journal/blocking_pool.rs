//! The threads of the journal's disk calls. They are separate from the runtime's: a disk that hangs blocks no other
//! threads, and the end of the runtime does not wait for them.

use std::io;

use tokio::runtime::{Builder, Handle, Runtime};

/// The most disk calls at once. Others wait in a queue.
const THREADS: usize = 32;

/// A pool of threads for blocking calls.
pub(crate) struct BlockingPool {
    handle: Handle,
    /// This runtime runs no futures; it exists for its threads.
    own: Option<Runtime>,
}

impl BlockingPool {
    /// A pool with its own threads, which start on demand.
    pub(crate) fn new() -> io::Result<Self> {
        let own = Builder::new_current_thread()
            .max_blocking_threads(THREADS)
            .thread_name("runpod-journal")
            .build()?;
        Ok(Self {
            handle: own.handle().clone(),
            own: Some(own),
        })
    }

    /// A pool with the threads of the current runtime, whose paused clock then waits for the disk.
    #[cfg(test)]
    pub(crate) fn of_this_runtime() -> Self {
        Self {
            handle: Handle::current(),
            own: None,
        }
    }

    pub(super) fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for BlockingPool {
    fn drop(&mut self) {
        if let Some(own) = self.own.take() {
            own.shutdown_background();
        }
    }
}
