//! Error codes and error classes.

use std::borrow::Cow;
use std::fmt;

use serde::Serialize;

/// The side that is at fault. A caller sees from it whom to ask and whether a retry makes sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ErrorClass {
    /// The request, which must be changed.
    User,
    /// This worker's program.
    Worker,
    /// A service the worker relies on, such as the WebUI on the same pod.
    Backend,
    /// RunPod, or the way to it.
    Platform,
}

/// A short, stable error code for programs to compare.
///
/// The constants are the codes that this crate itself uses, and [`ALL`](Self::ALL) lists them. A worker may
/// add its own.
///
#[doc = include_str!("../../../../../../docs/errors.md")]
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct ErrorCode(Cow<'static, str>);

impl ErrorCode {
    /// A code of the worker's own, in capitals and underscores.
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
