//! Why a job failed, in the words of its worker or of the platform.

use std::fmt;

use runpod_protocol::{JobId, JobStatus, error_key};
use serde_json::{Map, Value};

/// A job that ended otherwise than `COMPLETED`, with the error's text and what can be read from it.
///
/// A worker's error is usually a JSON object *inside* the string
/// (`docs/protocol/worker-protocol.md` §7). Its fields are there if it is one; the text always is.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct JobFailure {
    /// The job's id.
    pub job_id: JobId,
    /// How it ended.
    pub status: JobStatus,
    /// The error as the endpoint gave it; empty if it gave none.
    pub text: String,
    /// Type of the error in the worker's language.
    pub error_type: Option<String>,
    /// What went wrong.
    pub message: Option<String>,
    /// Source chain or stack trace.
    pub traceback: Option<String>,
    /// Host the worker ran on.
    pub hostname: Option<String>,
    /// The worker that reported the error.
    pub worker_id: Option<String>,
    /// The protocol level of that worker's SDK.
    pub runpod_version: Option<String>,
    /// A stable name of the error, from workers of this SDK.
    pub code: Option<String>,
    /// Whose mistake it was, from workers of this SDK.
    pub class: Option<String>,
    /// Whether the same job may succeed later, from workers of this SDK.
    pub retryable: Option<bool>,
    /// What to do about it, from workers of this SDK.
    pub hint: Option<String>,
    /// Facts for a program to read, such as `{"errors": [{"path", "problem"}]}` of an input that was refused, from
    /// workers of this SDK.
    pub details: Option<Value>,
    /// The last lines of the job's log, or of a backend's, from workers of this SDK.
    pub log_tail: Option<String>,
}

impl JobFailure {
    pub(crate) fn new(job_id: JobId, status: JobStatus, text: String) -> Self {
        // Field by field, so that an odd one does not hide the others.
        let mut record: Map<String, Value> = serde_json::from_str(&text).unwrap_or_default();
        let retryable = record.get(error_key::RETRYABLE).and_then(Value::as_bool);
        let details = record
            .remove(error_key::DETAILS)
            .filter(|details| !details.is_null());
        let mut field = |name| record.remove(name).and_then(readable);
        Self {
            job_id,
            status,
            error_type: field(error_key::ERROR_TYPE),
            message: field(error_key::ERROR_MESSAGE),
            traceback: field(error_key::ERROR_TRACEBACK),
            hostname: field(error_key::HOSTNAME),
            worker_id: field(error_key::WORKER_ID),
            runpod_version: field(error_key::RUNPOD_VERSION),
            code: field(error_key::CODE),
            class: field(error_key::CLASS),
            retryable,
            hint: field(error_key::HINT),
            details,
            log_tail: field(error_key::LOG_TAIL),
            text,
        }
    }
}

/// A string as it is, an array of strings as lines, anything else as JSON.
fn readable(value: Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text),
        Value::Array(lines) => Some(
            lines
                .into_iter()
                .filter_map(readable)
                .collect::<Vec<_>>()
                .join("\n"),
        ),
        other => Some(other.to_string()),
    }
}

impl fmt::Display for JobFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "job {} ended as {}", self.job_id, self.status)?;
        match self.message.as_deref().unwrap_or(&self.text) {
            "" => {}
            message => write!(f, ": {message}")?,
        }
        if let Some(code) = &self.code {
            write!(f, " [{code}]")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "; {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for JobFailure {}

/// What is known, once: the text is shown where no field has been read from it.
impl fmt::Debug for JobFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("JobFailure");
        shown.field("job_id", &self.job_id).field("status", &self.status);
        if self.message.is_none() {
            shown.field("text", &self.text);
        }
        let texts = [
            ("error_type", &self.error_type),
            ("message", &self.message),
            ("traceback", &self.traceback),
            ("hostname", &self.hostname),
            ("worker_id", &self.worker_id),
            ("runpod_version", &self.runpod_version),
            ("code", &self.code),
            ("class", &self.class),
            ("hint", &self.hint),
            ("log_tail", &self.log_tail),
        ];
        for (name, text) in texts {
            if let Some(text) = text {
                shown.field(name, text);
            }
        }
        if let Some(retryable) = self.retryable {
            shown.field("retryable", &retryable);
        }
        if let Some(details) = &self.details {
            shown.field("details", &format_args!("{details}"));
        }
        shown.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(text: &str) -> JobFailure {
        JobFailure::new("j1".into(), JobStatus::Failed, text.to_owned())
    }

    #[test]
    fn the_object_inside_the_error_string_is_read() {
        let failure = failure(
            r#"{"error_type":"OutOfMemory","error_message":"CUDA out of memory","code":"BACKEND_OOM","retryable":false,"hint":"smaller picture","details":{"free_mib":12},"log_tail":["a","b"]}"#,
        );
        assert_eq!(failure.code.as_deref(), Some("BACKEND_OOM"));
        assert_eq!(failure.retryable, Some(false));
        assert_eq!(failure.details.as_ref().unwrap()["free_mib"], 12);
        assert_eq!(failure.log_tail.as_deref(), Some("a\nb"));
        assert_eq!(
            failure.to_string(),
            "job j1 ended as FAILED: CUDA out of memory [BACKEND_OOM]; smaller picture"
        );
    }

    #[test]
    fn the_debug_output_shows_everything_once() {
        let error =
            r#"{"error_type":"T","error_message":"it broke","code":"C","retryable":true,"details":{"n":1}}"#;
        assert_eq!(
            format!("{:?}", failure(error)),
            r#"JobFailure { job_id: "j1", status: Failed, error_type: "T", message: "it broke", code: "C", retryable: true, details: {"n":1} }"#
        );
        assert_eq!(
            format!("{:?}", failure("it broke")),
            r#"JobFailure { job_id: "j1", status: Failed, text: "it broke" }"#
        );
    }

    #[test]
    fn plain_text_stays_what_it_is() {
        assert_eq!(failure("job timed out after 1 retries").message, None);
        assert_eq!(
            failure("executionTimeout exceeded").to_string(),
            "job j1 ended as FAILED: executionTimeout exceeded"
        );
        assert_eq!(failure("").to_string(), "job j1 ended as FAILED");
        assert_eq!(failure(r#"{"error_message":7}"#).message.as_deref(), Some("7"));
    }
}
