//! The threads that touch the disk. They are the journal's own: a disk that hangs takes these and no others, and
//! the end of a runtime does not wait for them.

use std::io;

use tokio::runtime::{Builder, Handle, Runtime};

/// Calls that may be with the disk at once. Others wait for their turn.
const THREADS: usize = 32;

/// Where blocking calls are made.
pub(crate) struct Hands {
    handle: Handle,
    /// Never driven: it is there for its threads.
    own: Option<Runtime>,
}

impl Hands {
    /// Threads of their own, which are made when they are needed.
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

    /// Threads of the runtime in which this is called: its clock, if paused, waits for the disk.
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

impl Drop for Hands {
    fn drop(&mut self) {
        if let Some(own) = self.own.take() {
            own.shutdown_background();
        }
    }
}
