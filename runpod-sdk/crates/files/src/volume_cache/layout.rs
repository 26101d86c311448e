//! Where the parts of one cache lie on the volume.

use std::path::{Path, PathBuf};

use super::writable::is_plain;

/// Files of this size and above are copied as they are. Smaller ones share the archive.
pub(super) const THRESHOLD: u64 = 256 * 1024;

/// The paths of one cache on the volume.
#[derive(Debug)]
pub(super) struct Layout {
    root: PathBuf,
}

impl Layout {
    /// The layout below `root`, which is `<volume>/.cache/<namespace>`.
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn manifest(&self) -> PathBuf {
        self.root.join("manifest.json")
    }

    pub(super) fn archive(&self) -> PathBuf {
        self.root.join("small.tar")
    }

    pub(super) fn lock(&self) -> PathBuf {
        self.root.join("sync.lock")
    }

    /// The folder of the large files.
    pub(super) fn big(&self) -> PathBuf {
        self.root.join("big")
    }

    /// The place of the large file `path`. `None` if `path` is not absolute or not plain.
    pub(super) fn big_file(&self, path: &str) -> Option<PathBuf> {
        is_plain(path).then(|| self.big().join(path.trim_start_matches('/')))
    }

    /// The large file `path`, if it exists and if no link leads it out of the cache.
    pub(super) fn existing_big_file(&self, path: &str) -> Option<PathBuf> {
        let big = self.big().canonicalize().ok()?;
        let file = self.big_file(path)?.canonicalize().ok()?;
        (file.starts_with(&big) && file.is_file()).then_some(file)
    }
}
