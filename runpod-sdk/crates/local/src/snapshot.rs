//! An endpoint at one moment, for tests and displays in the same process.

use std::time::Duration;

use crate::store::{Store, Worker};

/// What an endpoint holds at a moment. See [`LocalPlatform::snapshot`](crate::LocalPlatform::snapshot).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EndpointSnapshot {
    /// Jobs waiting for a worker.
    pub in_queue: usize,
    /// Jobs held by workers.
    pub in_progress: usize,
    /// Jobs completed so far.
    pub completed: u64,
    /// Jobs failed so far, those given up by the platform included.
    pub failed: u64,
    /// Times a job was queued again so far.
    pub retried: u64,
    /// Bytes of inputs, outputs and unread chunks kept.
    pub payload_bytes: usize,
    /// The workers heard from of late, by id.
    pub workers: Vec<WorkerSnapshot>,
}

/// A worker as the platform knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerSnapshot {
    /// Its id.
    pub id: String,
    /// When it last called, on the platform's clock.
    pub last_seen: Duration,
    /// When it last asked for a job; `None` while it is starting.
    pub asked_at: Option<Duration>,
    /// When it last pinged.
    pub last_ping: Option<Duration>,
    /// The `runpod_version` of its last ping.
    pub version: Option<String>,
    /// Ids of the jobs that reached it and that it has not finished.
    pub held: Vec<String>,
    /// The check and reason it reported itself unhealthy with.
    pub unhealthy: Option<String>,
    /// Whether it has asked to be replaced (`stopPod`). RunPod would end it; the local platform gives it no more jobs and
    /// counts it among the workers only while it holds one.
    pub asked_to_be_replaced: bool,
}

impl EndpointSnapshot {
    pub(crate) fn of(store: &mut Store, now: Duration) -> Self {
        let counts = store.counts(now);
        Self {
            in_queue: counts.in_queue,
            in_progress: counts.in_progress,
            completed: counts.completed,
            failed: counts.failed,
            retried: counts.retried,
            payload_bytes: store.bytes(),
            workers: store
                .workers(now)
                .map(|(id, worker)| WorkerSnapshot::of(id, worker))
                .collect(),
        }
    }
}

impl WorkerSnapshot {
    fn of(id: &str, worker: &Worker) -> Self {
        Self {
            id: id.to_owned(),
            last_seen: worker.last_seen,
            asked_at: worker.last_take,
            last_ping: worker.last_ping,
            version: worker.version.clone(),
            held: worker.held.iter().map(ToString::to_string).collect(),
            unhealthy: worker.unhealthy.clone(),
            asked_to_be_replaced: worker.stop_pod,
        }
    }
}
