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
#[doc = include_str!("../../../../../../docs/errors.md")]
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct ErrorCode(Cow<'static, str>);

impl ErrorCode {
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
