//! Uploads to S3-compatible storage (`docs/protocol/worker-protocol.md` §15).

mod bucket;
mod bucket_name;
mod builder;
mod config;
mod directory;
mod endpoint;
mod error;
mod jobs_host;
mod key;
mod media_type;
mod object;
mod origin;
mod probe;
mod region;
mod s3;
#[cfg(test)]
mod tests;
mod transport;

pub use bucket::Bucket;
pub use builder::BucketBuilder;
pub use error::UploadError;
pub use object::{Link, Object, Uploaded};
pub use origin::Origin;
pub use probe::{ProbeFailed, ProbeStep};
