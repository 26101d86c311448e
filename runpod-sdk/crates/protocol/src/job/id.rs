//! The id of a job.

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer};

/// The name of one job. It is opaque: the platform adds prefixes and suffixes. Clones share the text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(Arc<str>);

impl JobId {
    /// What the ids of `/runsync` jobs begin with.
    pub const SYNC_PREFIX: &str = "sync-";

    /// The id as the platform spells it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The most bytes that the platform documents for the body of this job's result
    /// (`docs/protocol/endpoint-api.md` §3): 20 MB for a job of `/runsync`, 10 MB for any other.
    ///
    /// The prefix [`SYNC_PREFIX`](Self::SYNC_PREFIX) is only a hint, because ids are opaque. Compare with
    /// `RawJson::len_as_output` of the worker.
    pub fn result_limit(&self) -> usize {
        if self.0.starts_with(Self::SYNC_PREFIX) {
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

impl From<String> for JobId {
    fn from(id: String) -> Self {
        Self(id.into())
    }
}

impl AsRef<str> for JobId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// Maps with ids as keys are searched by text.
impl Borrow<str> for JobId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for JobId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(deserializer).map(|id| Self::from(&*id))
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
