//! The name of what went wrong, and whose mistake it was.

use std::borrow::Cow;
use std::fmt;

use serde::Serialize;

/// Whose mistake it was. This tells a caller whom to ask and whether trying again makes sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ErrorClass {
    /// The request: it must be changed.
    User,
    /// This worker's program.
    Worker,
    /// A service the worker relies on, such as the WebUI on the same pod.
    Backend,
    /// RunPod, or the way to it.
    Platform,
}

/// A short, stable name of what went wrong, for programs to compare.
///
/// The constants are the codes that this crate itself uses, and [`ALL`](Self::ALL) lists them. A worker may
/// add its own.
///
#[doc = include_str!("../../../../docs/errors.md")]
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct ErrorCode(Cow<'static, str>);

impl ErrorCode {
    /// The input is not what the handler takes; the message names the field. Class user.
    pub const INVALID_INPUT: Self = Self::new("INVALID_INPUT");
    /// The handler returned an error that has no code of its own. Class worker.
    pub const HANDLER_ERROR: Self = Self::new("HANDLER_ERROR");
    /// The handler panicked. Class worker.
    pub const PANIC: Self = Self::new("PANIC");
    /// The job ran longer than it may. Class user: its deadline is the caller's, or the worker's
    /// documented limit.
    pub const TIMEOUT: Self = Self::new("TIMEOUT");
    /// The worker was told to go while the job ran, and reports that instead of leaving the job
    /// for another worker. Class platform.
    pub const WORKER_STOPPED: Self = Self::new("WORKER_STOPPED");
    /// The handler's value could not be written as JSON. Class worker.
    pub const OUTPUT_NOT_JSON: Self = Self::new("OUTPUT_NOT_JSON");
    /// The handler streamed a value that is too large for one chunk and cannot be split. Class worker.
    pub const CHUNK_TOO_LARGE: Self = Self::new("CHUNK_TOO_LARGE");
    /// The platform refused the result, most often because it is too large. Class platform.
    pub const RESULT_REFUSED: Self = Self::new("RESULT_REFUSED");
    /// The result is larger than [`Worker::largest_result`](crate::Worker::largest_result) allows, and was
    /// not sent. Class worker.
    pub const RESULT_TOO_LARGE: Self = Self::new("RESULT_TOO_LARGE");

    /// The path names nothing (feature `http-modes`). Class user.
    pub const NOT_FOUND: Self = Self::new("NOT_FOUND");
    /// The path takes another method (feature `http-modes`). Class user.
    pub const METHOD_NOT_ALLOWED: Self = Self::new("METHOD_NOT_ALLOWED");
    /// The request's body is larger than the worker takes (feature `http-modes`). Class user.
    pub const REQUEST_TOO_LARGE: Self = Self::new("REQUEST_TOO_LARGE");
    /// The request's body did not arrive in time (feature `http-modes`). Class user, retryable.
    pub const REQUEST_TIMEOUT: Self = Self::new("REQUEST_TIMEOUT");
    /// The worker is still starting (feature `http-modes`). Class platform, retryable.
    pub const WORKER_STARTING: Self = Self::new("WORKER_STARTING");
    /// Every slot is taken and enough requests wait (feature `http-modes`). Class platform, retryable.
    pub const WORKER_BUSY: Self = Self::new("WORKER_BUSY");
    /// The worker's process died too often while this job ran, so it is not run again; the message says when.
    /// Only with a [`Journal`](crate::Journal). Class worker.
    pub const POISON_JOB: Self = Self::new("POISON_JOB");

    /// A code of the worker's own. Use capitals and underscores.
    pub const fn new(code: &'static str) -> Self {
        Self(Cow::Borrowed(code))
    }

    /// The code's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
