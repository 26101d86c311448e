//! The job object: what a client submits, what a worker posts, what the platform answers.

mod answer;
mod id;
pub mod key;
mod milliseconds;
mod policy;
mod posted;
mod request;
mod s3_config;
mod status;

pub use answer::{JobAnswer, StreamAnswer};
pub use id::JobId;
pub use milliseconds::from_milliseconds;
pub use policy::Policy;
pub use posted::{PostedReport, StreamChunk};
pub use request::JobRequest;
pub use s3_config::S3Config;
pub use status::JobStatus;
