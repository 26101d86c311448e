//! What the platform answers to a client.

use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::milliseconds;
use super::{JobId, JobStatus, StreamChunk};
use crate::json;

/// A job as `/run`, `/runsync`, `/status`, `/cancel` and `/retry` describe it (`docs/protocol/endpoint-api.md` §4).
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobAnswer<'a> {
    /// The job's id.
    pub id: Option<JobId>,
    /// The job's state.
    pub status: JobStatus,
    /// From submission to the last pick-up by a worker, start of the worker included.
    #[serde(default, deserialize_with = "milliseconds::deserialize")]
    pub delay_time: Option<Duration>,
    /// How long the last attempt was held.
    #[serde(default, deserialize_with = "milliseconds::deserialize")]
    pub execution_time: Option<Duration>,
    /// How often the platform has queued the job again.
    pub retries: Option<u32>,
    /// The worker that held the job last.
    pub worker_id: Option<String>,
    /// The result, or the latest progress update while the job runs. An output of `null` is an output.
    #[serde(borrow, default, deserialize_with = "json::present")]
    pub output: Option<&'a RawValue>,
    /// The error: usually a string.
    #[serde(borrow)]
    pub error: Option<&'a RawValue>,
}

/// The answer to one poll of `/stream` (`docs/protocol/endpoint-api.md` §6).
#[derive(Clone, Debug, Deserialize)]
pub struct StreamAnswer<'a> {
    /// The job's state.
    pub status: JobStatus,
    /// The unread chunks, in order.
    #[serde(borrow, default)]
    pub stream: Vec<StreamChunk<'a>>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key;

    #[test]
    fn every_field_is_read_under_its_key() {
        let text = serde_json::json!({
            key::ID: "j", key::STATUS: "FAILED", key::DELAY_TIME: 12, key::EXECUTION_TIME: 1.5, key::RETRIES: 2,
            key::WORKER_ID: "w", key::OUTPUT: null, key::ERROR: "no",
        })
        .to_string();
        let job: JobAnswer<'_> = serde_json::from_str(&text).unwrap();
        assert_eq!(job.id, Some(JobId::from("j")));
        assert_eq!(job.status, JobStatus::Failed);
        assert_eq!(job.delay_time, Some(Duration::from_millis(12)));
        assert_eq!(job.execution_time, Some(Duration::from_micros(1500)));
        assert_eq!((job.retries, job.worker_id.as_deref()), (Some(2), Some("w")));
        assert_eq!(
            (job.output.unwrap().get(), job.error.unwrap().get()),
            ("null", "\"no\"")
        );
    }
}
