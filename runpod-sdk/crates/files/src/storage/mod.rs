//! Files in and out of jobs.
//!
//! - `Downloader` (feature `download`) fetches URLs that jobs name. Such URLs may be hostile, so much is refused.
//! - `Bucket` (feature `upload`) puts what jobs make into S3-compatible storage and gives links to it.
//!
//! Both follow `docs/protocol/worker-protocol.md` §15.

#[cfg(feature = "download")]
mod download;
mod egress;
mod http_client;
mod retry;
mod shown;
#[cfg(test)]
mod test_server;
#[cfg(feature = "upload")]
mod upload;

#[cfg(feature = "download")]
#[cfg_attr(docsrs, doc(cfg(feature = "download")))]
pub use download::{
    Blocked, DownloadError, DownloadedFile, Downloader, DownloaderBuilder, UnzipError, ZipLimits,
};
pub use shown::ShownUrl;
#[cfg(feature = "upload")]
#[cfg_attr(docsrs, doc(cfg(feature = "upload")))]
pub use upload::{
    Bucket, BucketBuilder, Link, Object, Origin, ProbeFailed, ProbeStep, UploadError, Uploaded,
};
