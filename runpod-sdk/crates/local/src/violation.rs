//! What a worker did against the protocol.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

/// Most violations remembered; past it the oldest are dropped.
const KEPT: usize = 1000;

/// Something a worker did that RunPod's platform would punish or that loses work.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Violation {
    /// When, on the platform's clock.
    pub at: Duration,
    /// The worker that did it.
    pub worker: String,
    /// The job it was about, if it was about one.
    pub job: Option<String>,
    /// What it was.
    pub kind: ViolationKind,
}

/// The kinds of [`Violation`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ViolationKind {
    /// A progress update came after the job's result.
    ProgressAfterResult,
    /// A take said `job_in_progress=0` while the worker held a job: RunPod takes such a worker for idle.
    IdleWhileHolding,
    /// A result, progress update or chunk named a job the platform never handed out or has forgotten.
    UnknownJob,
    /// A second result came for one job.
    SecondResult,
    /// A result, progress update or chunk came for a job that another worker holds or that is queued again.
    JobNotHeld,
    /// A held job went without pings for so long that it was given up.
    MissingPings,
    /// A chunk came after the job's result.
    ChunkAfterResult,
    /// A posted body is not what the channel takes: no JSON object, or a chunk without `output`.
    MalformedBody,
    /// A result or a progress update is larger than the platform takes.
    TooLarge,
    /// A chunk was refused because it is larger than the platform takes and no text: its stream has a gap.
    ChunkTooLarge,
    /// `error` is no string: RunPod shows such a job as completed, without output.
    ErrorIsNoText,
}

impl fmt::Display for ViolationKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ProgressAfterResult => "progress after the result",
            Self::IdleWhileHolding => "take with job_in_progress=0 while holding a job",
            Self::UnknownJob => "report about a job the platform does not know",
            Self::SecondResult => "second result for one job",
            Self::JobNotHeld => "report about a job the worker does not hold",
            Self::MissingPings => "no ping for a held job",
            Self::ChunkAfterResult => "chunk after the result",
            Self::MalformedBody => "malformed body",
            Self::TooLarge => "body too large",
            Self::ChunkTooLarge => "chunk too large and refused; the stream has a gap",
            Self::ErrorIsNoText => "error is not a string",
        })
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: worker {}", self.kind, self.worker)?;
        self.job.as_ref().map_or(Ok(()), |job| write!(f, ", job {job}"))
    }
}

/// The latest violations of one endpoint.
#[derive(Clone, Debug, Default)]
pub(crate) struct ViolationLog(VecDeque<Violation>);

impl ViolationLog {
    pub(crate) fn record(&mut self, violation: Violation) {
        let Violation {
            worker, job, kind, ..
        } = &violation;
        tracing::warn!(worker, job, "protocol violation: {kind}");
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back(violation);
    }

    pub(crate) fn to_vec(&self) -> Vec<Violation> {
        self.0.iter().cloned().collect()
    }
}
