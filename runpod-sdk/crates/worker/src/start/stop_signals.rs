//! The signals that tell a process to stop. Whoever listens has to act on them: from then on they no longer end the
//! process by themselves.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::error::Error;

/// SIGTERM and SIGINT, as they come.
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
    /// Begins to listen. Needs a runtime.
    pub(super) fn listen() -> Result<Self, Error> {
        let no_signals =
            |error: std::io::Error| Error::Startup(format!("can't listen for signals: {error}").into());
        Ok(Self {
            terminate: signal(SignalKind::terminate()).map_err(no_signals)?,
            interrupt: signal(SignalKind::interrupt()).map_err(no_signals)?,
        })
    }

    /// Waits for the next one. Several of the same that come at once count as one.
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

    /// What a shell expects of a process that such a signal has ended: 128 and the signal's number.
    pub(super) const fn exit_code(self) -> u8 {
        match self {
            Self::Terminate => 143,
            Self::Interrupt => 130,
        }
    }
}
