//! Why a cache cannot be used.

use std::io;
use std::path::{Path, PathBuf};

/// Why a cache cannot be used. What the volume held before is unchanged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VolumeCacheError {
    /// The namespace is not a plain name.
    #[error("the namespace {0:?} must be one plain part of a path")]
    Namespace(String),
    /// The volume, or a directory of this worker, cannot be read or written.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
}

/// Adds the path to an I/O error.
pub(super) fn at(path: &Path) -> impl FnOnce(io::Error) -> VolumeCacheError {
    let path = path.to_owned();
    move |source| VolumeCacheError::Io { path, source }
}
