//! The summary of an ended job, for events and hooks. It holds neither input nor output.

use std::fmt;

use super::Timeline;
use crate::job::{ErrorClass, ErrorCode, JobId, Outcome};

/// A job that has ended on this worker.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct JobSummary {
    /// The job.
    pub id: JobId,
    /// The batch it belongs to, if any.
    pub batch: Option<String>,
    /// How it ended.
    pub outcome: JobOutcome,
    /// Size of the output in bytes; 0 without one. Chunks of a streaming handler are not part of it.
    pub output_bytes: usize,
    /// The points that it has passed. Later points, such as the delivery of the result, are added.
    pub timeline: Timeline,
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum JobOutcome {
    /// With an output.
    Completed,
    /// With an error.
    #[non_exhaustive]
    Failed {
        /// What went wrong.
        code: ErrorCode,
        /// Whose fault it is.
        class: ErrorClass,
        /// Whether the same request may succeed when sent again.
        retryable: bool,
    },
    /// It was not run: the [journal](crate::Journal) holds the result of an earlier run, which is reported.
    Stored,
    /// The platform stopped it, or has its result already; nothing is reported.
    Stopped,
    /// The worker ended before the job was done. The job is left for another worker.
    Abandoned,
}

impl JobOutcome {
    /// `completed`, `failed`, `stored`, `stopped` or `abandoned`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed { .. } => "failed",
            Self::Stored => "stored",
            Self::Stopped => "stopped",
            Self::Abandoned => "abandoned",
        }
    }

    pub(crate) fn of(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Completed(_) | Outcome::Streamed(_) => Self::Completed,
            Outcome::Failed(error) | Outcome::StreamFailed(error) => Self::Failed {
                code: error.code().clone(),
                class: error.class(),
                retryable: error.is_retryable(),
            },
            Outcome::Stored(_) => Self::Stored,
            Outcome::Stopped => Self::Stopped,
            Outcome::Abandoned => Self::Abandoned,
        }
    }

    /// The code of a failed job.
    pub fn error_code(&self) -> Option<&ErrorCode> {
        match self {
            Self::Failed { code, .. } => Some(code),
            _ => None,
        }
    }
}

impl fmt::Display for JobOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())?;
        match self.error_code() {
            Some(code) => write!(f, " ({code})"),
            None => Ok(()),
        }
    }
}

impl JobSummary {
    pub(crate) fn new(id: JobId, batch: Option<String>, outcome: &Outcome, timeline: Timeline) -> Self {
        let output_bytes = match outcome {
            Outcome::Completed(output) | Outcome::Streamed(output) => output.len(),
            _ => 0,
        };
        Self {
            id,
            batch,
            outcome: JobOutcome::of(outcome),
            output_bytes,
            timeline,
        }
    }
}
