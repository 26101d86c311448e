//! Ctrl-C and its relatives.

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Requests to stop that have come since [`listen`](Self::listen).
#[derive(Debug)]
pub(crate) struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl StopSignals {
    /// Listens from now on.
    pub(crate) fn listen() -> anyhow::Result<Self> {
        let listen_to = |kind| signal(kind).context("cannot listen for signals");
        Ok(Self {
            interrupt: listen_to(SignalKind::interrupt())?,
            terminate: listen_to(SignalKind::terminate())?,
            hangup: listen_to(SignalKind::hangup())?,
        })
    }

    /// Completes with the next one.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}
