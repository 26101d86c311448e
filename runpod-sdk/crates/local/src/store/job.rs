//! One job and the phases it passes through.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use runpod_protocol::{JobId, JobStatus};

use super::chunks::Chunks;
use super::queue::Position;
use crate::received::ReceivedJob;
use crate::settings::EndpointSettings;

/// How long a final `/runsync` job is kept (`docs/protocol/endpoint-api.md` §5).
const RUN_SYNC_RETENTION: Duration = Duration::from_mins(1);

/// A worker's id; clones share the text.
pub(crate) type WorkerId = Arc<str>;

/// The operation that created a job. It decides how long the job is kept once it is final.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Run,
    RunSync,
}

/// Where a job is in its life.
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
        status: JobStatus,
        at: Duration,
        /// A worker's result ended it, not the platform or a client.
        by_worker: bool,
    },
}

/// What happens to a job next if no client or worker acts on it.
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
    pub(crate) request: Arc<ReceivedJob>,
    pub(crate) submitted: Duration,
    pub(crate) ttl: Duration,
    /// When a client wants the final job to be forgotten.
    pub(crate) forget_at: Option<Duration>,
    pub(crate) phase: Phase,
    /// Times the job was handed to a worker and not handed back.
    pub(crate) attempt: u32,
    /// Times the platform queued it again because its worker was lost.
    pub(crate) retries: u32,
    pub(crate) delay: Option<Duration>,
    pub(crate) execution: Option<Duration>,
    /// Workers that a fault handed it out to as well.
    pub(crate) also: Vec<WorkerId>,
    /// The worker that held it last.
    pub(crate) worker: Option<WorkerId>,
    /// The result, or the latest progress update while the job runs.
    pub(crate) output: Option<Bytes>,
    /// A JSON string.
    pub(crate) error: Option<Bytes>,
    pub(crate) chunks: Chunks,
}

impl Job {
    /// A job that no worker has taken yet.
    pub(crate) fn queued(
        id: &JobId,
        origin: Origin,
        request: Arc<ReceivedJob>,
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
            forget_at: None,
            phase: Phase::Queued(position),
            attempt: 0,
            retries: 0,
            delay: None,
            execution: None,
            also: Vec::new(),
            worker: None,
            output: None,
            error: None,
            chunks: Chunks::default(),
        }
    }

    pub(crate) fn status(&self) -> JobStatus {
        match &self.phase {
            Phase::Queued(_) => JobStatus::InQueue,
            Phase::Running { .. } => JobStatus::InProgress,
            Phase::Final { status, .. } => status.clone(),
        }
    }

    pub(crate) fn is_held_by(&self, worker: &str) -> bool {
        match &self.phase {
            Phase::Running { worker: holder, .. } => **holder == *worker || self.is_also_on(worker),
            Phase::Queued(_) | Phase::Final { .. } => false,
        }
    }

    pub(crate) fn is_also_on(&self, worker: &str) -> bool {
        self.also.iter().any(|other| **other == *worker)
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
                    Origin::RunSync => RUN_SYNC_RETENTION,
                };
                let kept_until = at.saturating_add(retention);
                let wanted = self.forget_at.unwrap_or(Duration::MAX);
                (kept_until.min(wanted), Due::Retention)
            }
        }
    }
}
