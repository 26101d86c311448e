//! The states of a job.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A job's state (`docs/protocol/endpoint-api.md` §4).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum JobStatus {
    /// Waiting for a worker.
    InQueue,
    /// Held by a worker. The documents also call it `RUNNING`.
    InProgress,
    /// The worker posted a result.
    Completed,
    /// The worker posted an error, or the platform gave the job up.
    Failed,
    /// A client cancelled it.
    Cancelled,
    /// It took longer than its policy allows.
    TimedOut,
    /// A state this version does not know. It does not count as final.
    Other(String),
}

impl JobStatus {
    /// Whether the state stays as it is, except by a retry.
    pub fn is_final(&self) -> bool {
        matches!(
            self,
            Self::Completed | Self::Failed | Self::Cancelled | Self::TimedOut
        )
    }

    /// Whether a client may ask for the job to be queued again.
    pub fn can_be_retried(&self) -> bool {
        matches!(self, Self::Failed | Self::TimedOut)
    }

    /// The state as the platform writes it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::InQueue => "IN_QUEUE",
            Self::InProgress => "IN_PROGRESS",
            Self::Completed => "COMPLETED",
            Self::Failed => "FAILED",
            Self::Cancelled => "CANCELLED",
            Self::TimedOut => "TIMED_OUT",
            Self::Other(name) => name,
        }
    }
}

impl From<&str> for JobStatus {
    fn from(name: &str) -> Self {
        match name {
            "IN_QUEUE" => Self::InQueue,
            "IN_PROGRESS" | "RUNNING" => Self::InProgress,
            "COMPLETED" => Self::Completed,
            "FAILED" => Self::Failed,
            "CANCELLED" => Self::Cancelled,
            "TIMED_OUT" => Self::TimedOut,
            other => Self::Other(other.to_owned()),
        }
    }
}

impl fmt::Display for JobStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for JobStatus {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for JobStatus {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(deserializer).map(|name| Self::from(&*name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_is_read_back_from_its_name() {
        for status in [
            JobStatus::InQueue,
            JobStatus::InProgress,
            JobStatus::Completed,
            JobStatus::Failed,
            JobStatus::Cancelled,
            JobStatus::TimedOut,
            JobStatus::Other("PAUSED".to_owned()),
        ] {
            assert_eq!(JobStatus::from(status.as_str()), status);
            let written = serde_json::to_string(&status).unwrap();
            assert_eq!(serde_json::from_str::<JobStatus>(&written).unwrap(), status);
        }
    }

    #[test]
    fn unknown_states_are_not_final_and_running_means_in_progress() {
        assert_eq!(JobStatus::from("RUNNING"), JobStatus::InProgress);
        assert!(!JobStatus::from("PAUSED").is_final());
    }
}
