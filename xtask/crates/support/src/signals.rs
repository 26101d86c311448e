//! Ctrl-C and its relatives.

use std::fmt;

/// Someone asked the command to stop.
#[derive(Debug, Clone, Copy)]
pub struct Interrupted {
    name: &'static str,
    number: u8,
}

impl Interrupted {
    /// What shells expect of a program that a signal ended.
    pub fn exit_code(self) -> u8 {
        128 + self.number
    }
}

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stopped by {}", self.name)
    }
}

impl std::error::Error for Interrupted {}

/// Listens from now on; completes with the first request to stop.
#[cfg(feature = "process")]
pub fn listen() -> anyhow::Result<impl Future<Output = Interrupted>> {
    use anyhow::Context as _;
    use tokio::signal::unix::{SignalKind, signal};

    let listen_to = |kind| signal(kind).context("cannot listen for signals");
    let mut interrupt = listen_to(SignalKind::interrupt())?;
    let mut terminate = listen_to(SignalKind::terminate())?;
    let mut hangup = listen_to(SignalKind::hangup())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => Interrupted { name: "Ctrl-C", number: 2 },
            _ = terminate.recv() => Interrupted { name: "SIGTERM", number: 15 },
            _ = hangup.recv() => Interrupted { name: "SIGHUP", number: 1 },
        }
    })
}
