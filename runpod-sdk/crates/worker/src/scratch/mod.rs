//! A directory for each job that wants one, gone when the job is.
//!
//! Below the base directory each process has one of its own, made when the first job asks:
//!
//! ```text
//! /tmp/runpod-scratch-<random>.lock   locked as long as the process lives
//! /tmp/runpod-scratch-<random>/       only its user may enter
//! /tmp/runpod-scratch-<random>/1/     of the first job that asked
//! ```
//!
//! The lock is the system's, which drops it with the process however that ends. So a lock that can be had
//! is that of a dead process, on any machine that shares the directory, and no number can be mistaken for
//! another's.

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

/// How the files of this crate in the base directory are called.
const PREFIX: &str = "runpod-scratch-";
const LOCK: &str = ".lock";

/// The scratch directories of one worker.
#[derive(Debug)]
pub(crate) struct Scratch {
    base: PathBuf,
    own: Mutex<Option<Arc<Own>>>,
    jobs: AtomicU64,
}

/// What belongs to this process.
#[derive(Debug)]
struct Own {
    directory: PathBuf,
    lock_path: PathBuf,
    /// Locked until it is dropped.
    _lock: File,
}

impl Scratch {
    /// Directories below `base`, by default the system's directory for temporary files.
    pub(crate) fn new(base: Option<PathBuf>) -> Self {
        Self {
            base: base.unwrap_or_else(std::env::temp_dir),
            own: Mutex::new(None),
            jobs: AtomicU64::new(0),
        }
    }

    /// Removes what dead processes have left.
    pub(crate) fn remove_leftovers(&self) {
        leftovers::remove_all(&self.base);
    }

    fn own(&self) -> io::Result<Arc<Own>> {
        let mut own = self.own.lock();
        match &*own {
            Some(own) => Ok(own.clone()),
            None => {
                let made = Arc::new(Own::make(&self.base)?);
                Ok(own.insert(made).clone())
            }
        }
    }
}

impl Own {
    fn make(base: &Path) -> io::Result<Self> {
        let named = |path: &Path| {
            let path = path.display().to_string();
            move |error: io::Error| io::Error::new(error.kind(), format!("{path}: {error}"))
        };
        // A base that the system gives is there; one that people name may not be yet.
        fs::create_dir_all(base).map_err(named(base))?;
        loop {
            let name = format!("{PREFIX}{}", uuid::Uuid::new_v4().simple());
            let lock_path = base.join(format!("{name}{LOCK}"));
            let mut new = File::options();
            let lock = new.write(true).create_new(true).mode(0o600).open(&lock_path);
            let lock = lock.map_err(named(&lock_path))?;
            lock.lock().map_err(named(&lock_path))?;
            // Another process may have taken it for a dead one's before it was locked.
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

impl Drop for Own {
    fn drop(&mut self) {
        // The directory first: as long as the lock's file is there, somebody can finish this.
        if remove(&self.directory) {
            let _ = fs::remove_file(&self.lock_path);
        }
    }
}

/// The scratch directory of one job, if it asks for it. Removed when this is dropped.
#[derive(Debug)]
pub(crate) struct JobScratch {
    scratch: Arc<Scratch>,
    made: Mutex<Option<Made>>,
}

#[derive(Debug)]
struct Made {
    path: PathBuf,
    /// It goes after the job's.
    _own: Arc<Own>,
}

impl JobScratch {
    pub(crate) fn new(scratch: Arc<Scratch>) -> Self {
        Self {
            scratch,
            made: Mutex::new(None),
        }
    }

    /// The directory, made at the first call.
    pub(crate) fn directory(&self) -> io::Result<PathBuf> {
        let mut made = self.made.lock();
        if let Some(made) = &*made {
            return Ok(made.path.clone());
        }
        let own = self.scratch.own()?;
        let number = self.scratch.jobs.fetch_add(1, Ordering::Relaxed) + 1;
        let path = own.directory.join(number.to_string());
        make_private(&path)?;
        Ok(made.insert(Made { path, _own: own }).path.clone())
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

/// Makes a directory that was not there, and that nobody else may enter.
fn make_private(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)
}

/// Removes a directory with all it holds, and follows no link out of it. Whether it is gone.
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
