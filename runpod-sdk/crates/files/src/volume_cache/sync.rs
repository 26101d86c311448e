//! From this worker to the volume.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::time::Duration;

use tracing::{info, warn};

use super::atomic_file::{copy, is_current};
use super::error::{VolumeCacheError, at};
use super::layout::Layout;
use super::lock::SyncLock;
use super::manifest::{FileEntry, Manifest};
use super::scan::Scan;
use super::writable::WritableDirs;
use super::{archive, parallel};

/// What a [`VolumeCache::sync`](super::VolumeCache::sync) did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Synced {
    /// The number of files that were written to the volume.
    Written(usize),
    /// Another worker is writing this cache.
    Busy,
    /// There is no volume, no namespace, or none of the directories.
    Unavailable,
}

/// One sync of a cache.
#[derive(Debug)]
pub(super) struct SyncRun<'a> {
    pub(super) layout: &'a Layout,
    pub(super) dirs: &'a WritableDirs,
    /// The folder of all caches on the volume. It is left out, in case it lies in one of the directories.
    pub(super) all_caches: &'a Path,
    /// Whether files are compared by content, too.
    pub(super) by_content: bool,
    pub(super) lease: Duration,
}

/// What became of a large file that the volume now has.
struct StoredFile {
    path: String,
    copied: bool,
}

impl SyncRun<'_> {
    /// Mirrors the directories, if no other worker is doing so.
    pub(super) fn run(&self) -> Result<Synced, VolumeCacheError> {
        // A worker that has none of the directories must not empty the cache.
        if !self.dirs.iter().any(Path::is_dir) {
            return Ok(Synced::Unavailable);
        }
        let root = self.layout.root();
        std::fs::create_dir_all(root).map_err(at(root))?;
        let Some(lock) = SyncLock::take(&self.layout.lock(), self.lease).map_err(at(root))? else {
            return Ok(Synced::Busy);
        };
        let found = Scan::of(self.dirs, self.all_caches, self.by_content);
        let before = Manifest::read(self.layout).unwrap_or_default();
        let small = self.write_archive(&found, &before)?;
        lock.renew_if_due();
        let stored = self.copy_big_files(&found.big, &before, &lock);
        let written = small + stored.iter().filter(|file| file.copied).count();

        let stored: BTreeSet<String> = stored.into_iter().map(|file| file.path).collect();
        let manifest = Manifest {
            small: found.small,
            refs: found.refs,
            links: found.links,
            // Only what the volume really has: a failed copy must not be served later.
            big: found
                .big
                .into_iter()
                .filter(|entry| stored.contains(&entry.path))
                .collect(),
            ..Manifest::default()
        };
        manifest.write(self.layout).map_err(at(root))?;
        manifest.prune(self.layout, self.lease);
        if written > 0 {
            info!(files = written, "cache written to the volume");
        }
        Ok(Synced::Written(written))
    }

    /// Packs the small files again if one of them has changed or is gone. Returns the number of changed files.
    fn write_archive(&self, found: &Scan, before: &Manifest) -> Result<usize, VolumeCacheError> {
        let archive = self.layout.archive();
        let files: Vec<&FileEntry> = found.small.iter().chain(&found.refs).collect();
        if files.is_empty() {
            // Before the manifest: one that names no small files must not stand beside a live archive.
            return match std::fs::remove_file(&archive) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(&archive)(error)),
                _ => Ok(0),
            };
        }
        let old = by_path(before.small.iter().chain(&before.refs));
        let changed = files
            .iter()
            .filter(|new| {
                old.get(new.path.as_str())
                    .is_none_or(|old| new.differs_from(old, self.by_content))
            })
            .count();
        let here: BTreeSet<&str> = files.iter().map(|entry| entry.path.as_str()).collect();
        let gone = old.keys().any(|path| !here.contains(path));
        if changed > 0 || gone || !archive.is_file() {
            archive::pack(&archive, &files).map_err(at(&archive))?;
        }
        Ok(changed)
    }

    /// Copies the large files that the volume lacks. Returns those that it then has. A file that cannot be copied does
    /// not fail the others.
    fn copy_big_files(&self, files: &[FileEntry], before: &Manifest, lock: &SyncLock) -> Vec<StoredFile> {
        let old = by_path(&before.big);
        parallel::filter_map(files, |entry| {
            lock.renew_if_due();
            let source = Path::new(&entry.path);
            let target = self.layout.big_file(&entry.path)?;
            let stored = |copied| StoredFile {
                path: entry.path.clone(),
                copied,
            };
            let same_content = !self.by_content
                || old
                    .get(entry.path.as_str())
                    .is_some_and(|old| old.sha256 == entry.sha256);
            if is_current(source, &target) && same_content {
                return Some(stored(false));
            }
            match copy(source, &target, entry.sha256.as_deref()) {
                // A file that has changed since the scan is left to the next sync.
                Ok(size) => (size == entry.size).then(|| stored(true)),
                Err(error) => {
                    warn!(path = entry.path, %error, "not written to the volume");
                    None
                }
            }
        })
    }
}

fn by_path<'a>(entries: impl IntoIterator<Item = &'a FileEntry>) -> BTreeMap<&'a str, &'a FileEntry> {
    entries
        .into_iter()
        .map(|entry| (entry.path.as_str(), entry))
        .collect()
}
