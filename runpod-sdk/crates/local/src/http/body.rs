//! Reading a request's body up to a limit.

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use http::{HeaderMap, header};

/// Reading an oversized body stops at this many times its limit.
const MOST_LIMITS_READ: usize = 4;

/// Why a body could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyError {
    TooLarge,
    Broken,
}

/// Reads a body of at most `limit` bytes into one buffer.
pub(crate) async fn read(headers: &HeaderMap, body: Body, limit: usize) -> Result<Bytes, BodyError> {
    let declared = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    let mut buffer = BytesMut::with_capacity(declared.filter(|length| *length <= limit).unwrap_or(0));
    let mut seen = 0_usize;
    let mut pieces = body.into_data_stream();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|_| BodyError::Broken)?;
        seen = seen.saturating_add(piece.len());
        if seen <= limit {
            buffer.extend_from_slice(&piece);
        } else {
            // Most clients look at the answer only after they have sent everything.
            buffer = BytesMut::new();
            if seen > limit.saturating_mul(MOST_LIMITS_READ) {
                break;
            }
        }
    }
    if seen > limit {
        return Err(BodyError::TooLarge);
    }
    // A body of undeclared length was read into a buffer that doubled as it grew.
    let wasteful = buffer.capacity() > buffer.len() + buffer.len() / 8;
    Ok(if wasteful {
        Bytes::copy_from_slice(&buffer)
    } else {
        buffer.freeze()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_over_its_limit_is_refused_and_one_at_the_limit_is_not() {
        let headers = HeaderMap::new();
        assert_eq!(
            read(&headers, Body::from("12345"), 5).await,
            Ok(Bytes::from("12345"))
        );
        assert_eq!(
            read(&headers, Body::from("123456"), 5).await,
            Err(BodyError::TooLarge)
        );
    }
}
