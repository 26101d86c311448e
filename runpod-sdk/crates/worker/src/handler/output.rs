//! The types that a handler may return.

use std::fmt;
use std::time::Duration;

use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt};
use serde::Serialize;

use super::merge::merge;
use crate::job::{ErrorClass, ErrorCode, IntoJobError, JobError};
use crate::json::RawJson;

/// The most bytes of JSON that the platform accepts as one chunk (`docs/protocol/worker-protocol.md` §8).
///
/// The platform splits longer strings. Any other larger value fails its job with the code `CHUNK_TOO_LARGE`.
pub const LARGEST_CHUNK: usize = 1_000_000;

/// The output of a handler: one value, or a stream of chunks.
#[doc(hidden)]
pub enum Produced {
    /// The job's output.
    Value(RawJson),
    /// Chunks to be posted one by one.
    Chunks {
        /// The chunks, each already encoded.
        stream: BoxStream<'static, Result<RawJson, JobError>>,
        /// Whether the final output is the list of all chunks.
        aggregate: bool,
    },
}

impl fmt::Debug for Produced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(value) => f.debug_tuple("Value").field(value).finish(),
            Self::Chunks { aggregate, .. } => f
                .debug_struct("Chunks")
                .field("aggregate", aggregate)
                .finish_non_exhaustive(),
        }
    }
}

/// The return type of a handler: `Result<T, E>` of a value that serialises and an error that can
/// end a job.
#[diagnostic::on_unimplemented(
    message = "a handler can't return `{Self}`",
    label = "not a `Result` of a value that serialises",
    note = "return `JobResult<T>`, where `T` implements `serde::Serialize`"
)]
pub trait HandlerResult {
    /// Encodes the returned value.
    #[doc(hidden)]
    fn produce(self) -> Result<Produced, JobError>;
}

impl<T: Output, E: IntoJobError> HandlerResult for Result<T, E> {
    fn produce(self) -> Result<Produced, JobError> {
        self.map_err(IntoJobError::into_job_error)?.produce()
    }
}

/// A value that a handler may return. A NaN or an infinite number in it becomes `null`: JSON has no such numbers.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be the output of a handler",
    label = "does not encode as JSON",
    note = "derive `serde::Serialize` for it",
    note = "to answer with JSON text as it is, return `runpod_sdk::json::RawJson`",
    note = "to stream, return `Streaming<S>`, where `S` is a stream of `Result`s of values that serialise"
)]
pub trait Output: 'static {
    #[doc(hidden)]
    fn produce(self) -> Result<Produced, JobError>;
}

#[diagnostic::do_not_recommend]
impl<T: Serialize + 'static> Output for T {
    fn produce(self) -> Result<Produced, JobError> {
        encode(self).map(Produced::Value)
    }
}

/// The output of a handler that streams: each item is posted as one chunk, in order.
///
/// The platform accepts chunks of up to 1 MB ([`LARGEST_CHUNK`]). It splits longer strings; any other larger value
/// fails the job with the code `CHUNK_TOO_LARGE`.
///
/// The stream is polled only as fast as the chunks can be delivered.
///
/// # Errors after good chunks
///
/// An item that is an error ends the job, and the stream is not polled again. The chunks before it are delivered and
/// stay. The job is `FAILED` and its result is that error alone, without a list of chunks even with
/// [`aggregated`](Self::aggregated). A client finds the chunks before an error at `/stream`.
///
/// A handler that answers some jobs with a value returns [`MaybeStreaming`].
///
/// ```
/// use futures_util::stream;
/// use runpod_sdk::prelude::*;
///
/// #[handler]
/// async fn count(to: u32) -> JobResult<Streaming<impl futures_util::Stream<Item = JobResult<u32>>>> {
///     Ok(Streaming::new(stream::iter((1..=to).map(Ok))).aggregated())
/// }
/// ```
pub struct Streaming<S> {
    stream: S,
    aggregate: bool,
    merging: Option<(Duration, usize)>,
}

impl<S> Streaming<S> {
    /// A stream whose job has the empty list as its final output.
    pub fn new(stream: S) -> Self {
        Self {
            stream,
            aggregate: false,
            merging: None,
        }
    }

    /// Also makes the list of all chunks the job's final output.
    ///
    /// The list is held in memory until the stream ends. It is posted only if the stream ends without an error; see
    /// [above](Self#errors-after-good-chunks).
    #[doc(alias = "return_aggregate_stream")]
    #[must_use]
    pub fn aggregated(mut self) -> Self {
        self.aggregate = true;
        self
    }

    /// Joins string chunks that arrive within `window` into one of at most `most_bytes` of JSON. Default: off.
    ///
    /// Use it for tokens that arrive faster than they can be posted. Only strings are joined. Any other value and an
    /// error keep their place in the order. An aggregate lists the joined chunks, as they were posted.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use futures_util::stream;
    /// use runpod_sdk::prelude::*;
    ///
    /// #[handler]
    /// async fn words(text: String) -> JobResult<Streaming<impl futures_util::Stream<Item = JobResult<String>>>> {
    ///     let words: Vec<_> = text.split_inclusive(' ').map(|word| Ok(word.to_owned())).collect();
    ///     Ok(Streaming::new(stream::iter(words)).merging(Duration::from_millis(50), 4096))
    /// }
    /// ```
    #[must_use]
    pub fn merging(mut self, window: Duration, most_bytes: usize) -> Self {
        self.merging = Some((window, most_bytes));
        self
    }
}

impl<S> fmt::Debug for Streaming<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streaming")
            .field("aggregate", &self.aggregate)
            .field("merging", &self.merging)
            .finish_non_exhaustive()
    }
}

impl<S: ChunkStream> Output for Streaming<S> {
    fn produce(self) -> Result<Produced, JobError> {
        Ok(Produced::Chunks {
            stream: match self.merging {
                Some((window, most_bytes)) => merge(self.stream.chunks(), window, most_bytes).boxed(),
                None => self.stream.chunks(),
            },
            aggregate: self.aggregate,
        })
    }
}

/// The output of a handler that decides for each job whether to return a value or a stream.
///
/// A value is treated like a plain output, and a stream like a [`Streaming`].
///
/// ```
/// use futures_util::stream::{self, BoxStream, StreamExt};
/// use runpod_sdk::MaybeStreaming;
/// use runpod_sdk::prelude::*;
///
/// #[derive(serde::Deserialize)]
/// struct Prompt {
///     text: String,
///     #[serde(default)]
///     stream: bool,
/// }
///
/// type Words = BoxStream<'static, JobResult<String>>;
///
/// #[handler]
/// async fn shout(prompt: Prompt) -> JobResult<MaybeStreaming<String, Words>> {
///     let text = prompt.text.to_uppercase();
///     if !prompt.stream {
///         return Ok(MaybeStreaming::Value(text));
///     }
///     let words: Vec<_> = text.split_whitespace().map(|word| Ok(word.to_owned())).collect();
///     Ok(MaybeStreaming::Chunks(Streaming::new(stream::iter(words).boxed())))
/// }
/// ```
#[derive(Debug)]
pub enum MaybeStreaming<T, S> {
    /// The job's output.
    Value(T),
    /// Chunks, posted one by one.
    Chunks(Streaming<S>),
}

impl<T: Output, S: ChunkStream> Output for MaybeStreaming<T, S> {
    fn produce(self) -> Result<Produced, JobError> {
        match self {
            Self::Value(value) => value.produce(),
            Self::Chunks(chunks) => chunks.produce(),
        }
    }
}

/// A stream that a handler may return: its items are `Result`s.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a stream of chunks",
    label = "not a stream",
    note = "return `impl Stream<Item = JobResult<T>>`, where `T` implements `serde::Serialize`",
    note = "where making the stream may fail, leave out `stream` and return `JobResult<Streaming<…>>`"
)]
pub trait ChunkStream: Send + 'static {
    /// The encoded chunks.
    #[doc(hidden)]
    fn chunks(self) -> BoxStream<'static, Result<RawJson, JobError>>;
}

impl<S> ChunkStream for S
where
    S: Stream<Item: ChunkResult> + Send + 'static,
{
    fn chunks(self) -> BoxStream<'static, Result<RawJson, JobError>> {
        self.map(ChunkResult::encode).boxed()
    }
}

/// An item of a handler's stream: `Result<T, E>` of a value that serialises and an error that can
/// end a job.
#[diagnostic::on_unimplemented(
    message = "a handler's stream can't have items of type `{Self}`",
    label = "its items are not `Result`s",
    note = "return `impl Stream<Item = JobResult<T>>`, where `T` implements `serde::Serialize`"
)]
pub trait ChunkResult {
    /// Encodes the item.
    #[doc(hidden)]
    fn encode(self) -> Result<RawJson, JobError>;
}

impl<T: Chunk, E: IntoJobError> ChunkResult for Result<T, E> {
    fn encode(self) -> Result<RawJson, JobError> {
        self.map_err(IntoJobError::into_job_error)?.encode()
    }
}

/// A value that a handler may stream.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be a chunk of a handler's stream",
    label = "its chunks do not encode as JSON",
    note = "derive `serde::Serialize` for it"
)]
pub trait Chunk {
    /// Encodes the value.
    #[doc(hidden)]
    fn encode(self) -> Result<RawJson, JobError>;
}

#[diagnostic::do_not_recommend]
impl<T: Serialize + 'static> Chunk for T {
    fn encode(self) -> Result<RawJson, JobError> {
        encode(self)
    }
}

fn encode<T: Serialize + 'static>(value: T) -> Result<RawJson, JobError> {
    RawJson::encode_owned(value).map_err(|error| {
        JobError::new(
            ErrorCode::OUTPUT_NOT_JSON,
            ErrorClass::Worker,
            format!("the handler's output could not be written as JSON: {error}"),
        )
    })
}
