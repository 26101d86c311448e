//! A job as the endpoint describes it.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use runpod_protocol::{JobAnswer, JobId, JobStatus, json, key};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::error::{ClientError, OutputError};
use crate::failure::JobFailure;

/// A job as the endpoint described it at one moment. Its `Debug` shows the size of the output, not the output.
#[derive(Clone)]
#[non_exhaustive]
pub struct JobReport {
    /// The job's id.
    pub id: JobId,
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

impl JobReport {
    /// Reads an answer. `id` is the job's id if the answer does not name it.
    pub(crate) fn parse(answer: &Bytes, id: &JobId) -> Result<Self, ClientError> {
        let job: JobAnswer<'_> = serde_json::from_slice(answer).map_err(ClientError::Answer)?;
        Ok(Self::new(answer, &job, id))
    }

    /// Reads the answer to a submission, which must name the new job.
    pub(crate) fn parse_new(answer: &Bytes) -> Result<Self, ClientError> {
        let job: JobAnswer<'_> = serde_json::from_slice(answer).map_err(ClientError::Answer)?;
        match &job.id {
            Some(id) if !id.as_str().is_empty() => Ok(Self::new(answer, &job, id)),
            _ => Err(ClientError::Answer(serde::de::Error::missing_field(key::ID))),
        }
    }

    fn new(answer: &Bytes, job: &JobAnswer<'_>, id: &JobId) -> Self {
        Self {
            id: job.id.as_ref().unwrap_or(id).clone(),
            status: job.status.clone(),
            delay: job.delay_time,
            execution: job.execution_time,
            retries: job.retries.unwrap_or(0),
            worker_id: job.worker_id.clone(),
            output: job.output.map(|output| json::slice(answer, output)),
            error: job.error.map(text),
        }
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

/// Decodes JSON text. The error names the field that does not fit.
pub(crate) fn decode<T: DeserializeOwned>(json: &[u8]) -> Result<T, ClientError> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    serde_path_to_error::deserialize(&mut deserializer).map_err(|error| OutputError::from(error).into())
}

/// A JSON string's content; other JSON as it is.
fn text(value: &RawValue) -> String {
    serde_json::from_str(value.get()).unwrap_or_else(|_| value.get().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(answer: &'static str) -> JobReport {
        JobReport::parse(&Bytes::from_static(answer.as_bytes()), &"known".into()).unwrap()
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
            Err(ClientError::NoOutput(id)) if id.as_str() == "known"
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
        #[derive(Debug, serde::Deserialize)]
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
