//! Scratch directories: one for each job that asks, removed when the job ends.
//!
//! Below the base directory each process has its own, created when the first job asks:
//!
//! ```text
//! /tmp/runpod-scratch-<random>.lock   locked as long as the process lives
//! /tmp/runpod-scratch-<random>/       only its user may enter
//! /tmp/runpod-scratch-<random>/1/     of the first job that asked
//! ```
//!
//! The lock is a file lock, which the system releases when the process ends in any way. A lock that can be acquired
//! therefore belongs to a dead process, on any machine that shares the directory.

mod leftovers;
#[cfg(test)]
mod tests;

use runpod_protocol::sync::Mutex;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tracing::warn;

/// The prefix of this crate's files in the base directory.
const PREFIX: &str = "runpod-scratch-";
const LOCK: &str = ".lock";

/// The scratch directories of one worker.
#[derive(Debug)]
pub(crate) struct Scratch {
    base: PathBuf,
    own: Mutex<Option<Arc<ProcessDirectory>>>,
    jobs: AtomicU64,
}

/// The directory of this process, with its lock.
#[derive(Debug)]
struct ProcessDirectory {
    directory: PathBuf,
    lock_path: PathBuf,
    /// Locked until this is dropped.
    _lock: File,
}

impl Scratch {
    /// Scratch directories below `base`, by default the system's directory for temporary files.
    pub(crate) fn new(base: Option<PathBuf>) -> Self {
        Self {
            base: base.unwrap_or_else(std::env::temp_dir),
            own: Mutex::new(None),
            jobs: AtomicU64::new(0),
        }
    }

    /// Removes the directories of dead processes.
    pub(crate) fn remove_leftovers(&self) {
        leftovers::remove_all(&self.base);
    }

    fn own(&self) -> io::Result<Arc<ProcessDirectory>> {
        let mut own = self.own.lock();
        match &*own {
            Some(own) => Ok(own.clone()),
            None => {
                let made = Arc::new(ProcessDirectory::make(&self.base)?);
                Ok(own.insert(made).clone())
            }
        }
    }
}

impl ProcessDirectory {
    fn make(base: &Path) -> io::Result<Self> {
        let named = |path: &Path| {
            let path = path.display().to_string();
            move |error: io::Error| io::Error::new(error.kind(), format!("{path}: {error}"))
        };
        // The system's directory exists; a configured one may not exist yet.
        fs::create_dir_all(base).map_err(named(base))?;
        loop {
            let name = format!("{PREFIX}{}", uuid::Uuid::new_v4().simple());
            let lock_path = base.join(format!("{name}{LOCK}"));
            let mut new = File::options();
            let lock = new.write(true).create_new(true).mode(0o600).open(&lock_path);
            let lock = lock.map_err(named(&lock_path))?;
            lock.lock().map_err(named(&lock_path))?;
            // Another process may have removed the file as a dead one's before it was locked.
            if lock.metadata()?.nlink() == 0 {
                continue;
            }
            let directory = base.join(name);
            make_private(&directory).map_err(named(&directory))?;
            return Ok(Self {
                directory,
                lock_path,
                _lock: lock,
            });
        }
    }
}

impl Drop for ProcessDirectory {
    fn drop(&mut self) {
        // The directory goes first: while the lock file exists, another process can finish the removal.
        if remove(&self.directory) {
            let _ = fs::remove_file(&self.lock_path);
        }
    }
}

/// The scratch directory of one job, created on request and removed when this is dropped.
#[derive(Debug)]
pub(crate) struct JobScratch {
    scratch: Arc<Scratch>,
    made: Mutex<Option<JobDirectory>>,
}

#[derive(Debug)]
struct JobDirectory {
    path: PathBuf,
    /// The process's directory outlives the job's.
    _own: Arc<ProcessDirectory>,
}

impl JobScratch {
    pub(crate) fn new(scratch: Arc<Scratch>) -> Self {
        Self {
            scratch,
            made: Mutex::new(None),
        }
    }

    /// The directory; the first call creates it.
    pub(crate) fn directory(&self) -> io::Result<PathBuf> {
        let mut made = self.made.lock();
        if let Some(made) = &*made {
            return Ok(made.path.clone());
        }
        let own = self.scratch.own()?;
        let number = self.scratch.jobs.fetch_add(1, Ordering::Relaxed) + 1;
        let path = own.directory.join(number.to_string());
        make_private(&path)?;
        Ok(made.insert(JobDirectory { path, _own: own }).path.clone())
    }
}

impl Drop for JobScratch {
    fn drop(&mut self) {
        let made = self.made.get_mut();
        if let Some(made) = made.take() {
            remove(&made.path);
        }
    }
}

/// Creates a directory that only its owner may enter. It must not exist yet.
fn make_private(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)
}

/// Removes a directory and its contents, without following links. Returns whether it is gone.
fn remove(path: &Path) -> bool {
    match fs::remove_dir_all(path) {
        Ok(()) => true,
        Err(error) if error.kind() == io::ErrorKind::NotFound => true,
        Err(error) => {
            warn!(path = %path.display(), %error, "a scratch directory could not be removed");
            false
        }
    }
}
