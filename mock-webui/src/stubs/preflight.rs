//! What a browser's preflight is answered (docs/protocol/webui-api.md §1).
//!
//! Without `--cors-allow-origins` no origin is allowed, but every method and header is [src]. Only the header
//! of a plain request with an `Origin` was recorded; this answer was not.

use http::{HeaderMap, Method, StatusCode, header};
use wiremock::Request;

use crate::answer::Answer;

const METHODS: &str = "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT";

/// The answer, if the request is a preflight. It comes before any route, so the path does not matter.
pub(super) fn answer(request: &Request) -> Option<Answer> {
    let headers = &request.headers;
    if request.method != Method::OPTIONS || !headers.contains_key(header::ORIGIN) {
        return None;
    }
    let method = text(headers, "access-control-request-method")?;
    let refusal = if METHODS.split(", ").any(|known| known == method) {
        "Disallowed CORS origin"
    } else {
        "Disallowed CORS origin, method"
    };
    let answer = Answer::raw(
        StatusCode::BAD_REQUEST,
        Some("text/plain; charset=utf-8"),
        refusal,
    )
    .header("vary", "Origin")
    .header("access-control-allow-methods", METHODS)
    .header("access-control-max-age", "600");
    Some(match text(headers, "access-control-request-headers") {
        Some(asked) => answer.header("access-control-allow-headers", asked),
        None => answer,
    })
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
