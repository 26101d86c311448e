//! The id of a job.

use std::fmt;
use std::sync::Arc;

/// Names one job. Opaque: the platform adds prefixes and suffixes as it likes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(Arc<str>);

impl JobId {
    /// The id as the platform spells it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Bytes that the body of this job's result may have, as the platform documents it
    /// (`docs/protocol/endpoint-api.md` §3): 20 MB for a job of `/runsync`, 10 MB for any other.
    ///
    /// Which it is, the prefix `sync-` tells, and that is a hint: ids are opaque. Compare with
    /// `RawJson::len_as_output` of the worker.
    pub fn result_limit(&self) -> usize {
        if self.0.starts_with("sync-") {
            20_000_000
        } else {
            10_000_000
        }
    }
}

impl From<&str> for JobId {
    fn from(id: &str) -> Self {
        Self(id.into())
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}
