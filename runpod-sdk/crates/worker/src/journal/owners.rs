//! Which of the processes that share the directory are alive.
//!
//! A process locks its file under `workers/` and touches it every 15 s. On the same machine the lock tells at once
//! whether it lives; from elsewhere it counts as dead when its file has not been touched for a minute. Ages are
//! differences between the disk's own times, so that clocks of machines need not agree.

use runpod_protocol::sync::Mutex;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::disk::{Disk, SignOfLife};
use super::name::Owner;

pub(super) const RENEW: Duration = Duration::from_secs(15);
const DEAD_AFTER: Duration = Duration::from_mins(1);

pub(super) struct Owners {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    me: Owner,
    sign: Mutex<Option<Box<dyn SignOfLife>>>,
}

impl Owners {
    /// Shows that this process lives.
    pub(super) fn join(disk: Arc<dyn Disk>, dir: PathBuf) -> io::Result<Self> {
        let me = Owner::new();
        let sign = disk.show_life(&dir.join(me.as_str()))?;
        Ok(Self {
            disk,
            dir,
            me,
            sign: Mutex::new(Some(sign)),
        })
    }

    pub(super) fn me(&self) -> &Owner {
        &self.me
    }

    /// Shows once more that this process lives.
    pub(super) fn renew(&self) -> io::Result<()> {
        let mut sign = self.sign.lock();
        let Some(active_jobs) = sign.as_mut() else {
            return Ok(());
        };
        let path = self.dir.join(self.me.as_str());
        // Somebody who could not see this process for a minute may have taken its file away.
        if self
            .disk
            .stat(&path)
            .is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
        {
            *active_jobs = self.disk.show_life(&path)?;
            return Ok(());
        }
        active_jobs.renew()
    }

    /// The disk's time.
    pub(super) fn now(&self) -> SystemTime {
        // On a disk that can't be written the last touch has to do: then everything seems younger than it is.
        let _ = self.renew();
        let own = self.disk.stat(&self.dir.join(self.me.as_str()));
        own.map_or_else(|_| SystemTime::now(), |stat| stat.modified)
    }

    /// Whether the process behind a file is alive. When in doubt, it is.
    pub(super) fn is_alive(&self, owner: &Owner) -> bool {
        if *owner == self.me {
            return true;
        }
        let path = self.dir.join(owner.as_str());
        match self.disk.lives(&path) {
            Ok(Some(alive)) => return alive,
            Ok(None) => {}
            Err(error) => return error.kind() != io::ErrorKind::NotFound,
        }
        match self.disk.stat(&path) {
            Ok(stat) => age(stat.modified, self.now()) < DEAD_AFTER,
            Err(error) => error.kind() != io::ErrorKind::NotFound,
        }
    }

    /// Removes the files of those who died.
    pub(super) fn bury(&self) -> io::Result<()> {
        for name in self.disk.names(&self.dir)? {
            if !self.is_alive(&name.as_str().into()) {
                // Another one may be as tidy.
                let _ = self.disk.remove(&self.dir.join(name));
            }
        }
        Ok(())
    }

    /// Says goodbye: from now on this process counts as gone.
    pub(super) fn leave(&self) {
        let sign = self.sign.lock().take();
        if sign.is_some() {
            let _ = self.disk.remove(&self.dir.join(self.me.as_str()));
        }
    }
}

/// How long ago something was. Times in the future are now.
pub(super) fn age(then: SystemTime, now: SystemTime) -> Duration {
    now.duration_since(then).unwrap_or_default()
}
