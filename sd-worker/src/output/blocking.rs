//! Work that takes a while, beside the thread that all jobs share.
//!
//! Answers are megabytes, pictures are decoded and written anew, a client reads certificates: on the runtime's own thread
//! other jobs, heartbeats and cancels would wait for it.

use std::panic::resume_unwind;

use tokio::task::{JoinError, spawn_blocking};
use tracing::error;

/// Does the work elsewhere. A panic of it goes on here.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match spawn_blocking(work).await {
        Ok(done) => done,
        Err(lost) => match lost.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            // The runtime is ending, and this with it.
            Err(_) => std::future::pending().await,
        },
    }
}

/// The same with work that there is another way without: `None` if it panics, as a decoder may that is given a broken
/// file.
pub(super) async fn unless_it_panics<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let done: Result<T, JoinError> = spawn_blocking(work).await;
    done.inspect_err(|lost| error!("work on a picture was lost: {lost}"))
        .ok()
}
