//! The functions and traits that the code of `#[handler]` uses. They are no part of the public interface.
//!
//! Generated code names a trait or a function of this module for each part of a handler, so that a
//! part that does not fit is an error at that part.

use std::future::Future;
use std::time::Duration;

use serde_json::Value;

use crate::context::Context;
use crate::handler::{ChunkStream, FromParts, Output, Produced, Streaming};
use crate::job::JobError;
use crate::json::RawJson;
use crate::worker::Worker;

pub use crate::handler::{FromContext, HandlerResult, JobInput};

/// The worker of an async handler. `schema` describes its input.
pub fn worker<S, F, Fut>(schema: fn() -> Option<Value>, function: F) -> Worker<S>
where
    S: Clone + Send + Sync + 'static,
    F: Fn(RawJson, Context, S) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<Produced, JobError>> + Send,
{
    Worker::new(FromParts { function, schema })
}

/// The worker of a handler that blocks its thread.
pub fn blocking_worker<S, F>(schema: fn() -> Option<Value>, function: F) -> Worker<S>
where
    S: Clone + Send + Sync + 'static,
    F: Fn(RawJson, Context, S) -> Result<Produced, JobError> + Clone + Send + Sync + 'static,
{
    Worker::blocking(FromParts { function, schema })
}

/// Checks that the handler's future can move between threads.
pub fn future<F: Future + Send>(future: F) -> F {
    future
}

/// The window in which text chunks are joined, and the most bytes of a joined chunk; `None` joins none.
pub type Merge = Option<(Duration, usize)>;

/// Sends the stream's items as chunks.
pub fn stream<S: ChunkStream>(stream: S, aggregate: bool, merge: Merge) -> Result<Produced, JobError> {
    let mut streaming = Streaming::new(stream);
    if aggregate {
        streaming = streaming.aggregated();
    }
    if let Some((window, most_bytes)) = merge {
        streaming = streaming.merging(window, most_bytes);
    }
    Output::produce(streaming)
}
