//! Directories that are kept on the network volume, so that the next worker starts with them
//! (`docs/protocol/worker-protocol.md` §15, `VolumeCache`).
//!
//! The layout is the one of RunPod's Python SDK, and workers of both kinds may share a cache:
//!
//! ```text
//! <volume>/.cache/<namespace>/manifest.json   what there is; written last
//!                             small.tar       files below 256 KiB, named relative to /
//!                             big/<path>      the others
//!                             sync.lock       who is writing (not known to Python)
//! ```
//!
//! Python keeps neither symbolic links nor what lies under `refs/`, so that a Hugging Face cache does not
//! work offline afterwards. Here both are kept, in keys of the manifest that Python ignores. A cache that
//! Python writes later has lost them until the next [`VolumeCache::sync`] from here.

mod archive;
mod background;
mod bounds;
mod copy;
mod lock;
mod manifest;
mod settings;
#[cfg(test)]
mod tests;
mod tree;

use runpod_protocol::sync::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tracing::{debug, info, warn};

use self::bounds::Bounds;
use self::lock::Lock;
use self::manifest::{Entry, Manifest};
use self::settings::Settings;
use self::tree::Tree;

pub use background::finish_syncs;

/// Files from this size on are copied as they are; smaller ones share an archive.
const THRESHOLD: u64 = 256 * 1024;
/// What coarse file systems make of a modification time, in seconds.
const TOLERANCE: f64 = 2.0;
/// How long a writer may be silent before another takes its place.
const LEASE: Duration = Duration::from_mins(10);

/// A cache of directories on the network volume.
///
/// ```no_run
/// use runpod_sdk::volume_cache::VolumeCache;
///
/// let cache = VolumeCache::new(["/models/cache"]);
/// let scope = cache.scope();      // restores what is missing here
/// // … load the model; what is downloaded lands in the directory …
/// drop(scope);                    // mirrors it back, in the background
/// ```
///
/// All of it blocks: within async code call it by `tokio::task::spawn_blocking`.
///
/// Without a volume, or without a namespace, every call does nothing.
///
/// # Variables
///
/// They win over what the code says, for every cache of the process; one that is empty counts as unset. A deployed
/// worker with one that cannot be read does not start and names it; anywhere else the calls fail with
/// [`VolumeCacheError::Variables`].
///
/// | variable | |
/// |---|---|
/// | `RUNPOD_WORKER_CACHE_VOLUME` | [`volume`](Self::volume) |
/// | `RUNPOD_WORKER_CACHE_NAMESPACE` | [`namespace`](Self::namespace); comes before `RUNPOD_ENDPOINT_ID` |
/// | `RUNPOD_WORKER_CACHE_WORKERS` | [`workers`](Self::workers), a number from 1 |
/// | `RUNPOD_WORKER_CACHE_COMPARE_CONTENT` | [`compare_content`](Self::compare_content), `true` or `false` |
/// | `RUNPOD_WORKER_CACHE_LEASE` | [`lease`](Self::lease), a time such as `10m` |
/// | `RUNPOD_WORKER_CACHE_FINISH` | how long the end of [`start`](runpod_worker::start) waits for syncs, a time such as `30s`; elsewhere [`finish_syncs`] says it |
#[derive(Debug, Clone)]
pub struct VolumeCache {
    dirs: Vec<PathBuf>,
    namespace: String,
    volume: PathBuf,
    workers: NonZeroUsize,
    hashes: bool,
    lease: Duration,
    settings: Settings,
}

/// Why a cache could not be used. What had been there before still is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VolumeCacheError {
    /// The namespace is not a plain name.
    #[error("the namespace {0:?} must be one plain part of a path")]
    Namespace(String),
    /// Variables of the environment cannot be read: one line for each.
    #[error("{0}")]
    Variables(String),
    /// The volume, or a directory here, cannot be read or written.
    #[error("{}: {source}", .path.display())]
    Io {
        /// What could not be used.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> VolumeCacheError {
    let path = path.to_owned();
    move |source| VolumeCacheError::Io { path, source }
}

/// What a [`VolumeCache::sync`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Synced {
    /// So many files were written to the volume.
    Written(usize),
    /// Another worker is writing this cache.
    Busy,
    /// There is no volume, no namespace, or none of the directories.
    Unavailable,
}

impl VolumeCache {
    /// A cache of `dirs`. Its namespace is `RUNPOD_ENDPOINT_ID`, its volume `/runpod-volume`.
    pub fn new<P: Into<PathBuf>>(dirs: impl IntoIterator<Item = P>) -> Self {
        let endpoint = std::env::var("RUNPOD_ENDPOINT_ID").unwrap_or_default();
        Self::with(Settings::from_env(), endpoint, dirs)
    }

    fn with<P: Into<PathBuf>>(
        settings: Settings,
        endpoint: String,
        dirs: impl IntoIterator<Item = P>,
    ) -> Self {
        let cpus = std::thread::available_parallelism().map_or(4, NonZeroUsize::get);
        let workers = NonZeroUsize::new((4 * cpus).min(32)).unwrap_or(NonZeroUsize::MIN);
        let volume = PathBuf::from("/runpod-volume");
        Self {
            dirs: dirs.into_iter().map(Into::into).collect(),
            namespace: settings.namespace.clone().unwrap_or(endpoint),
            volume: settings.volume.clone().unwrap_or(volume),
            workers: settings.workers.unwrap_or(workers),
            hashes: settings.compare_content.unwrap_or(false),
            lease: settings.lease.unwrap_or(LEASE),
            settings,
        }
    }

    /// The name under which the cache is kept: one plain part of a path. Default `RUNPOD_ENDPOINT_ID`.
    #[must_use]
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = self.settings.namespace.clone().unwrap_or(namespace.into());
        self
    }

    /// Where the volume is mounted. Default `/runpod-volume`.
    #[must_use]
    pub fn volume(mut self, volume: impl Into<PathBuf>) -> Self {
        self.volume = self.settings.volume.clone().unwrap_or(volume.into());
        self
    }

    /// How many large files are copied at once. Default: four for each core, at most 32. Zero counts as 1.
    #[must_use]
    pub fn workers(mut self, workers: usize) -> Self {
        let workers = NonZeroUsize::new(workers).unwrap_or(NonZeroUsize::MIN);
        self.workers = self.settings.workers.unwrap_or(workers);
        self
    }

    /// Whether files are compared by their content (SHA-256), too, and not by size and time alone.
    /// Default: off, because it reads every file. Hashes are kept in the manifest.
    #[must_use]
    pub fn compare_content(mut self, compare: bool) -> Self {
        self.hashes = self.settings.compare_content.unwrap_or(compare);
        self
    }

    /// How long a worker that writes the cache may be silent before another takes its place, and how long a file that
    /// no manifest names is left on the volume. Default 10 min: longer than the clocks of workers differ and than one
    /// large file takes.
    #[must_use]
    pub fn lease(mut self, silence: Duration) -> Self {
        self.lease = self.settings.lease.unwrap_or(silence);
        self
    }

    /// Whether there are a volume and a namespace.
    pub fn is_available(&self) -> bool {
        !self.namespace.is_empty() && self.volume.is_dir()
    }

    /// The folder on the volume, if the cache is available.
    fn root(&self) -> Result<Option<PathBuf>, VolumeCacheError> {
        if !self.settings.problems.is_empty() {
            return Err(VolumeCacheError::Variables(self.settings.problems.join("\n")));
        }
        if self.namespace.contains(['/', '\\', '\0']) || matches!(self.namespace.as_str(), "." | "..") {
            return Err(VolumeCacheError::Namespace(self.namespace.clone()));
        }
        Ok(self
            .is_available()
            .then(|| self.volume.join(".cache").join(&self.namespace)))
    }

    /// Restores what is missing here or older than on the volume. Returns how many files that were.
    ///
    /// Nothing outside the directories is written and nothing outside the cache is read, whatever its
    /// manifest says. A file that cannot be restored is left out.
    ///
    /// # Errors
    ///
    /// The namespace is no plain name, or a variable cannot be read.
    pub fn hydrate(&self) -> Result<usize, VolumeCacheError> {
        let Some(root) = self.root()? else { return Ok(0) };
        let Some(manifest) = Manifest::read(&root) else {
            return Ok(0);
        };
        let bounds = Bounds::new(&self.dirs);
        let mut restored = 0;
        if !manifest.small.is_empty() || !manifest.refs.is_empty() {
            let hashes = self.hashes.then(|| manifest.hashes_of_small());
            restored += archive::extract(&root, &bounds, hashes.as_ref());
        }
        let done = self.each(&manifest.big, |entry| {
            let (Some(target), Some(source)) = (bounds.target(&entry.path), mirrored(&root, &entry.path))
            else {
                debug!(path = entry.path, "left out: it leads outside of the cache");
                return false;
            };
            if copy::is_current(&source, &target) && self.same_content(&target, entry) {
                return false;
            }
            let wanted = entry.sha256.as_deref().filter(|_| self.hashes);
            match copy::file(&source, &target, wanted) {
                Ok(_) => true,
                Err(error) => {
                    debug!(path = entry.path, %error, "not restored");
                    false
                }
            }
        });
        restored += done.len();
        restored += manifest
            .links
            .iter()
            .filter(|link| bounds.link(&link.path, &link.target).unwrap_or(false))
            .count();
        if restored > 0 {
            info!(files = restored, "cache restored from the volume");
        }
        Ok(restored)
    }

    /// Mirrors the directories to the volume: what is new or has changed is written, what is gone here is
    /// removed there. One worker at a time; a second one does nothing.
    ///
    /// # Errors
    ///
    /// The namespace is no plain name, a variable cannot be read, or the volume cannot be written: it is full, for one. The
    /// manifest and the archive are then as they were; a large file that could not be copied does not
    /// fail the rest, it is left out.
    pub fn sync(&self) -> Result<Synced, VolumeCacheError> {
        let Some(root) = self.root()? else {
            return Ok(Synced::Unavailable);
        };
        let bounds = Bounds::new(&self.dirs);
        // A worker that has none of the directories has nothing to say about them.
        if !bounds.dirs().any(Path::is_dir) {
            return Ok(Synced::Unavailable);
        }
        std::fs::create_dir_all(&root).map_err(at(&root))?;
        let Some(lock) = Lock::take(&root.join("sync.lock"), self.lease).map_err(at(&root))? else {
            return Ok(Synced::Busy);
        };
        let tree = Tree::of(&bounds, &self.volume.join(".cache"), self.hashes);
        let before = Manifest::read(&root).unwrap_or_default();
        let written = self.mirror_small(&root, &tree, &before)?;
        lock.keep();

        let known: BTreeMap<&str, &Entry> = before
            .big
            .iter()
            .map(|entry| (entry.path.as_str(), entry))
            .collect();
        let current = Mutex::new(BTreeSet::new());
        let copied = self.each(&tree.big, |entry| {
            lock.keep();
            let source = Path::new(&entry.path);
            let Some(target) = beside(&root, &entry.path) else {
                return false;
            };
            let same = !self.hashes
                || known
                    .get(entry.path.as_str())
                    .is_some_and(|old| old.sha256 == entry.sha256);
            if copy::is_current(source, &target) && same {
                current.lock().insert(entry.path.clone());
                return false;
            }
            match copy::file(source, &target, entry.sha256.as_deref()) {
                Ok(size) => size == entry.size,
                Err(error) => {
                    warn!(path = entry.path, %error, "not written to the volume");
                    false
                }
            }
        });
        let mut current = current.into_inner();
        let written = written + copied.len();
        current.extend(copied);
        let manifest = Manifest {
            small: tree.small,
            refs: tree.refs,
            links: tree.links,
            // Only what the volume really has: a failed copy must not be served later.
            big: tree
                .big
                .into_iter()
                .filter(|entry| current.contains(&entry.path))
                .collect(),
            ..Manifest::default()
        };
        manifest.write(&root).map_err(at(&root))?;
        manifest.prune(&root, self.lease);
        if written > 0 {
            info!(files = written, "cache written to the volume");
        }
        Ok(Synced::Written(written))
    }

    /// The same on a thread of its own. [`start`](runpod_worker::start) waits for it before the process ends, 30 s
    /// at most; other programs call [`finish_syncs`]. What goes wrong is logged.
    pub fn sync_in_background(&self) {
        background::spawn(self.clone());
    }

    /// Hydrates now, and syncs in the background when what it returns is dropped. What goes wrong is
    /// logged: a cache that does not work makes a worker slow, not ill.
    pub fn scope(&self) -> Scope {
        if let Err(error) = self.hydrate() {
            warn!(%error, "the cache on the volume could not be used");
        }
        Scope(self.clone())
    }

    /// Packs the small files anew if any has changed or is gone. Returns how many had changed.
    fn mirror_small(&self, root: &Path, tree: &Tree, before: &Manifest) -> Result<usize, VolumeCacheError> {
        let file = root.join(archive::NAME);
        let files: Vec<&Entry> = tree.small.iter().chain(&tree.refs).collect();
        if files.is_empty() {
            // Before the manifest: one that names no small files must not stand beside a live archive.
            return match std::fs::remove_file(&file) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(&file)(error)),
                _ => Ok(0),
            };
        }
        let old: BTreeMap<&str, &Entry> = before
            .small
            .iter()
            .chain(&before.refs)
            .map(|old| (old.path.as_str(), old))
            .collect();
        let changed = files
            .iter()
            .filter(|new| {
                old.get(new.path.as_str())
                    .is_none_or(|old| new.differs_from(old, self.hashes))
            })
            .count();
        let here: BTreeSet<&str> = files.iter().map(|entry| entry.path.as_str()).collect();
        let gone = old.keys().any(|path| !here.contains(path));
        if changed > 0 || gone || !file.is_file() {
            archive::pack(root, &files).map_err(at(&file))?;
        }
        Ok(changed)
    }

    fn same_content(&self, file: &Path, entry: &Entry) -> bool {
        match entry.sha256.as_deref().filter(|_| self.hashes) {
            Some(wanted) => copy::sha256(file).is_ok_and(|found| found == wanted),
            None => true,
        }
    }

    /// Does `work` for each entry, several at once. Returns the paths for which it was done.
    fn each(&self, entries: &[Entry], work: impl Fn(&Entry) -> bool + Sync) -> Vec<String> {
        let next = AtomicUsize::new(0);
        let done = Mutex::new(Vec::new());
        let run = || {
            while let Some(entry) = entries.get(next.fetch_add(1, Ordering::Relaxed)) {
                if work(entry) {
                    done.lock().push(entry.path.clone());
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..self.workers.get().min(entries.len()) {
                scope.spawn(run);
            }
            run();
        });
        done.into_inner()
    }
}

/// Syncs in the background when it is dropped; see [`VolumeCache::scope`].
#[derive(Debug)]
#[must_use = "the cache is written when this is dropped"]
pub struct Scope(VolumeCache);

impl Drop for Scope {
    fn drop(&mut self) {
        self.0.sync_in_background();
    }
}

/// Where a large file lies on the volume.
fn beside(root: &Path, path: &str) -> Option<PathBuf> {
    bounds::is_plain(path).then(|| root.join("big").join(path.trim_start_matches('/')))
}

/// The same, if it is there and really within the cache.
fn mirrored(root: &Path, path: &str) -> Option<PathBuf> {
    let big = root.join("big").canonicalize().ok()?;
    let file = beside(root, path)?.canonicalize().ok()?;
    (file.starts_with(&big) && file.is_file()).then_some(file)
}
