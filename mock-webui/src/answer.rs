//! An answer of the imitated server, and the error shapes it uses.
//!
//! Two layers of the real program answer errors in two shapes: the application with four keys, the web
//! framework with `detail` alone (`docs/protocol/webui-api.md` §10). Its relatives have shapes of their own (§12).

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use crate::json;
use crate::profile::Profile;

/// Status, body and headers of one answer, before the gate adds what every answer carries.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) content_type: Option<&'static str>,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Bytes,
    /// `x-process-time` is added by a middleware that an unexpected exception skips (§1).
    pub(crate) timed: bool,
}

impl Answer {
    pub(crate) fn json(value: &Value) -> Self {
        Self::with_status(StatusCode::OK, value)
    }

    pub(crate) fn with_status(status: StatusCode, value: &Value) -> Self {
        Self::raw(status, Some("application/json"), json::compact(value))
    }

    pub(crate) fn raw(
        status: StatusCode,
        content_type: Option<&'static str>,
        body: impl Into<Bytes>,
    ) -> Self {
        Self {
            status,
            content_type,
            headers: Vec::new(),
            body: body.into(),
            timed: true,
        }
    }

    /// `null`, the answer of most routes that only do something.
    pub(crate) fn null() -> Self {
        Self::json(&Value::Null)
    }

    /// An error of the web framework: `{"detail": …}`.
    pub(crate) fn detail(status: StatusCode, detail: impl Into<Value>) -> Self {
        Self::with_status(status, &json!({ "detail": detail.into() }))
    }

    /// A page for browsers.
    pub(crate) fn html(page: &'static str) -> Self {
        Self::raw(StatusCode::OK, Some("text/html; charset=utf-8"), page)
    }

    /// A plain text.
    pub(crate) fn text(status: StatusCode, text: impl Into<Bytes>) -> Self {
        Self::raw(status, Some("text/plain; charset=utf-8"), text)
    }

    /// Without `x-process-time`.
    pub(crate) fn untimed(mut self) -> Self {
        self.timed = false;
        self
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// Why a request is refused or fails.
///
/// Kept apart from [`Answer`] because the shape on the wire depends on the imitated version.
#[derive(Debug, Clone)]
pub(crate) enum Failure {
    /// The application refused on purpose: `HTTPException` with a text.
    Deliberate(StatusCode, String),
    /// An exception nobody caught: its class and its text, always status 500.
    Unexpected { class: String, text: String },
    /// The framework's validation refused the body: status 422 and a list of problems.
    Invalid(Vec<Value>),
    /// Any other answer, ready made.
    Ready(Box<Answer>),
}

impl Failure {
    pub(crate) fn deliberate(status: StatusCode, text: impl Into<String>) -> Self {
        Self::Deliberate(status, text.into())
    }

    pub(crate) fn unexpected(class: impl Into<String>, text: impl Into<String>) -> Self {
        Self::Unexpected {
            class: class.into(),
            text: text.into(),
        }
    }

    /// The answer in the shapes of a version.
    pub(crate) fn into_answer(self, profile: Profile) -> Answer {
        match (self, profile) {
            (Self::Ready(answer), _) => *answer,
            (Self::Invalid(problems), _) => Answer::detail(StatusCode::UNPROCESSABLE_ENTITY, problems),
            // Its error middleware is switched off.
            (Self::Deliberate(status, text), Profile::Forge) => Answer::detail(status, text),
            (Self::Deliberate(status, text), _) => {
                let body = json!({ "error": "HTTPException", "detail": text, "body": "", "errors": "" });
                Answer::with_status(status, &keyed(body, status, profile))
            }
            (Self::Unexpected { .. }, Profile::Forge) => {
                let mut answer = Answer::raw(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    Some("text/plain; charset=utf-8"),
                    "Internal Server Error",
                );
                answer.timed = false;
                answer
            }
            (Self::Unexpected { class, text }, _) => {
                let status = StatusCode::INTERNAL_SERVER_ERROR;
                let body = if profile == Profile::SdNext && class == "TypeError" {
                    Value::from(text)
                } else {
                    let body = json!({ "error": class, "detail": "", "body": "", "errors": text });
                    keyed(body, status, profile)
                };
                let mut answer = Answer::with_status(status, &body);
                answer.timed = false;
                answer
            }
        }
    }
}

/// With the fifth key, where there is one. Its place among the others is not known.
fn keyed(mut body: Value, status: StatusCode, profile: Profile) -> Value {
    if profile == Profile::SdNext {
        body["code"] = Value::from(status.as_u16());
    }
    body
}

/// One entry of the framework's list of problems.
pub(crate) fn problem(location: &[Value], message: &str, kind: &str) -> Value {
    json!({ "loc": location, "msg": message, "type": kind })
}
