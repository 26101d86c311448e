//! What a download into a file gives.

use std::path::PathBuf;

/// A file that was downloaded.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DownloadedFile {
    /// Where the file is.
    pub path: PathBuf,
    /// The name that the server gave, or the last part of the URL, as it came. Do not use it as a path:
    /// [`DownloadedFile::path`] has a safe form of it.
    pub original_name: Option<String>,
    /// The server's `Content-Type` without parameters, in lower case. It is not checked against the content.
    pub media_type: Option<String>,
    /// The size in bytes.
    pub bytes: u64,
}
