//! What RunPod's workers, clients and platform say to each other, written once for all crates of `runpod-sdk`.
//!
//! | what | where |
//! |---|---|
//! | a job's id, its states, the object that describes it | [`JobId`], [`JobStatus`], [`JobRequest`], [`JobAnswer`], [`key`] |
//! | the object inside a failed job's error | [`error_key`] |
//! | paths, query parameters, headers, environment variables | [`route`], [`query`], [`header`], [`variable`] |
//! | a shallow look into a JSON object | [`json`] |
//! | which requests a server on this machine answers | [`callers`] |
//! | how HTTP is spoken | [`http`], [`tls`], [`backoff`] |
//!
//! Nothing here depends on a worker, a client or a server. Use it through `runpod-sdk`.

pub mod backoff;
pub mod callers;
pub mod causes;
pub mod error_key;
pub mod header;
pub mod http;
mod job;
pub mod json;
mod nearest;
pub mod query;
pub mod route;
pub mod sync;
pub mod tls;
pub mod variable;

pub use job::{
    JobAnswer, JobId, JobRequest, JobStatus, Policy, PostedReport, S3Config, StreamAnswer, StreamChunk,
    from_milliseconds, key,
};
pub use nearest::{nearest, ranked};
