//! Runs long work beside the runtime's thread, which all jobs share.
//!
//! Parsing megabytes, re-encoding pictures and reading certificates would hold up other jobs, heartbeats and cancels.

use std::panic::resume_unwind;

use tokio::task::{JoinError, spawn_blocking};
use tracing::error;

/// Runs `work` on another thread. A panic of it continues here.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match spawn_blocking(work).await {
        Ok(done) => done,
        Err(lost) => match lost.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            // The runtime is ending, and this future with it.
            Err(_) => std::future::pending().await,
        },
    }
}

/// Runs optional `work` on another thread. `None` if it panics, as a decoder may on a broken file.
pub(super) async fn unless_it_panics<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let done: Result<T, JoinError> = spawn_blocking(work).await;
    done.inspect_err(|lost| error!("work on a picture was lost: {lost}"))
        .ok()
}
