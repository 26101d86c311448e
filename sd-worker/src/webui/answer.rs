//! Reading an answer: once, into one buffer, and checked while it arrives.

use std::time::Duration;

use bytes::Bytes;
use reqwest::Response;
use reqwest::header::CONTENT_TYPE;
use runpod_sdk::json::{RawJson, Validator};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::error::WebUiError;
use super::{SMALL_BODY, problem};

/// A Content-Length is believed up to here; past it the buffer grows with what really comes.
const LARGEST_RESERVATION: u64 = 64 << 20;

/// The answer to a render, byte for byte. Its shape is not looked at. It is lost when nothing of it comes for `idle`.
pub(super) async fn read(mut response: Response, idle: Duration) -> Result<RawJson, WebUiError> {
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
    let start = Bytes::copy_from_slice(&text[..text.len().min(problem::LONGEST_TEXT)]);
    RawJson::checked(text, validator).map_err(|error| bad_answer(&response, &start, &error))
}

/// A list or another small object, decoded. Its request has a limit for all of it.
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

/// As much of the body as arrives, at most `limit` bytes, and what broke it off.
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

/// What comes next of the body; `None` at its end. A connection that stays open without a word for `idle` is as good
/// as broken; zero waits for ever.
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
