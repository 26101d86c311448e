//! One writer at a time. The lock saves work; what saves the data is that files are only ever moved into
//! their place whole, so a lock that is lost to a clock or a network file system does no harm.

use runpod_protocol::sync::Mutex;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use serde::{Deserialize, Serialize};

use super::copy::{seconds, whole};

/// The lock of one cache. Dropping it lets the next one in.
#[derive(Debug)]
pub(super) struct Lock {
    path: PathBuf,
    owner: String,
    lease: Duration,
    renewed: Mutex<Instant>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Ticket {
    owner: String,
    /// Seconds since 1970.
    until: f64,
}

impl Ticket {
    fn read(path: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(path).ok()?).ok()
    }
}

impl Lock {
    /// `None` if somebody else has it.
    pub(super) fn take(path: &Path, lease: Duration) -> io::Result<Option<Self>> {
        let lock = Self {
            path: path.to_owned(),
            owner: uuid::Uuid::new_v4().to_string(),
            lease,
            renewed: Mutex::new(Instant::now()),
        };
        if lock.create()? || (lock.clear_the_way()? && lock.create()?) {
            return Ok(Some(lock));
        }
        // Dropping ours leaves the other's alone.
        Ok(None)
    }

    fn ticket(&self) -> io::Result<Vec<u8>> {
        let until = seconds(SystemTime::now()) + self.lease.as_secs_f64();
        let owner = self.owner.clone();
        serde_json::to_vec(&Ticket { owner, until }).map_err(io::Error::other)
    }

    fn create(&self) -> io::Result<bool> {
        match OpenOptions::new().write(true).create_new(true).open(&self.path) {
            Ok(mut file) => {
                if let Err(error) = file.write_all(&self.ticket()?) {
                    let _ = fs::remove_file(&self.path);
                    return Err(error);
                }
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Puts a lock aside whose owner has been silent for too long.
    fn clear_the_way(&self) -> io::Result<bool> {
        let stale = |path: &Path| match Ticket::read(path) {
            Some(ticket) => ticket.until < seconds(SystemTime::now()),
            // Torn, or just being written: its age tells.
            None => fs::metadata(path)
                .and_then(|metadata| metadata.modified())
                .is_ok_and(|written| written.elapsed().is_ok_and(|age| age >= self.lease)),
        };
        if !stale(&self.path) {
            return Ok(false);
        }
        let aside = self.path.with_extension(format!("{}.rpvc.tmp", self.owner));
        match fs::rename(&self.path, &aside) {
            Ok(()) if stale(&aside) => fs::remove_file(&aside).map(|()| true),
            Ok(()) => {
                // Another was quicker, and this is its new lock.
                let _ = fs::hard_link(&aside, &self.path);
                fs::remove_file(&aside).map(|()| false)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Says that its owner is still there, when that is due.
    pub(super) fn keep(&self) {
        let mut renewed = self.renewed.lock();
        if renewed.elapsed() < self.lease / 4 {
            return;
        }
        *renewed = Instant::now();
        if let Ok(ticket) = self.ticket() {
            // If it cannot be written, somebody takes over too early, and work is done twice.
            let _ = whole(&self.path, SystemTime::now(), |file| file.write_all(&ticket));
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if Ticket::read(&self.path).is_some_and(|ticket| ticket.owner == self.owner) {
            let _ = fs::remove_file(&self.path);
        }
    }
}
