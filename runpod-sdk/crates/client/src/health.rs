//! Counters of an endpoint.

use serde::Deserialize;

/// What `/health` says (§9). A counter the platform does not mention is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Health {
    /// Jobs of the endpoint.
    pub jobs: JobCounts,
    /// Workers of the endpoint.
    pub workers: WorkerCounts,
}

/// Jobs: two gauges and three counters that only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[non_exhaustive]
pub struct JobCounts {
    /// Completed so far.
    pub completed: u64,
    /// Failed so far.
    pub failed: u64,
    /// Held by workers now.
    pub in_progress: u64,
    /// Waiting for a worker now.
    pub in_queue: u64,
    /// Queued again so far.
    pub retried: u64,
}

/// Workers by state, now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct WorkerCounts {
    /// Without a job.
    pub idle: u64,
    /// Starting.
    pub initializing: u64,
    /// Idle and able to take work.
    pub ready: u64,
    /// With a job.
    pub running: u64,
    /// Waiting for a free machine.
    pub throttled: u64,
    /// Failing.
    pub unhealthy: u64,
}
