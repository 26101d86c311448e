//! What the crates of `runpod-sdk` have in common: the platform's ids, states and names, and how HTTP is spoken.
//!
//! Nothing here knows of workers, clients or servers. Use it through `runpod-sdk`.

pub mod backoff;
pub mod http;
mod job_id;
mod nearest;
pub mod sync;
pub mod tls;

pub use job_id::JobId;
pub use nearest::{nearest, ranked};
