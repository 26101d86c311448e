//! Work that blocks its thread, beside an async handler.

use std::sync::Arc;

use tracing::Span;

use super::{Context, Lease};
use crate::job::{ErrorClass, ErrorCode, JobError, JobResult};
use crate::panics::guarded_call;

impl Context {
    /// Runs `work` on a thread that may block, and waits for it: for a handler that waits for a download and then
    /// computes.
    ///
    /// The work runs in the job's span, and a panic in it is an error with the code `PANIC`, as in the handler itself.
    /// A thread cannot be stopped from outside, so look at [`is_cancelled`](Self::is_cancelled) of a clone between
    /// pieces of work. If the job is dropped meanwhile, its slot stays taken until the work has ended.
    ///
    /// ```
    /// use runpod_sdk::prelude::*;
    ///
    /// #[handler]
    /// async fn count(words: Vec<String>, ctx: Context) -> JobResult<usize> {
    ///     // … first what waits …
    ///     let job = ctx.clone();
    ///     ctx.blocking(move || {
    ///         let mut letters = 0;
    ///         for word in words {
    ///             if job.is_cancelled() {
    ///                 return Err(JobError::message_only("cancelled"));
    ///             }
    ///             letters += word.chars().count();
    ///         }
    ///         Ok(letters)
    ///     })
    ///     .await
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// That of the work, or its panic.
    pub async fn blocking<T, F>(&self, work: F) -> JobResult<T>
    where
        T: Send + 'static,
        F: FnOnce() -> JobResult<T> + Send + 'static,
    {
        offload(self.lease(), work).await
    }
}

/// Runs `work` on one of the runtime's threads for blocking work, in the current span. The work of a dropped job goes
/// on, and so does its lease.
pub(crate) async fn offload<T: Send + 'static>(
    lease: Option<Arc<Lease>>,
    work: impl FnOnce() -> JobResult<T> + Send + 'static,
) -> JobResult<T> {
    let span = Span::current();
    let work = move || {
        let _lease = lease;
        work()
    };
    // A panic is caught on its own thread, where its location is known.
    let ended = tokio::task::spawn_blocking(move || span.in_scope(|| guarded_call(work))).await;
    ended.unwrap_or_else(|lost| {
        Err(JobError::new(
            ErrorCode::HANDLER_ERROR,
            ErrorClass::Worker,
            format!("the blocking work was not run: {lost}"),
        ))
    })
}
