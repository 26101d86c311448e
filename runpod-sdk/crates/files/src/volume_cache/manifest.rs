//! `manifest.json`: what the cache holds. Python ignores the keys that this crate adds.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use tracing::debug;

use super::atomic_file::{self, TOLERANCE, UNFINISHED};
use super::bounded;
use super::layout::{Layout, THRESHOLD};

/// The version of the layout that Python writes.
const VERSION: u32 = 1;

/// The most bytes of a manifest: some hundred thousand files.
const LONGEST: u64 = 64 << 20;

/// The content of a cache.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Manifest {
    pub(super) version: u32,
    pub(super) threshold: u64,
    /// Files in the archive.
    #[serde(default)]
    pub(super) small: Vec<FileEntry>,
    /// Files in `big/`.
    #[serde(default)]
    pub(super) big: Vec<FileEntry>,
    /// More files in the archive: those under `refs/`. Python does not cache them. If they were among the small ones,
    /// it would take them for deleted and pack the archive again each time.
    #[serde(default)]
    pub(super) refs: Vec<FileEntry>,
    #[serde(default)]
    pub(super) links: Vec<LinkEntry>,
}

/// A file of a cache.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct FileEntry {
    pub(super) path: String,
    pub(super) size: u64,
    pub(super) mtime: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) sha256: Option<String>,
}

/// A symbolic link of a cache.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LinkEntry {
    pub(super) path: String,
    pub(super) target: String,
}

impl Default for Manifest {
    fn default() -> Self {
        Self {
            version: VERSION,
            threshold: THRESHOLD,
            small: Vec::new(),
            big: Vec::new(),
            refs: Vec::new(),
            links: Vec::new(),
        }
    }
}

impl FileEntry {
    /// Whether the file has changed since `old`.
    pub(super) fn differs_from(&self, old: &Self, by_content: bool) -> bool {
        self.size != old.size
            || self.mtime > old.mtime + TOLERANCE
            || (by_content && self.sha256 != old.sha256)
    }
}

impl Manifest {
    /// Reads the manifest. `None` if there is none, or if it cannot be understood: the next sync replaces it.
    pub(super) fn read(layout: &Layout) -> Option<Self> {
        let text = match bounded::read(&layout.manifest(), LONGEST) {
            Ok(text) => text,
            Err(error) => {
                debug!(%error, "the cache's manifest is not there or not read");
                return None;
            }
        };
        match serde_json::from_slice::<Self>(&text) {
            Ok(manifest) if manifest.version == VERSION => Some(manifest),
            Ok(manifest) => {
                debug!(version = manifest.version, "the cache has another version");
                None
            }
            Err(error) => {
                debug!(%error, "the cache's manifest cannot be read");
                None
            }
        }
    }

    pub(super) fn write(&self, layout: &Layout) -> io::Result<()> {
        let text = serde_json::to_vec(self).map_err(io::Error::other)?;
        atomic_file::write(&layout.manifest(), SystemTime::now(), |file| {
            file.write_all(&text)?;
            file.sync_all()
        })
    }

    /// The hashes of the archive's files by their paths.
    pub(super) fn hashes_of_small(&self) -> BTreeMap<String, String> {
        let files = self.small.iter().chain(&self.refs);
        files
            .filter_map(|entry| Some((entry.path.clone(), entry.sha256.clone()?)))
            .collect()
    }

    /// Removes files that no entry names. Files that are younger than `grace` stay: a writer that does not know of the
    /// lock may be about to name them.
    pub(super) fn prune(&self, layout: &Layout, grace: Duration) {
        let named: BTreeSet<&str> = self.big.iter().map(|entry| entry.path.as_str()).collect();
        let big = layout.big();
        remove_orphans(&big, grace, &|path| {
            let relative = path.strip_prefix(&big).ok().and_then(Path::to_str);
            relative.is_none_or(|relative| !named.contains(format!("/{relative}").as_str()))
        });
        for entry in fs::read_dir(layout.root()).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().ends_with(UNFINISHED) && is_old(&entry.path(), grace) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

/// Removes the files for which `is_orphan` holds, and folders that are then empty. Errors are ignored: the next sync
/// tries again.
fn remove_orphans(folder: &Path, grace: Duration, is_orphan: &dyn Fn(&Path) -> bool) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_orphans(&path, grace, is_orphan);
            // Fails if it is not empty.
            let _ = fs::remove_dir(&path);
        } else if is_orphan(&path) && is_old(&path, grace) {
            let _ = fs::remove_file(&path);
        }
    }
}

/// Whether the file came here at least `grace` ago. Its modification time is that of its source, so the time of its
/// last change of status counts.
fn is_old(path: &Path, grace: Duration) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let Ok(metadata) = path.symlink_metadata() else {
        return false;
    };
    let came = SystemTime::UNIX_EPOCH + Duration::from_secs(metadata.ctime().max(0).unsigned_abs());
    SystemTime::now()
        .duration_since(came)
        .is_ok_and(|age| age >= grace)
}
