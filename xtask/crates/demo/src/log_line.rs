//! One line of a deployed worker's log (`docs/protocol/worker-protocol.md` §12).

use std::fmt;

use serde::Deserialize;

/// A line in the platform's form.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LogLine {
    /// The job it is about.
    pub(crate) request_id: Option<String>,
    pub(crate) message: String,
    pub(crate) level: String,
}

impl LogLine {
    /// Reads a line, unless it is of another form.
    pub(crate) fn read(line: &str) -> Option<Self> {
        serde_json::from_str(line).ok()
    }
}

impl fmt::Display for LogLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<5} {}", self.level, self.message)
    }
}
