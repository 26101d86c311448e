//! The job object.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::error::ClientError;
use super::failure::JobFailure;

/// A job's state (§4).
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
    /// Whether the state will not change any more, except by a retry.
    pub fn is_final(&self) -> bool {
        matches!(
            self,
            Self::Completed | Self::Failed | Self::Cancelled | Self::TimedOut
        )
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

    pub(crate) fn parse(name: &str) -> Self {
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

/// A job as the endpoint described it at one moment. Its `Debug` shows the size of the output, not the output.
#[derive(Clone)]
#[non_exhaustive]
pub struct JobReport {
    /// The job's id.
    pub id: String,
    /// Its state.
    pub status: JobStatus,
    /// From submission to the last pick-up by a worker, start of the worker included.
    pub delay: Option<Duration>,
    /// How long the last attempt was held.
    pub execution: Option<Duration>,
    /// How often the platform queued it again.
    pub retries: u32,
    /// The worker that held it last.
    pub worker_id: Option<String>,
    output: Option<Bytes>,
    error: Option<String>,
}

impl fmt::Debug for JobReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobReport")
            .field("id", &self.id)
            .field("status", &self.status)
            .field("delay", &self.delay)
            .field("execution", &self.execution)
            .field("retries", &self.retries)
            .field("worker_id", &self.worker_id)
            .field("output_bytes", &self.output.as_ref().map(Bytes::len))
            .field("error", &self.error)
            .finish()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire<'a> {
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    status: Cow<'a, str>,
    delay_time: Option<f64>,
    execution_time: Option<f64>,
    retries: Option<u32>,
    worker_id: Option<String>,
    #[serde(borrow, default, deserialize_with = "present")]
    output: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

/// An output of `null` is an output; only an absent one is `None`.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

impl JobReport {
    /// Reads an answer. `id` is what the job is called if the answer does not say.
    pub(crate) fn parse(answer: &Bytes, id: &str) -> Result<Self, ClientError> {
        let wire: Wire<'_> = serde_json::from_slice(answer).map_err(ClientError::Answer)?;
        let milliseconds = |ms: f64| Duration::try_from_secs_f64(ms / 1000.0).ok();
        Ok(Self {
            id: wire.id.as_deref().unwrap_or(id).to_owned(),
            status: JobStatus::parse(&wire.status),
            delay: wire.delay_time.and_then(milliseconds),
            execution: wire.execution_time.and_then(milliseconds),
            retries: wire.retries.unwrap_or(0),
            worker_id: wire.worker_id,
            output: wire
                .output
                .map(|output| answer.slice_ref(output.get().as_bytes())),
            error: wire.error.map(text),
        })
    }

    /// Reads the answer to a submission, which must name the new job.
    pub(crate) fn parse_new(answer: &Bytes) -> Result<Self, ClientError> {
        let report = Self::parse(answer, "")?;
        if report.id.is_empty() {
            return Err(ClientError::Answer(serde::de::Error::missing_field("id")));
        }
        Ok(report)
    }

    /// The job's output as received: JSON text. While the job runs, its latest progress update.
    pub fn raw_output(&self) -> Option<&Bytes> {
        self.output.as_ref()
    }

    /// The error's text, usually JSON again; [`failure`](Self::failure) reads it.
    pub fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }

    /// Why the job failed, if it ended otherwise than `COMPLETED`.
    pub fn failure(&self) -> Option<JobFailure> {
        let failed = self.status.is_final() && self.status != JobStatus::Completed;
        let text = || self.error.clone().unwrap_or_default();
        failed.then(|| JobFailure::new(self.id.clone(), self.status.clone(), text()))
    }

    /// Decodes the output, or the latest progress update while the job runs.
    ///
    /// # Errors
    ///
    /// [`ClientError::NoOutput`], or [`ClientError::Output`] with the path of the field that does not fit.
    pub fn output<T: DeserializeOwned>(&self) -> Result<T, ClientError> {
        let output = self
            .output
            .as_ref()
            .ok_or_else(|| ClientError::NoOutput(self.id.clone()))?;
        decode(output)
    }

    /// The decoded output of a job that completed.
    ///
    /// # Errors
    ///
    /// [`ClientError::Job`] if it ended otherwise, and those of [`output`](Self::output).
    pub fn into_result<T: DeserializeOwned>(self) -> Result<T, ClientError> {
        match self.failure() {
            Some(failure) => Err(Box::new(failure).into()),
            None => self.output(),
        }
    }

    /// Whether a caller who saw `other` would see something new here.
    pub(crate) fn differs_from(&self, other: &Self) -> bool {
        self.status != other.status || self.output != other.output || self.retries != other.retries
    }
}

/// Decodes JSON text, saying where it does not fit.
pub(crate) fn decode<T: DeserializeOwned>(json: &[u8]) -> Result<T, ClientError> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    serde_path_to_error::deserialize(&mut deserializer).map_err(ClientError::Output)
}

/// A JSON string's content; other JSON as it is.
fn text(value: &RawValue) -> String {
    serde_json::from_str(value.get()).unwrap_or_else(|_| value.get().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(answer: &'static str) -> JobReport {
        JobReport::parse(&Bytes::from_static(answer.as_bytes()), "known").unwrap()
    }

    #[test]
    fn an_output_keeps_its_bytes_and_null_is_one() {
        let report = parse(r#"{"id":"j","status":"COMPLETED","output":{"a" : 1.50},"delayTime":12}"#);
        assert_eq!(report.raw_output().unwrap(), r#"{"a" : 1.50}"#);
        assert_eq!(report.delay, Some(Duration::from_millis(12)));
        assert_eq!(
            parse(r#"{"status":"COMPLETED","output":null}"#)
                .output::<Option<u8>>()
                .unwrap(),
            None
        );
        assert!(matches!(
            parse(r#"{"status":"COMPLETED"}"#).output::<u8>(),
            Err(ClientError::NoOutput(id)) if id == "known"
        ));
    }

    #[test]
    fn unknown_states_are_kept_and_running_means_in_progress() {
        assert_eq!(parse(r#"{"status":"RUNNING"}"#).status, JobStatus::InProgress);
        let odd = parse(r#"{"status":"PAUSED"}"#).status;
        assert_eq!((odd.as_str(), odd.is_final()), ("PAUSED", false));
    }

    #[test]
    fn an_output_that_does_not_fit_says_where() {
        #[derive(Debug, Deserialize)]
        struct Picture {
            #[expect(dead_code, reason = "only decoded")]
            width: u32,
        }
        let report = parse(r#"{"status":"COMPLETED","output":{"width":"wide"}}"#);
        let error = report.into_result::<Picture>().unwrap_err();
        assert!(error.to_string().contains("width: invalid type"), "{error}");
    }

    #[test]
    fn an_error_object_is_kept_as_text() {
        assert_eq!(
            parse(r#"{"status":"FAILED","error":{"a":1}}"#).error(),
            Some(r#"{"a":1}"#)
        );
        assert_eq!(
            parse(r#"{"status":"FAILED","error":"no\n"}"#).error(),
            Some("no\n")
        );
    }
}
