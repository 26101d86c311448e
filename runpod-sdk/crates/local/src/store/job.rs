//! One job and the phases it passes through.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::chunks::Chunks;
use super::queue::Position;
use crate::request::JobRequest;
use crate::settings::EndpointSettings;

/// A job's id; clones share the text.
pub(crate) type JobId = Arc<str>;
/// A worker's id; clones share the text.
pub(crate) type WorkerId = Arc<str>;

/// The operation that created a job. It decides how long the job is kept once it is final.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Run,
    RunSync,
}

/// A job's state as clients see it (`docs/protocol/endpoint-api.md` §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    InQueue,
    InProgress,
    Completed,
    Failed,
    Cancelled,
    TimedOut,
}

impl Status {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::InQueue => "IN_QUEUE",
            Self::InProgress => "IN_PROGRESS",
            Self::Completed => "COMPLETED",
            Self::Failed => "FAILED",
            Self::Cancelled => "CANCELLED",
            Self::TimedOut => "TIMED_OUT",
        }
    }

    pub(crate) fn is_final(self) -> bool {
        !matches!(self, Self::InQueue | Self::InProgress)
    }

    /// Whether a client may ask for the job to be queued again.
    pub(crate) fn can_be_retried(self) -> bool {
        matches!(self, Self::Failed | Self::TimedOut)
    }
}

/// Where a job is. Everything that ends differs by who ended it.
#[derive(Clone, Debug)]
pub(crate) enum Phase {
    Queued(Position),
    Running {
        worker: WorkerId,
        since: Duration,
        /// The last sign that the worker still has the job.
        seen: Duration,
    },
    Final {
        status: Status,
        at: Duration,
        /// A worker's result ended it, not the platform or a client.
        by_worker: bool,
    },
}

/// What happens to a job next if nobody touches it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// Its time to live ends.
    Expiry,
    /// It has been held for as long as it may be.
    ExecutionLimit,
    /// Its worker has been silent for too long.
    Lost,
    /// It has been final for long enough to be forgotten.
    Retention,
}

#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) id: JobId,
    pub(crate) origin: Origin,
    pub(crate) request: Arc<JobRequest>,
    pub(crate) submitted: Duration,
    pub(crate) ttl: Duration,
    pub(crate) phase: Phase,
    /// Times the job was handed to a worker and not handed back.
    pub(crate) attempt: u32,
    /// Times the platform queued it again because its worker was lost.
    pub(crate) retries: u32,
    pub(crate) delay: Option<Duration>,
    pub(crate) execution: Option<Duration>,
    /// Who held it last.
    pub(crate) worker: Option<WorkerId>,
    /// The result, or the latest progress update while the job runs.
    pub(crate) output: Option<Bytes>,
    /// A JSON string.
    pub(crate) error: Option<Bytes>,
    pub(crate) chunks: Chunks,
}

impl Job {
    /// A job that nobody has taken yet.
    pub(crate) fn queued(
        id: &JobId,
        origin: Origin,
        request: Arc<JobRequest>,
        now: Duration,
        ttl: Duration,
        position: Position,
    ) -> Self {
        Self {
            id: JobId::clone(id),
            origin,
            request,
            submitted: now,
            ttl,
            phase: Phase::Queued(position),
            attempt: 0,
            retries: 0,
            delay: None,
            execution: None,
            worker: None,
            output: None,
            error: None,
            chunks: Chunks::default(),
        }
    }

    pub(crate) fn status(&self) -> Status {
        match self.phase {
            Phase::Queued(_) => Status::InQueue,
            Phase::Running { .. } => Status::InProgress,
            Phase::Final { status, .. } => status,
        }
    }

    pub(crate) fn is_held_by(&self, worker: &str) -> bool {
        matches!(&self.phase, Phase::Running { worker: holder, .. } if **holder == *worker)
    }

    /// Bytes of payload the job keeps alive.
    pub(crate) fn bytes(&self) -> usize {
        let length = |part: &Option<Bytes>| part.as_ref().map_or(0, Bytes::len);
        self.request.body_bytes + length(&self.output) + length(&self.error) + self.chunks.bytes()
    }

    /// What is due next, and when.
    pub(crate) fn due(&self, settings: &EndpointSettings) -> (Duration, Due) {
        let expiry = (self.submitted.saturating_add(self.ttl), Due::Expiry);
        match self.phase {
            Phase::Queued(_) => expiry,
            Phase::Running { since, seen, .. } => {
                let limit = self
                    .request
                    .execution_timeout
                    .unwrap_or(settings.execution_timeout);
                let limit = (since.saturating_add(limit), Due::ExecutionLimit);
                let lost = settings
                    .ping_window
                    .map(|window| (seen.saturating_add(window), Due::Lost));
                [Some(expiry), Some(limit), lost]
                    .into_iter()
                    .flatten()
                    .min_by_key(|due| due.0)
                    .unwrap_or(expiry)
            }
            Phase::Final { at, .. } => {
                let retention = match self.origin {
                    Origin::Run => settings.run_retention,
                    Origin::RunSync => settings.sync_retention,
                };
                (at.saturating_add(retention), Due::Retention)
            }
        }
    }
}
