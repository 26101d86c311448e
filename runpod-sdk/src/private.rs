//! What the code that `#[handler]` generates may call. Not for people.
//!
//! Each part of a handler goes through a function of its own, so that a part that does not fit is
//! an error at that part.

use std::future::Future;

use crate::handler::{ChunkStream, FromCall, HandlerResult, Streaming};
use crate::job::JobError;
use crate::worker::Worker;

pub use crate::handler::{Call, Produced};

/// The worker of an async handler.
pub fn worker<S, F, Fut>(function: F) -> Worker<S>
where
    S: Clone + Send + Sync + 'static,
    F: Fn(Call<S>) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<Produced, JobError>> + Send,
{
    Worker::new(FromCall(function))
}

/// The worker of a handler that blocks its thread.
pub fn blocking_worker<S, F>(function: F) -> Worker<S>
where
    S: Clone + Send + Sync + 'static,
    F: Fn(Call<S>) -> Result<Produced, JobError> + Clone + Send + Sync + 'static,
{
    Worker::blocking(FromCall(function))
}

/// Checks that the handler's future can move between threads.
pub fn future<F: Future + Send>(future: F) -> F {
    future
}

/// Encodes what the handler returned.
pub fn output<T: HandlerResult>(returned: T) -> Result<Produced, JobError> {
    returned.produce()
}

/// Sends the stream's items as chunks.
pub fn stream<S: ChunkStream>(stream: S, aggregate: bool) -> Result<Produced, JobError> {
    let streaming = Streaming::new(stream);
    output(Ok::<_, JobError>(if aggregate {
        streaming.aggregated()
    } else {
        streaming
    }))
}
