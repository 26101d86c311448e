//! The answers of the Python worker's development server, on the routes that only it has: those
//! without an endpoint in them (`docs/protocol/worker-protocol.md` §13).
//!
//! Jobs behave as on the platform there, too. What differs is how a mistake is answered, because
//! scripts written for that server look at it.

use axum::response::Response;
use http::StatusCode;

use super::Answer;
use super::body::Json;
use super::refused::{Refused, Why};
use super::target::Operation;

/// The answer to a request on one of these routes.
pub(super) fn answer(operation: Operation<'_>, answer: Answer) -> Answer {
    let refused = match answer {
        Err(refused) => refused,
        answered => return answered,
    };
    match (refused.why(), operation) {
        (Why::JobRequest, _) => Ok(not_a_job(&refused)),
        (Why::UnknownJob, Operation::Status(job) | Operation::Stream(job)) => Ok(unknown_job(job)),
        _ => Err(refused),
    }
}

/// 422 with a list under `detail`; the platform's own words are there as well.
fn not_a_job(refused: &Refused) -> Response {
    let mut json = Json::default();
    json.text("{").key("detail").text("[{");
    json.key("loc").text(r#"["body","input"]"#);
    json.key("msg").string(refused.text());
    json.key("type").string("value_error").text("}]");
    json.key("error").string(refused.text()).text("}");
    json.into_response(StatusCode::UNPROCESSABLE_ENTITY)
}

fn unknown_job(job: &str) -> Response {
    let mut json = Json::default();
    json.text("{").key("id").string(job);
    json.key("status").string("FAILED");
    json.key("error").string("Job ID not found").text("}");
    json.into_ok()
}
