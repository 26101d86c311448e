//! The cache as programs see it.

use std::path::PathBuf;
use std::time::Duration;

use runpod_protocol::variable;
use runpod_worker::settings::Environment;
use tracing::{debug, warn};

use super::error::VolumeCacheError;
use super::layout::Layout;
use super::sync::{SyncRun, Synced};
use super::writable::WritableDirs;
use super::{background, hydrate};

/// How long a writing worker may be silent before another takes its place, and how long a file that no manifest
/// names stays on the volume.
///
/// It is longer than the clocks of workers differ, and longer than the copy of one large file takes.
pub(super) const LEASE: Duration = Duration::from_mins(10);
/// Where the platform mounts the network volume of a serverless worker.
const VOLUME: &str = "/runpod-volume";

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
/// Every call blocks. In async code, call it by `tokio::task::spawn_blocking`.
///
/// Without a volume, or without a namespace, every call does nothing.
///
/// A sync takes a lock on the volume, so that one worker writes at a time. A worker that has been silent for 10
/// minutes loses its lock. Large files are copied on four threads for each core, at most 32.
///
/// # Variables
///
/// They take precedence over the methods, for every cache of the process. An empty one counts as unset.
///
/// | variable | |
/// |---|---|
/// | `RUNPOD_WORKER_CACHE_VOLUME` | [`volume`](Self::volume) |
/// | `RUNPOD_WORKER_CACHE_NAMESPACE` | [`namespace`](Self::namespace); comes before `RUNPOD_ENDPOINT_ID` |
#[derive(Debug, Clone)]
pub struct VolumeCache {
    dirs: Vec<PathBuf>,
    namespace: String,
    volume: PathBuf,
    compare_content: bool,
    pub(super) lease: Duration,
    overrides: VariableOverrides,
}

/// The variables that are set. `None` leaves the choice to the program.
#[derive(Debug, Clone)]
struct VariableOverrides {
    volume: Option<PathBuf>,
    namespace: Option<String>,
}

impl VolumeCache {
    /// A cache of `dirs`. Its namespace is `RUNPOD_ENDPOINT_ID`, its volume `/runpod-volume`.
    pub fn new<P: Into<PathBuf>>(dirs: impl IntoIterator<Item = P>) -> Self {
        Self::from_lookup(variable::from_environment, dirs)
    }

    pub(super) fn from_lookup<P: Into<PathBuf>>(
        lookup: impl Fn(&str) -> Option<String>,
        dirs: impl IntoIterator<Item = P>,
    ) -> Self {
        let endpoint = variable::unless_blank(lookup(variable::ENDPOINT_ID)).unwrap_or_default();
        // Any text is a path or a name, so neither variable can have a problem.
        let (environment, _) = Environment::read(lookup);
        let overrides = VariableOverrides {
            volume: environment.cache_volume,
            namespace: environment.cache_namespace,
        };
        Self {
            dirs: dirs.into_iter().map(Into::into).collect(),
            namespace: overrides.namespace.clone().unwrap_or(endpoint),
            volume: overrides.volume.clone().unwrap_or_else(|| VOLUME.into()),
            compare_content: false,
            lease: LEASE,
            overrides,
        }
    }

    /// Sets the name under which the cache is kept: one plain part of a path. Default `RUNPOD_ENDPOINT_ID`.
    ///
    /// Set it where several endpoints share one cache.
    #[must_use]
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = self.overrides.namespace.clone().unwrap_or(namespace.into());
        self
    }

    /// Sets where the volume is mounted. Default `/runpod-volume`.
    ///
    /// Set it on a pod, where the volume is mounted elsewhere.
    #[must_use]
    pub fn volume(mut self, volume: impl Into<PathBuf>) -> Self {
        self.volume = self.overrides.volume.clone().unwrap_or(volume.into());
        self
    }

    /// Sets whether files are compared by their content (SHA-256), too, and not by size and time alone. Default off,
    /// because it reads every file. The manifest keeps the hashes.
    ///
    /// Set it where files are changed in place without a change of size and time, or where a damaged volume must not
    /// be served.
    #[must_use]
    pub fn compare_content(mut self, compare: bool) -> Self {
        self.compare_content = compare;
        self
    }

    /// Whether there are a volume and a namespace.
    pub fn is_available(&self) -> bool {
        !self.namespace.is_empty() && self.volume.is_dir()
    }

    /// The cache's paths on the volume, if the cache is available.
    fn layout(&self) -> Result<Option<Layout>, VolumeCacheError> {
        if self.namespace.contains(['/', '\\', '\0']) || matches!(self.namespace.as_str(), "." | "..") {
            return Err(VolumeCacheError::Namespace(self.namespace.clone()));
        }
        Ok(self
            .is_available()
            .then(|| Layout::new(self.all_caches().join(&self.namespace))))
    }

    fn all_caches(&self) -> PathBuf {
        self.volume.join(".cache")
    }

    /// Restores what is missing here or older than on the volume. Returns the number of restored files and links.
    ///
    /// It writes nothing outside of the directories and reads nothing outside of the cache, whatever the manifest
    /// says. A file that cannot be restored is left out.
    ///
    /// # Errors
    ///
    /// The namespace is no plain name.
    pub fn hydrate(&self) -> Result<usize, VolumeCacheError> {
        let Some(layout) = self.layout()? else {
            return Ok(0);
        };
        let dirs = WritableDirs::new(&self.dirs);
        Ok(hydrate::hydrate(&layout, &dirs, self.compare_content))
    }

    /// Mirrors the directories to the volume: what is new or has changed is written, what is gone here is removed
    /// there. One worker writes at a time; a second one does nothing.
    ///
    /// # Errors
    ///
    /// The namespace is no plain name, or the volume cannot be written, for example because it is full. The manifest
    /// and the archive are then unchanged. A large file that cannot be copied is left out and fails nothing else.
    pub fn sync(&self) -> Result<Synced, VolumeCacheError> {
        let Some(layout) = self.layout()? else {
            return Ok(Synced::Unavailable);
        };
        SyncRun {
            layout: &layout,
            dirs: &WritableDirs::new(&self.dirs),
            all_caches: &self.all_caches(),
            by_content: self.compare_content,
            lease: self.lease,
        }
        .run()
    }

    /// Syncs on a thread of its own and logs what goes wrong.
    ///
    /// [`start`](runpod_worker::start) waits for it before the process ends, 30 s at most. Other programs call
    /// [`finish_syncs`](super::finish_syncs).
    pub fn sync_in_background(&self) {
        let cache = self.clone();
        background::spawn(move || match cache.sync() {
            Ok(done) => debug!(?done, "background sync"),
            Err(error) => warn!(%error, "the cache on the volume could not be written"),
        });
    }

    /// Hydrates now, and syncs in the background when the returned scope is dropped.
    ///
    /// It logs what goes wrong: without its cache a worker is slow, but works.
    pub fn scope(&self) -> Scope {
        if let Err(error) = self.hydrate() {
            warn!(%error, "the cache on the volume could not be used");
        }
        Scope(self.clone())
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
