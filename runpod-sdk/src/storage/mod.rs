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

use std::error::Error as StdError;

use crate::job::JobError;

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

/// Gives a job's error the code of this module's error that it was made from, if it was.
pub(crate) fn give_code(error: &(dyn StdError + 'static), failed: &mut JobError) {
    #[cfg(feature = "download")]
    if let Some(error) = error.downcast_ref::<DownloadError>() {
        failed.describe(error);
    } else if let Some(error) = error.downcast_ref::<UnzipError>() {
        failed.describe(error);
    }
    #[cfg(feature = "upload")]
    if let Some(error) = error.downcast_ref::<UploadError>() {
        failed.describe(error);
    }
}
