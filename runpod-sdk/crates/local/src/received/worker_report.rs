//! The body of a result or a progress update.

use bytes::Bytes;
use runpod_protocol::{JobStatus, PostedReport, json};

/// A body posted to `job-done` (`docs/protocol/worker-protocol.md` §7 and §9).
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum WorkerReport {
    /// The latest progress update; the job goes on.
    Progress(Option<Bytes>),
    /// The end of the job.
    Result(PostedResult),
}

/// A job's end as its worker posted it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct PostedResult {
    pub(crate) output: Option<Bytes>,
    /// A JSON string, as received. Its presence makes the job fail.
    pub(crate) error: Option<Bytes>,
    /// `error` was there but no string: the platform shows such a job as completed without output.
    pub(crate) error_is_no_text: bool,
    /// The worker asks to be replaced.
    pub(crate) stop_pod: bool,
}

impl WorkerReport {
    /// Reads a body. The content type says "form", the text is JSON.
    pub(crate) fn parse(body: &Bytes) -> Result<Self, serde_json::Error> {
        let posted: PostedReport<'_> = json::parse_object(body)?;
        let output = posted.output.map(|value| json::slice_or_copy(body, value));
        if posted.status.as_deref() == Some(JobStatus::InProgress.as_str()) {
            return Ok(Self::Progress(output));
        }
        let (error, error_is_no_text) = match posted.error {
            Some(value) if value.get().starts_with('"') => (Some(json::slice_or_copy(body, value)), false),
            Some(_) => (None, true),
            None => (None, false),
        };
        Ok(Self::Result(PostedResult {
            output: if error_is_no_text { None } else { output },
            error,
            error_is_no_text,
            stop_pod: posted.stop_pod.unwrap_or(false),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(body: &'static str) -> WorkerReport {
        WorkerReport::parse(&Bytes::from_static(body.as_bytes())).unwrap()
    }

    fn result(body: &'static str) -> PostedResult {
        match parse(body) {
            WorkerReport::Result(result) => result,
            other @ WorkerReport::Progress(_) => panic!("{other:?}"),
        }
    }

    #[test]
    fn only_a_status_of_in_progress_makes_an_update() {
        assert_eq!(
            parse(r#"{"status":"IN_PROGRESS","output":7}"#),
            WorkerReport::Progress(Some("7".into()))
        );
        assert_eq!(result(r#"{"status":"done","output":7}"#).output, Some("7".into()));
    }

    #[test]
    fn a_null_output_is_an_output_and_an_empty_object_has_none() {
        assert_eq!(result(r#"{"output":null}"#).output, Some("null".into()));
        assert_eq!(result("{}"), PostedResult::default());
    }

    #[test]
    fn an_error_text_fails_the_job_and_an_error_object_hides_everything() {
        assert_eq!(
            result(r#"{"error":"it broke"}"#).error,
            Some("\"it broke\"".into())
        );
        let hidden = result(r#"{"error":{"code":1},"output":2}"#);
        assert_eq!(
            (hidden.error, hidden.output, hidden.error_is_no_text),
            (None, None, true)
        );
        assert_eq!(result(r#"{"error":null,"output":2}"#).output, Some("2".into()));
    }

    #[test]
    fn a_body_that_is_no_json_object_is_an_error() {
        for body in ["", "output=1", "3"] {
            assert!(
                WorkerReport::parse(&Bytes::from_static(body.as_bytes())).is_err(),
                "{body:?}"
            );
        }
    }
}
