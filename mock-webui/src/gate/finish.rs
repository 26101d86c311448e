//! What every answer of the real server carries: its headers, and compression when asked for (§1).

use std::io::Write;
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{HeaderMap, HeaderValue, StatusCode, header};

use crate::answer::Answer;
use crate::json;
use crate::profile::Profile;

/// Answers shorter than this are sent as they are.
const COMPRESS_FROM: usize = 1_000;
const SD_NEXT_COMPRESSES_FROM: usize = 2_048;

/// What a request's headers ask of its answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ResponseOptions {
    /// Compress from this many bytes on; `None` when the client does not accept it.
    gzip: Option<usize>,
    origin: bool,
    /// Whether answers have an `x-process-time`.
    process_time: bool,
    profile: Profile,
}

impl ResponseOptions {
    pub(crate) fn of(headers: &HeaderMap, profile: Profile) -> Self {
        let from = if profile.is_sd_next() {
            SD_NEXT_COMPRESSES_FROM
        } else {
            COMPRESS_FROM
        };
        let accepted = headers
            .get(header::ACCEPT_ENCODING)
            .and_then(|value| value.to_str().ok());
        Self {
            gzip: accepted
                .is_some_and(|accepted| accepted.contains("gzip"))
                .then_some(from),
            // SD.Next has no such middleware unless origins are given.
            origin: headers.contains_key(header::ORIGIN) && !profile.is_sd_next(),
            process_time: !profile.is_forge(),
            profile,
        }
    }
}

/// Turns an answer into a response with its usual headers.
pub(crate) fn finish(answer: Answer, options: ResponseOptions, took: Duration) -> http::Response<Bytes> {
    let mut response = http::Response::new(answer.body);
    *response.status_mut() = answer.status;
    if let Some(kind) = answer.content_type {
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    }
    for (name, value) in answer.headers {
        if let Ok(value) = HeaderValue::try_from(value) {
            response.headers_mut().append(name, value);
        }
    }
    decorate(&mut response, options, answer.timed.then_some(took));
    response
}

/// Adds the usual headers to a response and compresses its body if it should be.
pub(crate) fn decorate(
    response: &mut http::Response<Bytes>,
    options: ResponseOptions,
    took: Option<Duration>,
) {
    response
        .headers_mut()
        .insert(header::SERVER, HeaderValue::from_static("uvicorn"));
    if let Some(took) = took.filter(|_| options.process_time) {
        let seconds = (took.as_secs_f64() * 10_000.0).round() / 10_000.0;
        if let Ok(value) = HeaderValue::try_from(json::float(seconds)) {
            response.headers_mut().insert("x-process-time", value);
        }
    }
    if options.origin {
        response.headers_mut().insert(
            header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
            HeaderValue::from_static("true"),
        );
    }
    if options.profile.is_sd_next() && response.body().len() >= SD_NEXT_COMPRESSES_FROM {
        response
            .headers_mut()
            .insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    }
    if options.gzip.is_some_and(|from| response.body().len() >= from)
        && response.status() != StatusCode::INTERNAL_SERVER_ERROR
    {
        let packed = compress(response.body());
        *response.body_mut() = packed;
        response.headers_mut().remove(header::CONTENT_LENGTH);
        response
            .headers_mut()
            .insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        response
            .headers_mut()
            .insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    }
}

fn compress(body: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 2), Compression::fast());
    encoder
        .write_all(body)
        .and_then(|()| encoder.finish())
        .map_or_else(|_| Bytes::copy_from_slice(body), Bytes::from)
}
