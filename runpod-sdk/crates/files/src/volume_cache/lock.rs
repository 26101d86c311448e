//! The lock that lets one worker write at a time.
//!
//! The lock saves work. It does not protect the data: files are moved to their places complete, so a lock that is lost
//! to a wrong clock or to a network file system does no harm.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use runpod_protocol::sync::Mutex;
use serde::{Deserialize, Serialize};

use super::atomic_file::{self, UNFINISHED, seconds};
use super::bounded;

/// The most bytes of the lock's file.
const LONGEST_RECORD: u64 = 4096;

/// The lock of one cache. Dropping it releases it.
#[derive(Debug)]
pub(super) struct SyncLock {
    path: PathBuf,
    owner: String,
    lease: Duration,
    renewed: Mutex<Instant>,
}

/// What the lock's file says.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct LockRecord {
    owner: String,
    /// When the lock expires, in seconds since 1970.
    until: f64,
}

impl LockRecord {
    fn read(path: &Path) -> Option<Self> {
        serde_json::from_slice(&bounded::read(path, LONGEST_RECORD).ok()?).ok()
    }
}

impl SyncLock {
    /// Takes the lock. `None` if another worker has it.
    pub(super) fn take(path: &Path, lease: Duration) -> io::Result<Option<Self>> {
        let lock = Self {
            path: path.to_owned(),
            owner: uuid::Uuid::new_v4().to_string(),
            lease,
            renewed: Mutex::new(Instant::now()),
        };
        if lock.create()? || (lock.remove_stale()? && lock.create()?) {
            return Ok(Some(lock));
        }
        // Dropping this value leaves the other worker's file alone.
        Ok(None)
    }

    fn record(&self) -> io::Result<Vec<u8>> {
        let until = seconds(SystemTime::now()) + self.lease.as_secs_f64();
        let owner = self.owner.clone();
        serde_json::to_vec(&LockRecord { owner, until }).map_err(io::Error::other)
    }

    /// Creates the lock's file. Returns whether it did not exist.
    fn create(&self) -> io::Result<bool> {
        match OpenOptions::new().write(true).create_new(true).open(&self.path) {
            Ok(mut file) => {
                if let Err(error) = file.write_all(&self.record()?) {
                    let _ = fs::remove_file(&self.path);
                    return Err(error);
                }
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Removes a lock that has expired. Returns whether the file is gone.
    fn remove_stale(&self) -> io::Result<bool> {
        let stale = |path: &Path| match LockRecord::read(path) {
            Some(record) => record.until < seconds(SystemTime::now()),
            // The file is torn or just being written. Its age decides.
            None => fs::metadata(path)
                .and_then(|metadata| metadata.modified())
                .is_ok_and(|written| written.elapsed().is_ok_and(|age| age >= self.lease)),
        };
        if !stale(&self.path) {
            return Ok(false);
        }
        let aside = self.path.with_extension(format!("{}{UNFINISHED}", self.owner));
        match fs::rename(&self.path, &aside) {
            Ok(()) if stale(&aside) => fs::remove_file(&aside).map(|()| true),
            Ok(()) => {
                // Another worker was faster, and this is its new lock.
                let _ = fs::hard_link(&aside, &self.path);
                fs::remove_file(&aside).map(|()| false)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Renews the lock if a quarter of its time has passed.
    pub(super) fn renew_if_due(&self) {
        let mut renewed = self.renewed.lock();
        if renewed.elapsed() < self.lease / 4 {
            return;
        }
        *renewed = Instant::now();
        if let Ok(record) = self.record() {
            // If this fails, another worker takes over early, and work is done twice.
            let _ = atomic_file::write(&self.path, SystemTime::now(), |file| file.write_all(&record));
        }
    }
}

impl Drop for SyncLock {
    fn drop(&mut self) {
        if LockRecord::read(&self.path).is_some_and(|record| record.owner == self.owner) {
            let _ = fs::remove_file(&self.path);
        }
    }
}
