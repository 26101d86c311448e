//! The outcome of a job, and the bodies that are posted about it.

use std::sync::Arc;

use bytes::Bytes;

use super::error::{ErrorClass, ErrorCode, JobError, WorkerIdentity};
use crate::json::RawJson;

/// The outcome of a job.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The handler returned a value.
    Completed(RawJson),
    /// The handler streamed its values. The output is the aggregate, or `[]` if none was asked for.
    Streamed(RawJson),
    /// The job failed.
    Failed(JobError),
    /// The job failed after its handler had begun to stream; the chunks before it stay.
    StreamFailed(JobError),
    /// An earlier run of the job stored its report in the journal.
    Stored(JobReport),
    /// The platform stopped the job and takes no result for it.
    Stopped,
    /// The worker shut down. Nothing is posted, so the platform gives the job to another worker.
    Abandoned,
}

/// The body of a post about a job: its result, a chunk or a progress update. It stays in pieces, so that a large
/// output is not copied.
#[derive(Debug, Clone)]
pub(crate) struct JobReport {
    pieces: Vec<Bytes>,
    kind: ReportKind,
    /// The worker that ran the job, if it is another than the one that posts.
    worker: Option<Arc<str>>,
}

/// The start of a body with an output.
const OUTPUT: &[u8] = b"{\"output\": ";
const END: &[u8] = b"}";
/// The end of a body that asks the platform to replace the worker.
const STOP_POD: &[u8] = b", \"stopPod\": true}";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ReportKind {
    Output,
    EndOfStream,
    Failure,
    FailureOfStream,
    Chunk,
    Progress,
}

impl Outcome {
    /// The error, if log lines may explain it: any error except one of class user, but a timeout of any class.
    pub(crate) fn unexplained(&mut self) -> Option<&mut JobError> {
        match self {
            Self::Failed(error) | Self::StreamFailed(error)
                if error.class() != ErrorClass::User || *error.code() == ErrorCode::TIMEOUT =>
            {
                Some(error)
            }
            _ => None,
        }
    }

    /// The same outcome; a failure becomes [`StreamFailed`](Self::StreamFailed) if the stream had begun.
    pub(crate) fn in_stream(self, begun: bool) -> Self {
        match self {
            Self::Failed(error) if begun => Self::StreamFailed(error),
            other => other,
        }
    }

    /// The error of a failed job.
    pub(crate) fn error(&self) -> Option<&JobError> {
        match self {
            Self::Failed(error) | Self::StreamFailed(error) => Some(error),
            _ => None,
        }
    }
}

impl JobReport {
    /// The report of an outcome; `None` if nothing is posted for it. `stop_pod` asks the platform to replace this
    /// worker.
    pub(crate) fn of(outcome: &Outcome, stop_pod: bool, identity: &WorkerIdentity) -> Option<Self> {
        let (mut pieces, kind) = match outcome {
            Outcome::Completed(output) => (output_body(output), ReportKind::Output),
            Outcome::Streamed(aggregate) => (output_body(aggregate), ReportKind::EndOfStream),
            Outcome::Failed(error) => (error_body(&error.to_wire(identity)), ReportKind::Failure),
            Outcome::StreamFailed(error) => {
                (error_body(&error.to_wire(identity)), ReportKind::FailureOfStream)
            }
            Outcome::Stored(report) => return Some(report.clone()),
            Outcome::Stopped | Outcome::Abandoned => return None,
        };
        if stop_pod {
            pieces.pop();
            pieces.push(Bytes::from_static(STOP_POD));
        }
        Some(Self::new(pieces, kind))
    }

    /// The report of one chunk of a streaming handler.
    pub(crate) fn chunk(value: &RawJson) -> Self {
        Self::new(output_body(value), ReportKind::Chunk)
    }

    /// The report of a progress update.
    pub(crate) fn progress(value: &RawJson) -> Self {
        let pieces = vec![
            Bytes::from_static(b"{\"status\": \"IN_PROGRESS\", \"output\": "),
            value.clone().into_bytes(),
            Bytes::from_static(b"}"),
        ];
        Self::new(pieces, ReportKind::Progress)
    }

    /// The report of an earlier run, from its whole body and its kind.
    pub(crate) fn stored(body: Bytes, is_stream: bool, is_failure: bool) -> Self {
        let kind = match (is_stream, is_failure) {
            (false, false) => ReportKind::Output,
            (true, false) => ReportKind::EndOfStream,
            (false, true) => ReportKind::Failure,
            (true, true) => ReportKind::FailureOfStream,
        };
        Self::new(vec![body], kind)
    }

    fn new(pieces: Vec<Bytes>, kind: ReportKind) -> Self {
        Self {
            pieces,
            kind,
            worker: None,
        }
    }

    /// The same report, posted in the name of `worker`, which ran the job; `None` for the worker that posts.
    pub(crate) fn of_worker(mut self, worker: Option<&str>) -> Self {
        self.worker = worker.map(Into::into);
        self
    }

    /// The worker that ran the job, if it is another than the one that posts.
    pub(crate) fn worker(&self) -> Option<&str> {
        self.worker.as_deref()
    }

    /// The same report without the request to replace the worker.
    pub(crate) fn without_stop_pod(&self) -> Self {
        let mut report = self.clone();
        if let Some(last) = report.pieces.last_mut()
            && last == STOP_POD
        {
            *last = Bytes::from_static(b"}");
        }
        report
    }

    /// The pieces of the body, in order.
    pub(crate) fn pieces(&self) -> &[Bytes] {
        &self.pieces
    }

    /// The value inside the body: an output, a chunk, or an error's text in quotes.
    #[cfg(feature = "http-modes")]
    pub(crate) fn payload(&self) -> &Bytes {
        // Every body is made of a start, a value and an end.
        &self.pieces[1]
    }

    /// Length of the body in bytes.
    pub(crate) fn len(&self) -> usize {
        self.pieces.iter().map(Bytes::len).sum()
    }

    /// The value of the query parameter `isStream`.
    pub(crate) fn is_stream(&self) -> bool {
        matches!(self.kind, ReportKind::EndOfStream | ReportKind::FailureOfStream)
    }

    /// Whether the job's status becomes FAILED.
    pub(crate) fn is_failure(&self) -> bool {
        matches!(self.kind, ReportKind::Failure | ReportKind::FailureOfStream)
    }

    /// Whether the report is a progress update.
    pub(crate) fn is_progress(&self) -> bool {
        self.kind == ReportKind::Progress
    }
}

impl RawJson {
    /// The length of the posted body if this is a job's output or a chunk. A worker that asks to be replaced with the
    /// same post adds 17 bytes.
    ///
    /// ```
    /// let output = runpod_sdk::json::RawJson::parse("[1]")?;
    /// assert_eq!(output.len_as_output(), r#"{"output": [1]}"#.len());
    /// # Ok::<_, runpod_sdk::json::InvalidJson>(())
    /// ```
    pub fn len_as_output(&self) -> usize {
        OUTPUT.len() + self.len() + END.len()
    }
}

fn output_body(output: &RawJson) -> Vec<Bytes> {
    vec![
        Bytes::from_static(OUTPUT),
        output.clone().into_bytes(),
        Bytes::from_static(END),
    ]
}

/// The body of an error. `error` is always a string: with an object there the platform shows COMPLETED without output.
fn error_body(text: &str) -> Vec<Bytes> {
    let quoted = serde_json::to_vec(text).unwrap_or_else(|_| b"\"unknown error\"".to_vec());
    vec![
        Bytes::from_static(b"{\"error\": "),
        quoted.into(),
        Bytes::from_static(b"}"),
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn text(report: &JobReport) -> String {
        String::from_utf8(report.pieces().concat()).unwrap()
    }

    #[test]
    fn an_output_is_wrapped_and_not_touched() {
        let output = RawJson::parse(r#"{"error": null,  "n": 1.0e0}"#).unwrap();
        let report = JobReport::of(
            &Outcome::Completed(output.clone()),
            false,
            &WorkerIdentity::default(),
        )
        .unwrap();
        assert_eq!(text(&report), r#"{"output": {"error": null,  "n": 1.0e0}}"#);
        assert_eq!(report.pieces()[1].as_ptr(), output.as_bytes().as_ptr());
        assert_eq!(report.len(), text(&report).len());
        assert_eq!(report.len(), output.len_as_output());
    }

    #[test]
    fn an_error_is_a_string_that_holds_json() {
        let outcome = Outcome::Failed(JobError::invalid_input("no \"prompt\""));
        let report = JobReport::of(&outcome, false, &WorkerIdentity::default()).unwrap();
        let body: serde_json::Value = serde_json::from_str(&text(&report)).unwrap();
        let inner: serde_json::Value = serde_json::from_str(body["error"].as_str().unwrap()).unwrap();
        assert_eq!(inner["error_message"], json!("no \"prompt\""));
    }

    #[test]
    fn a_worker_that_wants_to_be_replaced_says_so_in_its_result() {
        let outcome = Outcome::Completed(RawJson::null());
        let report = JobReport::of(&outcome, true, &WorkerIdentity::default()).unwrap();
        assert_eq!(text(&report), r#"{"output": null, "stopPod": true}"#);
        assert_eq!(report.len(), text(&report).len());
        assert_eq!(text(&report.without_stop_pod()), r#"{"output": null}"#);
    }

    #[test]
    fn a_stopped_job_is_not_reported() {
        assert!(JobReport::of(&Outcome::Stopped, false, &WorkerIdentity::default()).is_none());
    }
}
