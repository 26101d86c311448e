//! The bodies that clients and workers send, as received: payloads are slices, never re-encoded.

mod job_request;
pub(crate) mod stream_chunk;
mod worker_report;

pub(crate) use self::job_request::ReceivedJob;
pub(crate) use self::worker_report::{PostedResult, WorkerReport};
