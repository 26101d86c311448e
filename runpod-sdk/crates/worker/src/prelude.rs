//! The names of a first worker.

#[cfg(feature = "macros")]
pub use crate::handler;
pub use crate::{Context, JobError, JobResult, MaybeStreaming, Router, State, Streaming, Worker};
