//! Starts the WebUI's process, if the worker owns it, and waits until the WebUI is ready.

use std::path::PathBuf;
use std::time::Duration;

use tokio::time::timeout;
use tracing::{error, info};

use super::process::{CannotStart, Process, ProcessExit};
use super::read_ahead::ReadAhead;
use crate::webui::{NotReady, Readiness, StartPhases};

/// A process that dies closes its connections a moment before its exit is known.
const DEATH_NOTICE: Duration = Duration::from_secs(1);

/// Why the WebUI could not be started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error(transparent)]
    NotStarted(#[from] CannotStart),
    #[error("the WebUI ended {} after {:.1?}, before it was ready", .0.how, .0.ran)]
    Ended(ProcessExit),
    #[error(transparent)]
    NotReady(#[from] NotReady),
}

/// Starts a WebUI. Its clones start the same one.
#[derive(Debug, Clone)]
pub(crate) struct Starter {
    process: Option<Process>,
    readiness: Readiness,
    read_ahead: Option<PathBuf>,
}

impl Starter {
    /// `process` is the WebUI's, if the worker starts it; `read_ahead` the checkpoint that is read meanwhile.
    pub(crate) fn new(process: Option<Process>, readiness: Readiness, read_ahead: Option<PathBuf>) -> Self {
        Self {
            process,
            readiness,
            read_ahead,
        }
    }

    pub(super) fn process(&self) -> Option<&Process> {
        self.process.as_ref()
    }

    /// Starts the process, unless it runs or is not the worker's, and waits until the WebUI is ready.
    pub(crate) async fn start(&self) -> Result<(), StartError> {
        let mut phases = StartPhases::begin();
        let Some(process) = &self.process else {
            self.readiness.wait(&mut phases).await?;
            info!("WebUI start: {phases}");
            return Ok(());
        };
        let start = process.start()?;
        phases.done("spawned");
        let reading = self.read_ahead.as_deref().and_then(ReadAhead::begin);
        let ready = tokio::select! {
            biased;
            exit = process.ended(start) => return Err(StartError::Ended(exit)),
            ready = self.readiness.wait(&mut phases) => ready,
        };
        match ready {
            Ok(()) => {
                if let Some(ended) = reading.as_ref().and_then(ReadAhead::ended) {
                    phases.done_at("model_read", ended);
                }
                info!("WebUI start: {phases}");
                Ok(())
            }
            Err(problem) => {
                // A broken connection may come of a dead process, which explains more.
                if problem.is_after_an_answer()
                    && let Ok(exit) = timeout(DEATH_NOTICE, process.ended(start)).await
                {
                    return Err(StartError::Ended(exit));
                }
                Err(problem.into())
            }
        }
    }

    /// Logs the last lines of the WebUI's own log, which best explain its death.
    pub(crate) fn log_last_lines(&self) {
        let Some(process) = &self.process else { return };
        let lines = process.tail().lines();
        match lines.len() {
            0 => error!("the WebUI has written nothing to its log"),
            lines => error!("the last {lines} lines of the WebUI's log:"),
        }
        for line in lines {
            error!(target: "webui", "| {line}");
        }
    }
}
