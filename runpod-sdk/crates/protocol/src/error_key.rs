//! The keys of the JSON object inside a failed job's error string (`docs/protocol/worker-protocol.md` §7).
//!
//! The first six are the platform's, in its order. The rest are this SDK's.

/// Type of the error in the worker's language.
pub const ERROR_TYPE: &str = "error_type";
/// What went wrong.
pub const ERROR_MESSAGE: &str = "error_message";
/// Source chain or stack trace.
pub const ERROR_TRACEBACK: &str = "error_traceback";
/// Host the worker ran on.
pub const HOSTNAME: &str = "hostname";
/// The worker that reported the error.
pub const WORKER_ID: &str = "worker_id";
/// The protocol level of that worker's SDK.
pub const RUNPOD_VERSION: &str = "runpod_version";

/// A stable name of the error.
pub const CODE: &str = "code";
/// Whose mistake it is.
pub const CLASS: &str = "class";
/// Whether the same job may succeed later.
pub const RETRYABLE: &str = "retryable";
/// What to do about it.
pub const HINT: &str = "hint";
/// Facts for a program to read.
pub const DETAILS: &str = "details";
/// The last lines of the job's log, or of a backend's.
pub const LOG_TAIL: &str = "log_tail";
