//! The threads of a worker.
//!
//! Three things must not hold each other up, so they have threads of their own: the control loop takes, reports and
//! listens for stop signals; handlers run on others, unless the worker says that its handler only waits
//! ([`Worker::on_one_thread`](crate::Worker::on_one_thread)); the heartbeat always has its own.

use std::future::Future;
use std::num::NonZeroUsize;

use tokio::runtime::{Builder, Handle, Runtime};

use crate::error::{Error, StartupError};
use crate::settings::Settings;

/// The control loop's thread, which is the caller's, and the handlers' threads.
pub(super) struct Threads {
    control: Runtime,
    handlers: Handle,
    /// The handlers' threads, if they are not another runtime's.
    own: Option<Runtime>,
}

impl Threads {
    /// Threads as the settings want them.
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

    /// A thread for the control loop; handlers run on a runtime that is there already.
    pub(super) fn beside(handlers: Handle) -> Result<Self, Error> {
        Ok(Self {
            control: control_runtime()?,
            handlers,
            own: None,
        })
    }

    /// Runs `work` on this thread, which is the control loop's until then. A handler that blocks its thread does not
    /// keep the process.
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
