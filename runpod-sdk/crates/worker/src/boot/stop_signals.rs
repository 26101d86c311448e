//! SIGTERM and SIGINT. Once they are listened for they no longer end the process by themselves.

use tokio::signal::unix::{Signal, SignalKind, signal};

use std::future::Future;

use tracing::{info, warn};

use crate::error::{Error, StartupError};
use crate::runtime::Shutdown;

/// A listener for SIGTERM and SIGINT.
#[derive(Debug)]
pub(super) struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StopSignal {
    Terminate,
    Interrupt,
}

impl StopSignals {
    /// Starts to listen. It must be called on a tokio runtime.
    pub(super) fn listen() -> Result<Self, Error> {
        Ok(Self {
            terminate: signal(SignalKind::terminate()).map_err(StartupError::Signals)?,
            interrupt: signal(SignalKind::interrupt()).map_err(StartupError::Signals)?,
        })
    }

    /// Waits for the next signal. Several equal signals at once count as one.
    pub(super) async fn next(&mut self) -> StopSignal {
        tokio::select! {
            _ = self.terminate.recv() => StopSignal::Terminate,
            _ = self.interrupt.recv() => StopSignal::Interrupt,
        }
    }
}

impl StopSignal {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Terminate => "SIGTERM",
            Self::Interrupt => "SIGINT",
        }
    }

    /// The exit code of a process that this signal has ended: 128 plus the signal's number.
    pub(super) const fn exit_code(self) -> u8 {
        match self {
            Self::Terminate => 143,
            Self::Interrupt => 130,
        }
    }
}

/// Drains the worker at the first SIGTERM or SIGINT, and ends it at once at the second.
pub(super) fn drain_on_signals(shutdown: Shutdown) -> Result<impl Future<Output = ()> + Send, Error> {
    let mut signals = StopSignals::listen()?;
    Ok(async move {
        let mut received = 0;
        loop {
            let name = signals.next().await.name();
            received += 1;
            if received == 1 {
                info!("{name} received. Shutting down.");
                shutdown.drain.cancel();
            } else {
                warn!("{name} received again. Leaving at once.");
                shutdown.drain.cancel();
                shutdown.abandon.cancel();
            }
        }
    })
}
