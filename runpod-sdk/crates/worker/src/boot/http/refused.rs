//! The HTTP answers of requests that do not become jobs, and of jobs that fail.

use axum::body::Body;
use axum::response::Response;
use http::{HeaderValue, StatusCode, header};
use runpod_protocol::callers::ForeignRequest;
use serde_json::Value;

use super::json_response::json_response;
use super::request_queue::Rejection;
use crate::job::{ErrorClass, ErrorCode, JobError, WorkerIdentity};

const RETRY_SOON: HeaderValue = HeaderValue::from_static("1");

/// An error in the place of an output, with its HTTP status.
#[derive(Debug)]
pub(super) struct Refused {
    status: StatusCode,
    error: JobError,
    allow: Option<&'static str>,
    /// Whether the connection is closed, because the rest of the request is not read.
    close: bool,
}

impl Refused {
    pub(super) fn new(
        status: StatusCode,
        code: ErrorCode,
        class: ErrorClass,
        message: impl Into<String>,
    ) -> Self {
        let error = JobError::new(code, class, message).retryable(matches!(
            status,
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::REQUEST_TIMEOUT
        ));
        Self {
            status,
            error,
            allow: None,
            close: false,
        }
    }

    /// A body that is not a request.
    pub(super) fn invalid(status: StatusCode, error: JobError) -> Self {
        Self {
            status,
            error,
            allow: None,
            close: false,
        }
    }

    /// A request that no program of this machine has sent.
    pub(super) fn foreign(why: &ForeignRequest) -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            ErrorCode::FORBIDDEN,
            ErrorClass::User,
            why.to_string(),
        )
    }

    pub(super) fn not_found(path: &str, known: &str) -> Self {
        let message = format!(
            "there is nothing at {}; requests go to {known}",
            crate::json::excerpt(path)
        );
        Self::new(
            StatusCode::NOT_FOUND,
            ErrorCode::NOT_FOUND,
            ErrorClass::User,
            message,
        )
    }

    pub(super) fn method(allow: &'static str) -> Self {
        let message = format!("this path takes {allow} only");
        let mut refused = Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            ErrorCode::METHOD_NOT_ALLOWED,
            ErrorClass::User,
            message,
        );
        refused.allow = Some(allow);
        refused
    }

    pub(super) fn no_room(why: Rejection) -> Self {
        let (code, message) = match why {
            Rejection::Starting => (ErrorCode::WORKER_STARTING, "this worker is still starting"),
            Rejection::Full => (
                ErrorCode::WORKER_BUSY,
                "this worker is busy, and enough requests wait already",
            ),
            Rejection::Closing => (ErrorCode::WORKER_STOPPED, "this worker is stopping"),
            Rejection::Duplicate => {
                let message = "a request with this id is being worked on; ids name one request each";
                return Self::new(
                    StatusCode::CONFLICT,
                    ErrorCode::INVALID_INPUT,
                    ErrorClass::User,
                    message,
                );
            }
        };
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            code,
            ErrorClass::Platform,
            message,
        )
    }

    /// The worker ended before the job did.
    pub(super) fn gone() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            ErrorCode::WORKER_STOPPED,
            ErrorClass::Platform,
            "the worker was stopped before the job was done",
        )
    }

    pub(super) fn closing_the_connection(mut self) -> Self {
        self.close = true;
        self
    }

    pub(super) fn into_response(self, identity: &WorkerIdentity) -> Response {
        let wire = self.error.to_wire(identity);
        let mut response = respond(self.status, &wire, self.error.message());
        let headers = response.headers_mut();
        if let Some(allow) = self.allow {
            headers.insert(header::ALLOW, HeaderValue::from_static(allow));
        }
        if self.close {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// The answer to a request whose job has failed. `wire` is the error in its form of §7.
pub(super) fn failed(wire: &str) -> Response {
    let error: Value = serde_json::from_str(wire).unwrap_or_default();
    respond(
        status_of(&error),
        wire,
        error["error_message"].as_str().unwrap_or(wire),
    )
}

/// The status for an error class.
fn status_of(error: &Value) -> StatusCode {
    match (error["code"].as_str(), error["class"].as_str()) {
        (Some("TIMEOUT"), _) => StatusCode::GATEWAY_TIMEOUT,
        (_, Some("user")) => StatusCode::UNPROCESSABLE_ENTITY,
        (_, Some("backend")) => StatusCode::BAD_GATEWAY,
        (_, Some("platform")) => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// `{"error": {…}, "detail": "…"}`: the error as an object, and its message where RunPod's own server has it.
fn respond(status: StatusCode, wire: &str, message: &str) -> Response {
    let detail = Value::from(message);
    let mut response = json_response(
        status,
        Body::from(format!("{{\"error\": {wire}, \"detail\": {detail}}}")),
    );
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, RETRY_SOON);
    }
    response
}
