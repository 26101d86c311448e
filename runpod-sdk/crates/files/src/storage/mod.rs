//! Files in and out of jobs.
//!
//! - `Downloader` (feature `download`) fetches URLs that jobs name. Such URLs are hostile until proven
//!   otherwise, so much is refused.
//! - `Bucket` (feature `upload`) puts what jobs make into S3-compatible storage and gives links to it.
//!
//! Both follow `docs/protocol/worker-protocol.md` §15.

mod causes;
#[cfg(feature = "download")]
mod download;
mod reach;
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

/// Makes `?` keep the codes of this module's errors. Called where one of them can arise first.
fn keep_codes() {
    #[cfg(feature = "download")]
    {
        runpod_worker::job::keep_code_of::<DownloadError>();
        runpod_worker::job::keep_code_of::<UnzipError>();
    }
    #[cfg(feature = "upload")]
    runpod_worker::job::keep_code_of::<UploadError>();
}
