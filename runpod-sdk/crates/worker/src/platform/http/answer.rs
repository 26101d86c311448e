//! Reads the platform's answers.

use std::sync::Once;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::Response;
use runpod_protocol::header;
use runpod_protocol::http::{causes, retry_after};
use serde::de::IgnoredAny;
use tracing::warn;

use crate::platform::PlatformError;

/// The most characters of an answer's body in an error message.
const EXCERPT: usize = 300;

/// The JSON of a 200, whatever its label says. A body that is something else counts as empty and is reported, once.
pub(super) async fn json_body(
    operation: &'static str,
    limit: Duration,
    response: Response,
    reported: &Once,
) -> Result<Bytes, PlatformError> {
    if let Some(encoding) = encoding(response.headers()) {
        return Err(PlatformError::Garbled {
            operation,
            reason: format!(
                "the answer has the content-encoding {encoding:?}, and this worker asks for none"
            ),
            body: String::new(),
        });
    }
    let labelled = is_json(response.headers());
    let media_type = response.headers().get(CONTENT_TYPE).cloned();
    let body = read_body(operation, limit, response).await?;
    if labelled || body.trim_ascii().is_empty() {
        return Ok(body);
    }
    let is_json = serde_json::from_slice::<IgnoredAny>(&body).is_ok();
    reported.call_once(|| {
        let bytes = body.len();
        let what = if is_json {
            "read all the same"
        } else {
            "not JSON, and ignored"
        };
        warn!(
            operation,
            ?media_type,
            bytes,
            "the platform's answer is not labelled application/json; it is {what}"
        );
    });
    Ok(if is_json { body } else { Bytes::new() })
}

/// Reads a body into one buffer of its declared length.
async fn read_body(
    operation: &'static str,
    limit: Duration,
    mut response: Response,
) -> Result<Bytes, PlatformError> {
    let reading = async {
        let announced = response
            .content_length()
            .and_then(|length| usize::try_from(length).ok())
            .unwrap_or(0);
        // Not trusted beyond 32 MiB: an absurd length must not reserve memory that never fills.
        let mut body = BytesMut::with_capacity(announced.min(32 << 20));
        while let Some(piece) = response.chunk().await? {
            body.extend_from_slice(&piece);
        }
        Ok(body.freeze())
    };
    match tokio::time::timeout(limit, reading).await {
        Ok(body) => body.map_err(|error: reqwest::Error| broken(operation, limit, &error)),
        Err(_) => Err(PlatformError::TimedOut { operation, limit }),
    }
}

pub(super) async fn accept(operation: &'static str, response: Response) -> Result<Response, PlatformError> {
    // Redirects have been followed. One that could not be has brought nothing anywhere.
    if response.status().is_success() {
        Ok(response)
    } else {
        Err(refusal(operation, response).await)
    }
}

pub(super) async fn refusal(operation: &'static str, mut response: Response) -> PlatformError {
    let status = response.status().as_u16();
    let retry_after = retry_after(response.headers());
    let mut body = Vec::new();
    let reading = async {
        while body.len() < EXCERPT
            && let Ok(Some(piece)) = response.chunk().await
        {
            body.extend_from_slice(&piece[..piece.len().min(EXCERPT - body.len())]);
        }
    };
    let _ = tokio::time::timeout(Duration::from_secs(5), reading).await;
    let body = String::from_utf8_lossy(&body).replace(['\n', '\r'], " ");
    PlatformError::Refused {
        operation,
        status,
        retry_after,
        body,
    }
}

pub(super) fn broken(operation: &'static str, limit: Duration, error: &reqwest::Error) -> PlatformError {
    if error.is_timeout() && !error.is_connect() {
        PlatformError::TimedOut { operation, limit }
    } else {
        PlatformError::Network {
            operation,
            reason: causes(error),
        }
    }
}

/// Whether the platform has no such operation.
pub(super) fn lacks_operation(response: &Response) -> bool {
    matches!(response.status().as_u16(), 404 | 405 | 501)
}

/// The encoding of a body that is not sent as it is.
fn encoding(headers: &HeaderMap) -> Option<&HeaderValue> {
    headers
        .get(CONTENT_ENCODING)
        .filter(|encoding| !encoding.is_empty() && *encoding != "identity")
}

fn is_json(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| {
            value
                .split(';')
                .next()
                .unwrap_or_default()
                .trim()
                .eq_ignore_ascii_case(header::JSON)
        })
}
