//! Requests that get an error instead of an answer.

use axum::response::Response;
use http::{HeaderValue, StatusCode, header};
use runpod_protocol::key;

use super::body::BodyError;
use crate::json::JsonWriter;

/// What a request gets.
pub(crate) type Answer = Result<Response, Refused>;

/// The refusals that some routes word differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RefusalKind {
    UnknownJob,
    JobRequest,
    Other,
}

/// Why a request is refused, in the platform's form: a status and `{"error": "…"}`.
#[derive(Debug)]
pub(crate) struct Refused {
    status: StatusCode,
    text: String,
    kind: RefusalKind,
    /// The methods that would do.
    allow: Option<&'static str>,
}

impl Refused {
    pub(crate) fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self {
            status,
            text: text.into(),
            kind: RefusalKind::Other,
            allow: None,
        }
    }

    pub(crate) fn bad_request(text: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, text)
    }

    pub(crate) fn not_found(text: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, text)
    }

    pub(crate) fn too_many(reason: &str) -> Self {
        Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            format!("too many requests: {reason}"),
        )
    }

    pub(crate) fn unknown_job() -> Self {
        Self {
            kind: RefusalKind::UnknownJob,
            ..Self::not_found("job not found: it never existed, has expired or is past its retention")
        }
    }

    /// A webhook that leads to a platform: its job would have the same webhook, and so on for ever.
    pub(crate) fn webhook() -> Self {
        let text =
            "forbidden: this is a webhook of a local platform; what it does here would send the next one";
        Self::new(StatusCode::FORBIDDEN, text)
    }

    /// A body that is no job request.
    pub(crate) fn job_request(text: impl Into<String>) -> Self {
        Self {
            kind: RefusalKind::JobRequest,
            ..Self::bad_request(text)
        }
    }

    pub(crate) fn kind(&self) -> RefusalKind {
        self.kind
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn method(path: &str, allowed: &'static str) -> Self {
        let text = format!("method not allowed: {path} takes {allowed}");
        Self {
            allow: Some(allowed),
            ..Self::new(StatusCode::METHOD_NOT_ALLOWED, text)
        }
    }

    /// In the gateway's words for a body over its limit.
    pub(crate) fn too_large(limit: usize) -> Self {
        const MIB: usize = 1024 * 1024;
        let limit = if limit.is_multiple_of(MIB) {
            format!("{}MiB", limit / MIB)
        } else {
            format!("{limit} bytes")
        };
        Self::bad_request(format!("bad request: body: exceeded max body size of {limit}"))
    }

    pub(crate) fn body(problem: BodyError, limit: usize) -> Self {
        match problem {
            BodyError::TooLarge => Self::too_large(limit),
            BodyError::Broken => Self::bad_request("bad request: body: cut off"),
        }
    }
}

impl From<Refused> for Response {
    fn from(refused: Refused) -> Self {
        let mut json = JsonWriter::default();
        json.text("{").key(key::ERROR).string(&refused.text).text("}");
        let mut response = json.into_response(refused.status);
        if let Some(allowed) = refused.allow {
            response
                .headers_mut()
                .insert(header::ALLOW, HeaderValue::from_static(allowed));
        }
        response
    }
}
