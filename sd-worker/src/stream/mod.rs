//! Streams the pictures of a job: each is a chunk as soon as it is rendered.
//!
//! The WebUI answers a request only when all its pictures are done. So the batches of a render are sent as
//! [requests of their own](split), one after another, with one lease of the GPU for all of them. A picture is handed over
//! for delivery before the next one is rendered, and the render does not wait for its delivery. Chunks before an error
//! stay delivered.

mod chunk;
mod error;
mod list;
mod plan;
mod series;
mod split;

pub(crate) use error::StreamError;
pub(crate) use plan::StreamPlan;
pub(crate) use series::{PreparedRender, StreamTools};
