//! Reads an answer once, into one buffer, and checks it while it arrives.

use std::time::Duration;

use bytes::Bytes;
use reqwest::Response;
use reqwest::header::CONTENT_TYPE;
use runpod_sdk::json::{RawJson, Validator};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::error::WebUiError;
use super::problem;

/// The largest buffer that is reserved by `Content-Length` alone. A longer answer makes the buffer grow.
const LARGEST_RESERVATION: u64 = 64 << 20;
/// The longest list or error that is read.
pub(super) const SMALL_BODY: usize = 32 << 20;

/// What an answer without a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EmptyBody {
    /// `null`: SD.Next answers 204 where A1111 answers 200 with `null` (§12).
    Null,
    /// No usable answer.
    Refused,
}

/// Reads any JSON answer, byte for byte. It counts as lost when no byte arrives for `idle`.
pub(super) async fn read(
    mut response: Response,
    idle: Duration,
    empty: EmptyBody,
) -> Result<RawJson, WebUiError> {
    let announced = response
        .content_length()
        .unwrap_or_default()
        .min(LARGEST_RESERVATION);
    let mut text = Vec::with_capacity(usize::try_from(announced).unwrap_or_default());
    let mut validator = Validator::new();
    while let Some(piece) = next_piece(&mut response, idle).await? {
        text.extend_from_slice(&piece);
        validator
            .feed(&piece)
            .map_err(|error| bad_answer(&response, &text, &error))?;
    }
    if text.is_empty() && empty == EmptyBody::Null {
        return Ok(RawJson::from(serde_json::Value::Null));
    }
    let start = Bytes::copy_from_slice(&text[..text.len().min(problem::LONGEST_TEXT)]);
    RawJson::checked(text, validator).map_err(|error| bad_answer(&response, &start, &error))
}

/// Reads and decodes a small answer. Its request has a limit for the whole exchange.
pub(super) async fn read_small<T: DeserializeOwned>(response: Response) -> Result<T, WebUiError> {
    let described = describe(&response);
    let (body, broken) = read_start(response, SMALL_BODY, Duration::ZERO).await;
    if let Some(error) = broken {
        return Err(error);
    }
    serde_json::from_slice(&body).map_err(|error| WebUiError::BadAnswer {
        why: format!("{described}: {error}"),
        excerpt: problem::excerpt(&body),
    })
}

/// Reads as much of the body as arrives, at most `limit` bytes, and returns the error that ended it early.
pub(super) async fn read_start(
    mut response: Response,
    limit: usize,
    idle: Duration,
) -> (Vec<u8>, Option<WebUiError>) {
    let mut body = Vec::new();
    loop {
        match next_piece(&mut response, idle).await {
            Ok(Some(piece)) => {
                body.extend_from_slice(&piece);
                if body.len() >= limit {
                    body.truncate(limit);
                    return (body, None);
                }
            }
            Ok(None) => return (body, None),
            Err(error) => return (body, Some(error)),
        }
    }
}

/// Reads the next piece of the body; `None` at its end. A connection without a byte for `idle` counts as broken; zero
/// sets no limit.
async fn next_piece(response: &mut Response, idle: Duration) -> Result<Option<Bytes>, WebUiError> {
    let next = response.chunk();
    let next = if idle.is_zero() {
        next.await
    } else {
        timeout(idle, next).await.map_err(|_| WebUiError::Lost {
            reason: format!("the answer has begun, and nothing more of it came for {idle:?}"),
        })?
    };
    next.map_err(|error| WebUiError::from_transport(&error))
}

fn bad_answer(response: &Response, text: &[u8], error: &dyn std::fmt::Display) -> WebUiError {
    WebUiError::BadAnswer {
        why: format!("{}: {error}", describe(response)),
        excerpt: problem::excerpt(text),
    }
}

/// `200 with text/html`.
fn describe(response: &Response) -> String {
    let kind = response
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .unwrap_or("no content type");
    format!("{} with {kind}", response.status().as_u16())
}
