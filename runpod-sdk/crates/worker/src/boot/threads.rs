//! The threads of a worker.
//!
//! Three parts have threads of their own, so that none delays another: the control loop, which takes, reports and
//! listens for stop signals; the handlers, unless the worker says that its handler only waits
//! ([`Worker::on_one_thread`](crate::Worker::on_one_thread)); and the heartbeat, always.

use std::future::Future;
use std::num::NonZeroUsize;

use tokio::runtime::{Builder, Handle, Runtime};

use crate::error::{Error, StartupError};
use crate::settings::Settings;

/// The control loop's thread, which is the caller's, and the handlers' threads.
pub(super) struct Threads {
    control: Runtime,
    handlers: Handle,
    /// The runtime of the handlers, if this worker has made it.
    own: Option<Runtime>,
}

impl Threads {
    /// The threads that the settings ask for.
    pub(super) fn new(settings: &Settings) -> Result<Self, Error> {
        let control = control_runtime()?;
        if settings.one_thread {
            let handlers = control.handle().clone();
            return Ok(Self {
                control,
                handlers,
                own: None,
            });
        }
        let threads = settings
            .handler_threads
            .or_else(|| std::thread::available_parallelism().ok())
            .map_or(1, NonZeroUsize::get);
        let own = Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name("runpod-handler")
            .enable_all()
            .build()
            .map_err(|source| StartupError::NoThread {
                what: "runtime for handlers",
                source,
            })?;
        Ok(Self {
            control,
            handlers: own.handle().clone(),
            own: Some(own),
        })
    }

    /// A thread for the control loop beside an existing runtime for handlers.
    pub(super) fn beside(handlers: Handle) -> Result<Self, Error> {
        Ok(Self {
            control: control_runtime()?,
            handlers,
            own: None,
        })
    }

    /// Runs `work` on this thread, as the control loop. A handler that blocks its thread does not delay the end of the
    /// process.
    pub(super) fn run<W: Future>(self, work: impl FnOnce(Handle) -> W) -> W::Output {
        let ended = self.control.block_on(work(self.handlers));
        self.control.shutdown_background();
        if let Some(own) = self.own {
            own.shutdown_background();
        }
        ended
    }
}

fn control_runtime() -> Result<Runtime, Error> {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.map_err(|source| {
        StartupError::NoThread {
            what: "runtime",
            source,
        }
        .into()
    })
}
