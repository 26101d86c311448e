//! Downloads of URLs that jobs name (`docs/protocol/worker-protocol.md` §15).

mod builder;
mod downloaded_file;
mod downloader;
mod error;
mod fetch;
mod filename;
mod sink;
#[cfg(test)]
mod tests;
mod unzip;
mod url_rules;

pub use builder::DownloaderBuilder;
pub use downloaded_file::DownloadedFile;
pub use downloader::Downloader;
pub use error::{Blocked, DownloadError};
pub use unzip::{UnzipError, ZipLimits};
