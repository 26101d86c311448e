//! The query parameters of both APIs (`docs/protocol/worker-protocol.md` §5–§10, `docs/protocol/endpoint-api.md` §5).

use std::time::Duration;

/// On a take: `1` while the worker holds a job, else `0`.
pub const JOB_IN_PROGRESS: &str = "job_in_progress";
/// On a batch take: the most jobs wanted.
pub const BATCH_SIZE: &str = "batch_size";
/// On a post: `true` for a result or chunk of a stream, else `false`.
pub const IS_STREAM: &str = "isStream";
/// On a ping: the ids of the jobs held, separated by commas.
pub const JOB_ID: &str = "job_id";
/// On a ping: the protocol level of the worker.
pub const RUNPOD_VERSION: &str = "runpod_version";
/// On a ping: [`UNHEALTHY`] for a worker that cannot work. On `/requests`: the state that is listed.
pub const STATUS: &str = "status";
/// The value of [`STATUS`] in the report of an unfit worker.
pub const UNHEALTHY: &str = "unhealthy";
/// On the report of an unfit worker: the check that failed.
pub const CHECK: &str = "check";
/// On the report of an unfit worker: why the check failed.
pub const REASON: &str = "reason";
/// On a request that the platform may hold: for how many milliseconds, from [`SHORTEST_WAIT`] to [`LONGEST_WAIT`].
pub const WAIT: &str = "wait";
/// The shortest [`WAIT`] that the platform takes (`docs/protocol/endpoint-api.md` §5).
pub const SHORTEST_WAIT: Duration = Duration::from_secs(1);
/// The longest [`WAIT`] that the platform takes.
pub const LONGEST_WAIT: Duration = Duration::from_mins(5);
/// On `/status`: the job's new time to live, in milliseconds.
pub const TTL: &str = "ttl";
/// On `/requests`: the most entries wanted.
pub const LIMIT: &str = "limit";
