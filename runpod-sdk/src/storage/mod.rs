//! Files in and out of jobs.
//!
//! - [`Downloader`] (feature `download`) fetches URLs that jobs name. Such URLs are hostile until
//!   proven otherwise: see [what is refused](Downloader#what-is-refused).
//!
//! Both follow `docs/protocol/worker-protocol.md` §15.

#[cfg(feature = "download")]
mod download;
mod shown;
#[cfg(test)]
mod test_server;

use std::error::Error as StdError;

use crate::job::JobError;

#[cfg(feature = "download")]
#[cfg_attr(docsrs, doc(cfg(feature = "download")))]
pub use download::{Blocked, DownloadError, DownloadedFile, Downloader, DownloaderBuilder};
pub use shown::ShownUrl;

/// Gives a job's error the code of this module's error that it was made from, if it was.
pub(crate) fn give_code(error: &(dyn StdError + 'static), failed: &mut JobError) {
    #[cfg(feature = "download")]
    if let Some(error) = error.downcast_ref::<DownloadError>() {
        failed.describe(error);
    }
}
