//! The answers of the Python worker's development server, on the routes that only it has: those without an endpoint in
//! them (`docs/protocol/worker-protocol.md` §13).
//!
//! Jobs behave as on the platform. Only the answers to mistakes differ, because scripts written for that server read
//! them.

use axum::response::Response;
use http::StatusCode;
use runpod_protocol::{JobStatus, key};

use super::refused::{Answer, RefusalKind, Refused};
use super::target::Operation;
use crate::json::JsonWriter;

/// The answer to a request on one of these routes.
pub(super) fn answer(operation: Operation<'_>, answer: Answer) -> Answer {
    let refused = match answer {
        Err(refused) => refused,
        answered => return answered,
    };
    match (refused.kind(), operation) {
        (RefusalKind::JobRequest, _) => Ok(not_a_job(&refused)),
        (RefusalKind::UnknownJob, Operation::Status(job) | Operation::Stream(job)) => Ok(unknown_job(job)),
        _ => Err(refused),
    }
}

/// 422 with a list under `detail`; the platform's own words are there as well.
fn not_a_job(refused: &Refused) -> Response {
    let mut json = JsonWriter::default();
    json.text("{").key("detail").text("[{");
    json.key("loc").text(r#"["body","input"]"#);
    json.key("msg").string(refused.text());
    json.key("type").string("value_error").text("}]");
    json.key(key::ERROR).string(refused.text()).text("}");
    json.into_response(StatusCode::UNPROCESSABLE_ENTITY)
}

fn unknown_job(job: &str) -> Response {
    let mut json = JsonWriter::default();
    json.text("{").key(key::ID).string(job);
    json.key(key::STATUS).string(JobStatus::Failed.as_str());
    json.key(key::ERROR).string("Job ID not found").text("}");
    json.into_ok()
}
