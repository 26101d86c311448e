//! What the platform saw of one endpoint.

use runpod_sdk::local::{LocalPlatform, RecordedCall};

use crate::normal::Normal;

/// The calls of one endpoint, in the order of their answers.
pub(crate) fn calls(platform: &LocalPlatform, endpoint: &str) -> Vec<RecordedCall> {
    let prefix = format!("/v2/{endpoint}/");
    let mut calls = platform.recorded_calls();
    calls.retain(|call| call.path_and_query.starts_with(&prefix));
    calls
}

/// The part of the path that says what is asked for.
pub(crate) fn operation(call: &RecordedCall) -> &str {
    let path = call.path_and_query.split('?').next().unwrap_or_default();
    path.split('/').nth(3).unwrap_or_default()
}

/// Whether a worker makes such calls.
pub(crate) fn is_workers(call: &RecordedCall) -> bool {
    matches!(
        operation(call),
        "job-take" | "job-take-batch" | "job-stop" | "job-done" | "job-stream" | "ping"
    )
}

/// Whether a worker asks for jobs.
pub(crate) fn is_take(call: &RecordedCall) -> bool {
    matches!(operation(call), "job-take" | "job-take-batch")
}

/// `METHOD path?query` without what differs from run to run.
pub(crate) fn head(call: &RecordedCall, endpoint: &str, normal: &Normal) -> String {
    let path = call
        .path_and_query
        .strip_prefix(&format!("/v2/{endpoint}"))
        .unwrap_or(&call.path_and_query);
    format!("{} {}", call.method, normal.plain(path))
}

/// `METHOD path?query body`, likewise.
pub(crate) fn line(call: &RecordedCall, endpoint: &str, normal: &Normal) -> String {
    let head = head(call, endpoint, normal);
    let body = normal.body(&call.body);
    format!("{head} {body}").trim_end().to_owned()
}

pub(crate) fn header(call: &RecordedCall, name: &str) -> Option<String> {
    let value = call.headers.get(name)?;
    Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
}
