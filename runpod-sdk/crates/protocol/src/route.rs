//! The segments of both APIs' paths: `/v2/{endpoint}/{operation}/{ids…}`.

/// The segment before the endpoint's id.
pub const VERSION: &str = "v2";

// Operations of clients (`docs/protocol/endpoint-api.md` §2).

/// Queues a job.
pub const RUN: &str = "run";
/// Queues a job and waits for its end.
pub const RUN_SYNC: &str = "runsync";
/// Describes a job.
pub const STATUS: &str = "status";
/// Describes a job once it is final.
pub const STATUS_SYNC: &str = "status-sync";
/// Hands out the unread chunks of a job.
pub const STREAM: &str = "stream";
/// Cancels a job.
pub const CANCEL: &str = "cancel";
/// Queues a failed job again.
pub const RETRY: &str = "retry";
/// Cancels all queued jobs.
pub const PURGE_QUEUE: &str = "purge-queue";
/// Counts jobs and workers.
pub const HEALTH: &str = "health";
/// Lists jobs.
pub const REQUESTS: &str = "requests";
/// OpenAI's API; the rest of the path is OpenAI's.
pub const OPENAI: &str = "openai";
/// The Python worker's direct way to its handler (`docs/protocol/worker-protocol.md` §13).
pub const REALTIME: &str = "realtime";

// Operations of workers (`docs/protocol/worker-protocol.md` §5–§10).

/// Takes one job.
pub const JOB_TAKE: &str = "job-take";
/// Takes several jobs.
pub const JOB_TAKE_BATCH: &str = "job-take-batch";
/// Asks which jobs to stop.
pub const JOB_STOP: &str = "job-stop";
/// Takes a result or a progress update.
pub const JOB_DONE: &str = "job-done";
/// Takes a chunk of a stream.
pub const JOB_STREAM: &str = "job-stream";
/// Takes a heartbeat.
pub const PING: &str = "ping";

// Placeholders in the URLs that a worker is given (`docs/protocol/worker-protocol.md` §3).

/// Stands for the worker's id.
pub const WORKER_PLACEHOLDER: &str = "$RUNPOD_POD_ID";
/// Stands for the job's id where a URL is about a job, else for the worker's id.
pub const ID_PLACEHOLDER: &str = "$ID";
