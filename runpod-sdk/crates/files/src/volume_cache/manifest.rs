//! `manifest.json`: what there is. Keys beyond Python's are ours, and Python ignores them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use tracing::debug;

use super::copy::{UNFINISHED, whole};
use super::{THRESHOLD, TOLERANCE};

const NAME: &str = "manifest.json";
const VERSION: u32 = 1;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Manifest {
    pub(super) version: u32,
    pub(super) threshold: u64,
    /// In the archive.
    #[serde(default)]
    pub(super) small: Vec<Entry>,
    /// In `big/`.
    #[serde(default)]
    pub(super) big: Vec<Entry>,
    /// In the archive, too. Python does not keep files under `refs/`: were they among the small ones, it
    /// would take them for deleted and pack anew each time.
    #[serde(default)]
    pub(super) refs: Vec<Entry>,
    #[serde(default)]
    pub(super) links: Vec<Link>,
}

/// A file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) path: String,
    pub(super) size: u64,
    pub(super) mtime: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) sha256: Option<String>,
}

/// A symbolic link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Link {
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

impl Entry {
    pub(super) fn differs_from(&self, old: &Self, by_content: bool) -> bool {
        self.size != old.size
            || self.mtime > old.mtime + TOLERANCE
            || (by_content && self.sha256 != old.sha256)
    }
}

impl Manifest {
    /// `None` if there is none, or one that cannot be understood: it is written anew by the next sync.
    pub(super) fn read(root: &Path) -> Option<Self> {
        let text = fs::read(root.join(NAME)).ok()?;
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

    pub(super) fn write(&self, root: &Path) -> io::Result<()> {
        let text = serde_json::to_vec(self).map_err(io::Error::other)?;
        whole(&root.join(NAME), SystemTime::now(), |file| {
            file.write_all(&text)?;
            file.sync_all()
        })
    }

    pub(super) fn hashes_of_small(&self) -> BTreeMap<String, String> {
        let files = self.small.iter().chain(&self.refs);
        files
            .filter_map(|entry| Some((entry.path.clone(), entry.sha256.clone()?)))
            .collect()
    }

    /// Removes what no entry names. Files that came within `grace` stay: a writer that does not know
    /// of the lock may be about to name them.
    pub(super) fn prune(&self, root: &Path, grace: Duration) {
        let named: BTreeSet<&str> = self.big.iter().map(|entry| entry.path.as_str()).collect();
        let big = root.join("big");
        sweep(&big, grace, &|path| {
            let relative = path.strip_prefix(&big).ok().and_then(Path::to_str);
            relative.is_none_or(|relative| !named.contains(format!("/{relative}").as_str()))
        });
        for entry in fs::read_dir(root).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().ends_with(UNFINISHED) && is_old(&entry.path(), grace) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

/// Removes the files that `is_orphan` names, and folders that are empty then. Best effort.
fn sweep(folder: &Path, grace: Duration, is_orphan: &dyn Fn(&Path) -> bool) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            sweep(&path, grace, is_orphan);
            // Fails if it is not empty.
            let _ = fs::remove_dir(&path);
        } else if is_orphan(&path) && is_old(&path, grace) {
            let _ = fs::remove_file(&path);
        }
    }
}

/// By the time at which it came here: copies keep the modification time of what they copy.
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
