//! JSON text in several buffers, and the answers made of it.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use http::{HeaderValue, StatusCode, header};
use http_body::{Frame, SizeHint};

/// Payloads up to this many bytes are copied into the text around them.
const COPIED: usize = 4096;

/// Writes JSON text. Large payloads stay the buffers they are.
#[derive(Debug, Default)]
pub(crate) struct JsonWriter {
    parts: VecDeque<Bytes>,
    tail: BytesMut,
}

impl JsonWriter {
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

    /// The answer 200 with this text; `then` is called with whether it was sent.
    pub(crate) fn into_ok_then(self, then: impl FnOnce(Sent) + Send + Sync + 'static) -> Response {
        respond(
            StatusCode::OK,
            self.into_parts(),
            Some(SentCallback(Some(Box::new(then)))),
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

/// Called once, with whether the body it belongs to was sent.
struct SentCallback(Option<Box<dyn FnOnce(Sent) + Send + Sync>>);

impl SentCallback {
    fn call(&mut self, sent: Sent) {
        if let Some(then) = self.0.take() {
            then(sent);
        }
    }
}

impl Drop for SentCallback {
    fn drop(&mut self) {
        self.call(Sent::Cut);
    }
}

/// A body of known length made of several buffers.
pub(crate) struct BodyParts {
    parts: VecDeque<Bytes>,
    on_sent: Option<SentCallback>,
}

impl BodyParts {
    pub(crate) fn new(parts: VecDeque<Bytes>) -> Self {
        Self { parts, on_sent: None }
    }
}

impl http_body::Body for BodyParts {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let part = self.parts.pop_front();
        // Before the last part leaves, so that the peer cannot react to it earlier.
        if self.parts.is_empty()
            && let Some(on_sent) = &mut self.on_sent
        {
            on_sent.call(Sent::Whole);
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

fn respond(status: StatusCode, parts: VecDeque<Bytes>, on_sent: Option<SentCallback>) -> Response {
    let mut response = Body::new(BodyParts { parts, on_sent }).into_response();
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(runpod_protocol::header::JSON),
    );
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_payloads_are_not_copied_into_the_text() {
        let payload = Bytes::from(vec![b'1'; COPIED + 1]);
        let mut json = JsonWriter::default();
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

    #[test]
    fn dropping_an_answer_before_its_end_is_noticed() {
        let (tell, told) = std::sync::mpsc::channel();
        let mut json = JsonWriter::default();
        json.text("{}");
        drop(json.into_ok_then(move |sent| tell.send(sent).unwrap()));
        assert_eq!(told.recv(), Ok(Sent::Cut));
    }

    #[tokio::test]
    async fn an_answer_read_to_its_end_counts_as_sent() {
        let (tell, told) = std::sync::mpsc::channel();
        let mut json = JsonWriter::default();
        json.text("{}");
        let response = json.into_ok_then(move |sent| tell.send(sent).unwrap());
        axum::body::to_bytes(response.into_body(), 10).await.unwrap();
        assert_eq!(told.recv(), Ok(Sent::Whole));
    }
}
