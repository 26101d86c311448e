//! What the platform saw of one endpoint.

use runpod_sdk::local::{LocalPlatform, RecordedCall};

use super::normal::Normal;

/// The calls of one endpoint, in the order of their answers.
pub(super) fn calls(platform: &LocalPlatform, endpoint: &str) -> Vec<RecordedCall> {
    let prefix = format!("/v2/{endpoint}/");
    let mut calls = platform.recorded_calls();
    calls.retain(|call| call.path_and_query.starts_with(&prefix));
    calls
}

/// The part of the path that says what is asked for.
pub(super) fn operation(call: &RecordedCall) -> &str {
    let path = call.path_and_query.split('?').next().unwrap_or_default();
    path.split('/').nth(3).unwrap_or_default()
}

/// Whether a worker makes such calls.
pub(super) fn is_workers(call: &RecordedCall) -> bool {
    matches!(
        operation(call),
        "job-take" | "job-take-batch" | "job-stop" | "job-done" | "job-stream" | "ping"
    )
}

/// `METHOD path?query body` without what differs from run to run.
pub(super) fn line(call: &RecordedCall, endpoint: &str, normal: &Normal) -> String {
    let path = call
        .path_and_query
        .strip_prefix(&format!("/v2/{endpoint}"))
        .unwrap_or(&call.path_and_query);
    let line = format!(
        "{} {} {}",
        call.method,
        normal.plain(path),
        normal.body(&call.body)
    );
    line.trim_end().to_owned()
}
