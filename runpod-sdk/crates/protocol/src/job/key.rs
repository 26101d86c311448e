//! The keys of the job object, in requests, in answers and in what workers post.
//!
//! serde's derives cannot read constants; the tests of the types compare their fields with these.

/// The job's id.
pub const ID: &str = "id";
/// What the client sends to the handler.
pub const INPUT: &str = "input";
/// The URL that the finished job is posted to.
pub const WEBHOOK: &str = "webhook";
/// Time limits and priority: [`Policy`](crate::Policy).
pub const POLICY: &str = "policy";
/// Where the worker uploads to: [`S3Config`](crate::S3Config).
pub const S3_CONFIG: &str = "s3Config";
/// The batch that a job was taken with.
pub const BATCH_ID: &str = "batchId";

/// In `policy`: how long a worker may hold the job, in milliseconds.
pub const EXECUTION_TIMEOUT: &str = "executionTimeout";
/// In `policy`: how long the job may live, queue and execution together, in milliseconds.
pub const TTL: &str = "ttl";
/// In `policy`, and in the local platform's list of requests: whether the job may wait rather than start a worker.
pub const LOW_PRIORITY: &str = "lowPriority";
/// In `s3Config`: the secret part of the credentials.
pub const ACCESS_SECRET: &str = "accessSecret";

/// In an input made of a request to OpenAI's API: its path, such as `/v1/chat/completions`.
pub const OPENAI_ROUTE: &str = "openai_route";
/// In an input made of a request to OpenAI's API: its body.
pub const OPENAI_INPUT: &str = "openai_input";

/// The job's state: [`JobStatus`](crate::JobStatus).
pub const STATUS: &str = "status";
/// The result, the latest progress update or one chunk of a stream.
pub const OUTPUT: &str = "output";
/// The text of the error: a string, usually JSON again ([`error_key`](crate::error_key)).
pub const ERROR: &str = "error";
/// Milliseconds from submission to the last pick-up by a worker.
pub const DELAY_TIME: &str = "delayTime";
/// Milliseconds that the last attempt took.
pub const EXECUTION_TIME: &str = "executionTime";
/// How often the platform has queued the job again.
pub const RETRIES: &str = "retries";
/// The worker that held the job last.
pub const WORKER_ID: &str = "workerId";
/// The chunks that one poll of a stream returns.
pub const STREAM: &str = "stream";
/// In a posted result: the worker asks to be replaced.
pub const STOP_POD: &str = "stopPod";
/// In the answer to a stop poll: the ids of the jobs to stop.
pub const JOBS_TO_STOP: &str = "jobsToStop";
