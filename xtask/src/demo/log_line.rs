//! One line of a deployed worker's log (`docs/protocol/worker-protocol.md` §12).

use std::fmt;

use serde::Deserialize;

/// A line in the platform's form.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LogLine {
    /// The job it is about.
    pub(super) request_id: Option<String>,
    pub(super) message: String,
    pub(super) level: String,
}

impl LogLine {
    /// Reads a line, unless it is of another form.
    pub(super) fn read(line: &str) -> Option<Self> {
        serde_json::from_str(line).ok()
    }
}

impl fmt::Display for LogLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<5} {}", self.level, self.message)
    }
}
