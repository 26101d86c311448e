//! Bodies: reading one up to a limit, writing JSON around payloads that are not copied.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use http_body::{Frame, SizeHint};

/// Payloads up to this many bytes are copied into the text around them.
const COPIED: usize = 4096;
/// How many times its limit an oversized body may be before reading it stops.
const PATIENCE: usize = 4;

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
            if seen > limit.saturating_mul(PATIENCE) {
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

/// JSON text being put together. Large payloads stay the buffers they are.
#[derive(Debug, Default)]
pub(crate) struct Json {
    parts: VecDeque<Bytes>,
    tail: BytesMut,
}

impl Json {
    /// Appends literal JSON text.
    pub(crate) fn text(&mut self, text: &str) -> &mut Self {
        self.tail.extend_from_slice(text.as_bytes());
        self
    }

    /// Appends a JSON value as it was received.
    pub(crate) fn raw(&mut self, value: &Bytes) -> &mut Self {
        if value.len() <= COPIED {
            self.tail.extend_from_slice(value);
        } else {
            self.flush();
            self.parts.push_back(Bytes::clone(value));
        }
        self
    }

    /// Appends `,` if something other than an opening bracket comes before, then `"key":`.
    pub(crate) fn key(&mut self, key: &str) -> &mut Self {
        self.comma().text("\"").text(key).text("\":")
    }

    /// Appends `,` unless a bracket has just been opened.
    pub(crate) fn comma(&mut self) -> &mut Self {
        let last = self
            .tail
            .last()
            .or_else(|| self.parts.back().and_then(|part| part.last()));
        if !matches!(last, None | Some(b'{' | b'[')) {
            self.text(",");
        }
        self
    }

    /// Appends a string value, escaped.
    pub(crate) fn string(&mut self, text: &str) -> &mut Self {
        self.text(&serde_json::Value::from(text).to_string())
    }

    fn flush(&mut self) {
        if !self.tail.is_empty() {
            self.parts.push_back(self.tail.split().freeze());
        }
    }

    pub(crate) fn into_parts(mut self) -> VecDeque<Bytes> {
        self.flush();
        self.parts
    }

    /// An answer with this text.
    pub(crate) fn into_response(self, status: StatusCode) -> Response {
        respond(status, self.into_parts(), None)
    }

    /// The answer 200 with this text.
    pub(crate) fn into_ok(self) -> Response {
        self.into_response(StatusCode::OK)
    }

    /// The answer 200 with this text; `then` hears whether it was sent.
    pub(crate) fn into_ok_then(self, then: impl FnOnce(Sent) + Send + Sync + 'static) -> Response {
        respond(
            StatusCode::OK,
            self.into_parts(),
            Some(Watched(Some(Box::new(then)))),
        )
    }
}

/// Whether an answer was given to the connection to the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    Whole,
    /// The peer was gone before everything was given out.
    Cut,
}

/// Tells once whether the body it belongs to was sent.
struct Watched(Option<Box<dyn FnOnce(Sent) + Send + Sync>>);

impl Watched {
    fn tell(&mut self, sent: Sent) {
        if let Some(then) = self.0.take() {
            then(sent);
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.tell(Sent::Cut);
    }
}

/// A body of known length made of several buffers.
pub(crate) struct Parts {
    parts: VecDeque<Bytes>,
    watched: Option<Watched>,
}

impl Parts {
    pub(crate) fn new(parts: VecDeque<Bytes>) -> Self {
        Self { parts, watched: None }
    }
}

impl http_body::Body for Parts {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let part = self.parts.pop_front();
        // Before the last part leaves, so that nobody can react to it earlier.
        if self.parts.is_empty()
            && let Some(watched) = &mut self.watched
        {
            watched.tell(Sent::Whole);
        }
        Poll::Ready(part.map(|part| Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        self.parts.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.parts.iter().map(|part| part.len() as u64).sum())
    }
}

fn respond(status: StatusCode, parts: VecDeque<Bytes>, watched: Option<Watched>) -> Response {
    let mut response = Body::new(Parts { parts, watched }).into_response();
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_payloads_are_not_copied_into_the_text() {
        let payload = Bytes::from(vec![b'1'; COPIED + 1]);
        let mut json = Json::default();
        json.text("{")
            .key("a")
            .raw(&payload)
            .key("b")
            .string("\"\n")
            .text("}");
        let parts = json.into_parts();
        assert_eq!(parts[1].as_ptr(), payload.as_ptr());
        assert_eq!(parts[2], r#","b":"\"\n"}"#);
    }

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

    #[test]
    fn dropping_an_answer_before_its_end_is_noticed() {
        let (tell, told) = std::sync::mpsc::channel();
        let mut json = Json::default();
        json.text("{}");
        drop(json.into_ok_then(move |sent| tell.send(sent).unwrap()));
        assert_eq!(told.recv(), Ok(Sent::Cut));
    }

    #[tokio::test]
    async fn an_answer_read_to_its_end_counts_as_sent() {
        let (tell, told) = std::sync::mpsc::channel();
        let mut json = Json::default();
        json.text("{}");
        let response = json.into_ok_then(move |sent| tell.send(sent).unwrap());
        read(&HeaderMap::new(), response.into_body(), 10).await.unwrap();
        assert_eq!(told.recv(), Ok(Sent::Whole));
    }
}
