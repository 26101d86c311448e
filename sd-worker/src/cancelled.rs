//! Waiting for work until it is done or its job is cancelled.

use runpod_sdk::Context;
use runpod_sdk::context::CancelReason;

use crate::code::{Code, Explain};

/// The job was cancelled before its work was done.
#[derive(Debug, thiserror::Error)]
#[error("the render was interrupted: {0}")]
pub(crate) struct Cancelled(pub(crate) CancelReason);

impl Explain for Cancelled {
    fn code(&self) -> Code {
        Code::Interrupted
    }
}

/// Waits for `work`, and drops it when the job is cancelled. Work that is done wins over a cancellation.
pub(crate) async fn unless_cancelled<F: Future>(ctx: &Context, work: F) -> Result<F::Output, Cancelled> {
    tokio::select! {
        biased;
        done = work => Ok(done),
        reason = ctx.cancelled() => Err(Cancelled(reason)),
    }
}
