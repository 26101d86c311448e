//! Makes a job of the body of a request.

use bytes::Bytes;
use http::StatusCode;
use uuid::Uuid;

use super::refused::Refused;
use crate::job::{InputProblem, Job, JobError, MalformedJob};
use crate::json::{RawJson, entries, kind};

/// A job whose input is the whole body.
pub(super) fn bare(body: Bytes) -> Result<Job, Refused> {
    Ok(Job::new(&new_id(), parse(body)?))
}

/// A job of an object with `input`, as RunPod's endpoint API takes it. Its other keys stay; without an
/// `id` it gets one.
pub(super) fn wrapped(body: Bytes) -> Result<Job, Refused> {
    let body = parse(body)?;
    let is = kind(body.as_bytes());
    if is != "object" {
        return Err(problem("", &format!("expected object, found {is}")));
    }
    let (mut id, mut input) = (None, false);
    let _ = entries(body.as_bytes(), |key, value| match key {
        "id" => id = Some(kind(value.as_bytes())),
        "input" => input = true,
        _ => {}
    });
    if !input {
        return Err(problem("input", "required, and missing"));
    }
    let whole = match id {
        Some("string") => body.into_bytes(),
        None | Some("null") => with_id(body.as_bytes()),
        Some(other) => return Err(problem("id", &format!("expected string, found {other}"))),
    };
    Job::read(whole, false).map_err(|error: MalformedJob| problem("", &error.to_string()))
}

fn parse(body: Bytes) -> Result<RawJson, Refused> {
    RawJson::parse(body).map_err(|error| {
        let error = JobError::invalid_inputs(vec![InputProblem::new("", error.to_string())]);
        Refused::invalid(StatusCode::BAD_REQUEST, error)
    })
}

fn problem(path: &str, problem: &str) -> Refused {
    let error = JobError::invalid_inputs(vec![InputProblem::new(path, problem.to_owned())]);
    Refused::invalid(StatusCode::UNPROCESSABLE_ENTITY, error)
}

/// Adds a new id to the object. It comes last, because the last of two equal keys wins.
fn with_id(object: &[u8]) -> Bytes {
    let object = object.trim_ascii_end();
    let id = format!(",\"id\":\"{}\"}}", new_id());
    [&object[..object.len() - 1], id.as_bytes()].concat().into()
}

fn new_id() -> String {
    format!("http-{}", Uuid::new_v4())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_beside_the_input_stay_and_an_id_is_made_up_where_there_is_none() {
        let text = br#"{"input": {"n": 1.0}, "policy": {"executionTimeout": 5000}} "#;
        let job = wrapped(Bytes::from_static(text)).unwrap();
        assert_eq!(job.input().as_bytes(), br#"{"n": 1.0}"#);
        assert_eq!(job.execution_timeout().unwrap().as_secs(), 5);
        assert!(job.id().as_str().starts_with("http-"));
        let named = wrapped(Bytes::from_static(br#"{"id": "mine", "input": null}"#)).unwrap();
        assert_eq!(named.id().as_str(), "mine");
        let null = wrapped(Bytes::from_static(br#"{"id": null, "input": 1}"#)).unwrap();
        assert!(null.id().as_str().starts_with("http-"));
    }
}
