//! Detects which of the processes that share the directory are alive.
//!
//! A process locks its file under `workers/` and touches it every 15 s. On the same machine the lock shows at once
//! whether it is alive. On another machine it counts as dead when its file was not touched for a minute. Ages are
//! differences between times of the disk, so the clocks of machines need not agree.

use runpod_protocol::sync::Mutex;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::disk::{Disk, LivenessFile};
use super::name::Owner;

pub(super) const RENEW_INTERVAL: Duration = Duration::from_secs(15);
const DEAD_AFTER: Duration = Duration::from_mins(1);

pub(super) struct Liveness {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    me: Owner,
    sign: Mutex<Option<Box<dyn LivenessFile>>>,
}

impl Liveness {
    /// Creates the liveness file of this process.
    pub(super) fn join(disk: Arc<dyn Disk>, dir: PathBuf) -> io::Result<Self> {
        let me = Owner::new();
        let sign = disk.create_liveness_file(&dir.join(me.as_str()))?;
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

    /// Touches the liveness file of this process.
    pub(super) fn renew(&self) -> io::Result<()> {
        let mut sign = self.sign.lock();
        let Some(held) = sign.as_mut() else { return Ok(()) };
        let path = self.dir.join(self.me.as_str());
        // Another machine that did not see this process for a minute may have removed its file.
        if self
            .disk
            .stat(&path)
            .is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
        {
            *held = self.disk.create_liveness_file(&path)?;
            return Ok(());
        }
        held.renew()
    }

    /// The current time by the disk's clock.
    pub(super) fn now(&self) -> SystemTime {
        // On a disk that cannot be written the last touch is used; then files seem younger than they are.
        let _ = self.renew();
        let own = self.disk.stat(&self.dir.join(self.me.as_str()));
        own.map_or_else(|_| SystemTime::now(), |stat| stat.modified)
    }

    /// Whether the process of a file is alive. In doubt it counts as alive.
    pub(super) fn is_alive(&self, owner: &Owner) -> bool {
        if *owner == self.me {
            return true;
        }
        let path = self.dir.join(owner.as_str());
        match self.disk.is_alive(&path) {
            Ok(Some(alive)) => return alive,
            Ok(None) => {}
            Err(error) => return error.kind() != io::ErrorKind::NotFound,
        }
        match self.disk.stat(&path) {
            Ok(stat) => age(stat.modified, self.now()) < DEAD_AFTER,
            Err(error) => error.kind() != io::ErrorKind::NotFound,
        }
    }

    /// Removes the liveness files of dead processes.
    pub(super) fn remove_dead(&self) -> io::Result<()> {
        for name in self.disk.names(&self.dir)? {
            if !self.is_alive(&name.as_str().into()) {
                // Another process may remove it at the same time.
                let _ = self.disk.remove(&self.dir.join(name));
            }
        }
        Ok(())
    }

    /// Removes the liveness file: from now on this process counts as dead.
    pub(super) fn leave(&self) {
        let sign = self.sign.lock().take();
        if sign.is_some() {
            let _ = self.disk.remove(&self.dir.join(self.me.as_str()));
        }
    }
}

/// The time between `then` and `now`; zero for a time in the future.
pub(super) fn age(then: SystemTime, now: SystemTime) -> Duration {
    now.duration_since(then).unwrap_or_default()
}
