//! Reads the answers of take and stop (`docs/protocol/worker-protocol.md` §5, §6).

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use tracing::{debug, error, warn};

use crate::job::{Job, JobId, MalformedJob};

/// The jobs in a 200 answer to a take. An element that is not a job is logged and skipped; the others are kept. A job
/// without `input` is kept, too: its client gets an answer.
pub(super) fn jobs(body: &Bytes) -> Vec<Job> {
    match body.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(b'{') => one(body.clone(), false).into_iter().collect(),
        Some(b'[') => match serde_json::from_slice::<Vec<&RawValue>>(body) {
            Ok(elements) => elements
                .into_iter()
                .filter_map(|element| one(body.slice_ref(element.get().as_bytes()), true))
                .collect(),
            Err(error) => {
                error!(%error, bytes = body.len(), "the answer to take is not a list of jobs; ignored");
                Vec::new()
            }
        },
        _ => {
            debug!(bytes = body.len(), "the answer to take holds no job");
            Vec::new()
        }
    }
}

fn one(object: Bytes, input_optional: bool) -> Option<Job> {
    let bytes = object.len();
    match Job::read(object, input_optional) {
        Ok(job) => Some(job),
        Err(MalformedJob::MissingInput { id }) => {
            warn!(job.id = %id, "the platform sent a job without an input; it is answered as failed");
            Some(Job::without_input(&id))
        }
        Err(error) => {
            error!(%error, bytes, "an element of the answer to take is not a job; skipped");
            None
        }
    }
}

/// The ids in a 200 answer to a stop poll. Anything but a list of strings counts as empty.
pub(super) fn jobs_to_stop(body: &[u8]) -> Vec<JobId> {
    #[derive(Deserialize)]
    struct Answer<'a> {
        #[serde(rename = "jobsToStop", borrow)]
        jobs_to_stop: Vec<&'a RawValue>,
    }
    let Ok(answer) = serde_json::from_slice::<Answer<'_>>(body) else {
        return Vec::new();
    };
    answer
        .jobs_to_stop
        .into_iter()
        .filter_map(|id| match serde_json::from_str::<String>(id.get()) {
            Ok(id) => Some(JobId::from(id.as_str())),
            Err(_) => {
                warn!(id = %id, "an id in the list of jobs to stop is not text; skipped");
                None
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(body: &str) -> Vec<String> {
        jobs(&Bytes::copy_from_slice(body.as_bytes()))
            .iter()
            .map(|job| job.id().to_string())
            .collect()
    }

    #[test]
    fn one_bad_element_hurts_no_other() {
        let body = r#"[{"id":"a","input":1},{"input":2},7,{"id":"b"},{"id":null,"input":3},{"id":"c","input":null}]"#;
        assert_eq!(ids(body), ["a", "b", "c"]);
    }

    #[test]
    fn a_batch_element_without_input_has_null() {
        let body = Bytes::from_static(br#"[{"id":"b"}]"#);
        assert_eq!(jobs(&body)[0].input().as_bytes(), b"null");
    }

    #[test]
    fn a_single_job_may_have_an_input_of_null_and_needs_an_id() {
        assert_eq!(ids(r#"  {"id":"a","input":null}"#), ["a"]);
        assert!(ids(r#"{"input":1}"#).is_empty());
    }

    #[test]
    fn a_single_job_without_input_is_kept_to_be_answered() {
        let job = &jobs(&Bytes::from_static(br#"{"id":"a"}"#))[0];
        let refusal = job.refusal().unwrap();
        assert_eq!(
            (job.id().as_str(), refusal.code().as_str()),
            ("a", "INVALID_INPUT")
        );
        assert_eq!(refusal.message(), "the job has no `input`");
        let complete = &jobs(&Bytes::from_static(br#"{"id":"a","input":null}"#))[0];
        assert!(complete.refusal().is_none());
    }

    #[test]
    fn other_json_and_garbage_are_no_job() {
        for body in [
            "",
            "null",
            "\"job\"",
            "<html>",
            "[",
            "{\"id\":\"a\",\"input\":",
            "17",
        ] {
            assert!(ids(body).is_empty(), "{body}");
        }
    }

    #[test]
    fn the_input_is_a_slice_of_the_answer() {
        let body = Bytes::from_static(br#"[{"id":"a","input":{"x": 1.50}}]"#);
        let job = &jobs(&body)[0];
        let range = body.as_ptr_range();
        assert_eq!(job.input().as_bytes(), br#"{"x": 1.50}"#);
        assert!(range.contains(&job.input().as_bytes().as_ptr()));
    }

    #[test]
    fn ten_thousand_levels_of_nesting_arrive() {
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        let body = format!(r#"{{"id":"a","input":{deep}}}"#);
        assert_eq!(jobs(&Bytes::from(body))[0].input().len(), 20_000);
    }

    #[test]
    fn only_texts_name_jobs_to_stop() {
        let ids = jobs_to_stop(br#"{"jobsToStop":["a",7,null,"b"]}"#);
        assert_eq!(ids, [JobId::from("a"), JobId::from("b")]);
        assert!(jobs_to_stop(b"[]").is_empty());
        assert!(jobs_to_stop(br#"{"jobsToStop":"a"}"#).is_empty());
        assert!(jobs_to_stop(b"nonsense").is_empty());
    }
}
