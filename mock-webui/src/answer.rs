//! An answer of the imitated server, and the error shapes it uses.
//!
//! Two layers of the real program answer errors in two shapes: the application with four keys, the web
//! framework with `detail` alone (`docs/protocol/webui-api.md` §10). Its relatives have shapes of their own (§12).

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use crate::json;
use crate::profile::{Family, Profile};

/// Status, body and headers of one answer, before the gate adds what every answer carries.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) content_type: Option<&'static str>,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Bytes,
    /// `x-process-time` is added by a middleware that an unexpected exception skips (§1).
    pub(crate) timed: bool,
    /// The connection ends after this answer, without a word of it in the headers.
    pub(crate) closes_connection: bool,
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
            closes_connection: false,
        }
    }

    /// Success without a body.
    pub(crate) fn no_content() -> Self {
        Self::raw(StatusCode::NO_CONTENT, None, "")
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
    pub(crate) fn html(page: impl Into<Bytes>) -> Self {
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
    /// An exception that no handler caught: its class and its text, always status 500.
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

    /// What a server writes into its log of an exception that no handler caught. Forge leaves that to uvicorn, which
    /// writes after the answer, because its own error middleware is switched off.
    pub(crate) fn log_entry(&self, profile: Profile) -> Option<String> {
        let Self::Unexpected { class, text } = self else {
            return None;
        };
        let traceback = |indent: &str| {
            let file = format!("{}/modules/api/api.py", profile.root());
            [
                "Traceback (most recent call last):".to_owned(),
                format!("  File \"{file}\", line 1, in text2imgapi"),
                "    processed = process_images(p)".to_owned(),
                format!("{class}: {text}"),
            ]
            .map(|line| format!("{indent}{line}\n"))
            .concat()
        };
        Some(match profile.family() {
            Family::Forge => format!("ERROR:    Exception in ASGI application\n{}", traceback("")),
            _ => format!("*** API error: {class}\n{}---\n", traceback("    ")),
        })
    }

    /// The answer in the shapes of a server.
    pub(crate) fn into_answer(self, profile: Profile) -> Answer {
        match self {
            Self::Ready(answer) => *answer,
            Self::Invalid(problems) => Answer::detail(StatusCode::UNPROCESSABLE_ENTITY, problems),
            Self::Deliberate(status, text) => deliberate(status, &text, profile),
            Self::Unexpected { class, text } => unexpected(&class, &text, profile),
        }
    }

    /// Problems of a body that may be any object: the newer validation words them for a plain dictionary.
    pub(crate) fn of_any_object(self) -> Self {
        let Self::Invalid(mut problems) = self else {
            return self;
        };
        for problem in &mut problems {
            if problem["type"] == "model_attributes_type" {
                problem["type"] = json!("dict_type");
                problem["msg"] = json!("Input should be a valid dictionary");
                if let Some(Value::String(url)) = problem.get_mut("url") {
                    *url = url.replace("model_attributes_type", "dict_type");
                }
            }
        }
        Self::Invalid(problems)
    }
}

fn deliberate(status: StatusCode, text: &str, profile: Profile) -> Answer {
    let body = match profile.family() {
        Family::A1111 => json!({ "error": "HTTPException", "detail": text, "body": "", "errors": "" }),
        Family::SdNext => json!({
            "error": "HTTPException", "code": status.as_u16(), "detail": text, "body": "",
            "errors": format!("{}: {text}", status.as_u16()),
        }),
        // Its error middleware is switched off.
        Family::Forge => json!({ "detail": text }),
    };
    let answer = Answer::with_status(status, &body);
    if status == StatusCode::UNAUTHORIZED && profile.family() != Family::A1111 {
        return answer.header("www-authenticate", "Basic");
    }
    answer
}

fn unexpected(class: &str, text: &str, profile: Profile) -> Answer {
    let status = StatusCode::INTERNAL_SERVER_ERROR;
    let answer = match profile {
        Profile::Forge2024 => Answer::text(status, "Internal Server Error"),
        Profile::Forge => Answer::with_status(
            status,
            &json!({ "error": class, "detail": "", "body": "", "message": text }),
        ),
        Profile::SdNext => Answer::with_status(
            status,
            &json!({ "error": class, "code": 500, "detail": "", "body": "", "errors": text }),
        ),
        _ => Answer::with_status(
            status,
            &json!({ "error": class, "detail": "", "body": "", "errors": text }),
        ),
    };
    Answer {
        // uvicorn closes the connection of an exception that reached it, and does not say so.
        closes_connection: profile.family() == Family::Forge,
        ..answer.untimed()
    }
}

/// One entry of the framework's list of problems.
pub(crate) fn problem(location: &[Value], message: &str, kind: &str) -> Value {
    json!({ "loc": location, "msg": message, "type": kind })
}
