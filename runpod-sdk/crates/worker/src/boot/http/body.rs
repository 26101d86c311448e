//! Reads the body of a request, within limits of size and time.

use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use http::{HeaderMap, StatusCode, header};

use super::refused::Refused;
use crate::job::{ErrorClass, ErrorCode};

/// The longest time for a body to arrive.
const BODY_TIMEOUT: Duration = Duration::from_mins(1);

/// Reads a body of at most `limit` bytes into one buffer.
pub(super) async fn read(headers: &HeaderMap, body: Body, limit: usize) -> Result<Bytes, Refused> {
    let declared = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if declared.is_some_and(|length| length > limit) {
        return Err(too_large(limit));
    }
    tokio::time::timeout(BODY_TIMEOUT, collect(body, declared, limit))
        .await
        .unwrap_or_else(|_| {
            let message = format!("the request's body did not arrive within {BODY_TIMEOUT:?}");
            let late = Refused::new(
                StatusCode::REQUEST_TIMEOUT,
                ErrorCode::REQUEST_TIMEOUT,
                ErrorClass::User,
                message,
            );
            Err(late.closing_the_connection())
        })
}

async fn collect(body: Body, declared: Option<usize>, limit: usize) -> Result<Bytes, Refused> {
    let mut buffer = BytesMut::with_capacity(declared.unwrap_or(0));
    let mut pieces = body.into_data_stream();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|error| {
            let message = format!("the request's body broke off: {error}");
            Refused::new(
                StatusCode::BAD_REQUEST,
                ErrorCode::INVALID_INPUT,
                ErrorClass::User,
                message,
            )
            .closing_the_connection()
        })?;
        if buffer.len() + piece.len() > limit {
            return Err(too_large(limit));
        }
        buffer.extend_from_slice(&piece);
    }
    Ok(buffer.freeze())
}

fn too_large(limit: usize) -> Refused {
    let message = format!("the request's body is larger than {limit} bytes");
    Refused::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        ErrorCode::REQUEST_TOO_LARGE,
        ErrorClass::User,
        message,
    )
    .closing_the_connection()
}
