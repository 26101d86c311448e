//! The file operations of the [`Store`]: reading, writing, removing and naming its files.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use tracing::{debug, warn};

use super::{STEP, Store};
use crate::journal::disk::{Disk, FileStat};
use crate::journal::format::{self, StoredResult};
use crate::journal::liveness::age;
use crate::journal::name::{FileName, JobKey};

impl Store {
    pub(super) fn read(&self, name: &FileName) -> Option<StoredResult> {
        let path = self.result(name);
        let file = self
            .disk
            .stat(&path)
            .and_then(|stat| match self.is_no_result(name, stat) {
                Some(reason) => {
                    self.set_aside(name, &reason, stat.bytes);
                    Ok(None)
                }
                None => self.disk.read(&path).map(Some),
            });
        let file = match file {
            Ok(file) => file?,
            Err(error) => {
                debug!(%error, "a stored result is gone or can't be read");
                return None;
            }
        };
        match format::decode(&file) {
            Ok(entry) => Some(entry),
            Err(reason) => {
                self.set_aside(name, &reason.to_string(), file.len() as u64);
                None
            }
        }
    }

    /// Why a file is no result, by its beginning and its size; `None` if it may be one, or cannot be read.
    pub(super) fn is_no_result(&self, name: &FileName, stat: FileStat) -> Option<String> {
        let head = self.disk.read_head(&self.result(name), format::FIRST_LINE).ok()?;
        format::check_head(&head, stat.bytes)
            .err()
            .map(|reason| reason.to_string())
    }

    pub(super) fn set_aside(&self, name: &FileName, reason: &str, bytes: u64) {
        let place = self.root.join("unreadable").join(name.to_string());
        let moved = self.disk.rename(&self.result(name), &place);
        if self.warned_of_unreadable.swap(true, Ordering::Relaxed) {
            debug!(reason, bytes, "one more stored result can't be read");
        } else {
            warn!(
                reason,
                bytes,
                "a stored result can't be read; it is set aside as {}, and so is every other such without \
                 another word",
                place.display()
            );
        }
        self.health.note(moved);
    }

    pub(super) fn has_expired(&self, name: &FileName, stat: FileStat, now: SystemTime) -> bool {
        let expired = age(stat.modified, now) > self.limits.keep;
        if expired && !name.is_delivered() {
            warn!(
                job = %name.key, bytes = stat.bytes, keep = ?self.limits.keep,
                "a stored result could not be delivered in time and is dropped"
            );
        }
        if expired {
            self.remove(&self.result(name));
        }
        expired
    }

    /// Removes files of dead processes in `dir` that are older than `limit`.
    pub(super) fn sweep(&self, dir: &str, limit: Duration, now: SystemTime) -> io::Result<()> {
        for name in self.names(dir)? {
            let path = self.root.join(dir).join(name.to_string());
            let Ok(stat) = self.disk.stat(&path) else { continue };
            if age(stat.modified, now) >= limit && !self.liveness.is_alive(&name.owner) {
                self.remove(&path);
            }
        }
        Ok(())
    }

    /// Removes this process's marks of jobs that have ended while the disk did not answer.
    pub(super) fn forget_ended(&self, busy: &dyn Fn(&JobKey) -> bool) -> io::Result<()> {
        for name in self.names("started")? {
            if name.owner == *self.liveness.me() && !busy(&name.key) {
                self.remove(&self.started(&name));
            }
        }
        Ok(())
    }

    pub(super) fn write_to(
        &self,
        draft: &Path,
        pieces: &[bytes::Bytes],
        wanted: &dyn Fn() -> bool,
    ) -> io::Result<bool> {
        if !wanted() {
            return Ok(false);
        }
        let mut file = match self.disk.create(draft) {
            // An earlier attempt of this process failed half-way.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.disk.remove(draft)?;
                self.disk.create(draft)?
            }
            made => made?,
        };
        for step in pieces.iter().flat_map(|piece| piece.chunks(STEP)) {
            if !wanted() {
                return Ok(false);
            }
            file.append(step)?;
        }
        if !wanted() {
            return Ok(false);
        }
        file.sync()?;
        Ok(wanted())
    }

    /// Removes a file. A failure is logged and does not mark the disk as failed.
    pub(super) fn remove(&self, path: &Path) {
        match self.disk.remove(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                let path = path.display();
                if self.warned_of_irremovable.swap(true, Ordering::Relaxed) {
                    debug!(%error, "one more file of the journal can't be removed: {path}");
                } else {
                    warn!(
                        %error,
                        "a file of the journal can't be removed: {path}; a result that stays is delivered once more \
                         by a later start, and a mark of a start may count as a crash. Others that stay are logged \
                         at level debug"
                    );
                }
            }
            _ => {}
        }
    }

    pub(super) fn settle_all_but(&self, kept: Option<&FileName>, key: &JobKey) {
        for name in self.of_key("results", key).into_iter().flatten() {
            if Some(&name) != kept {
                self.remove_result(&name);
            }
        }
        for name in self.of_key("started", key).into_iter().flatten() {
            self.remove(&self.started(&name));
        }
    }

    pub(super) fn remove_result(&self, name: &FileName) {
        let path = self.result(name);
        if let Ok(stat) = self.disk.stat(&path) {
            let less = |used: u64| Some(used.saturating_sub(stat.bytes));
            let _ = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        }
        self.remove(&path);
    }

    /// Runs `work`, and once more if the directories were missing.
    pub(super) fn with_dirs<T>(&self, work: impl Fn() -> io::Result<T>) -> io::Result<T> {
        match work() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                make_dirs(&*self.disk, &self.root)?;
                work()
            }
            done => done,
        }
    }

    pub(super) fn of_key(&self, dir: &str, key: &JobKey) -> io::Result<impl Iterator<Item = FileName>> {
        let names = self.names(dir)?;
        Ok(names.into_iter().filter(move |name| name.key == *key))
    }

    pub(super) fn names(&self, dir: &str) -> io::Result<Vec<FileName>> {
        let names = self.disk.names(&self.root.join(dir))?;
        Ok(names.iter().filter_map(|name| FileName::read(name)).collect())
    }

    pub(super) fn result(&self, name: &FileName) -> PathBuf {
        self.root.join("results").join(name.to_string())
    }

    pub(super) fn started(&self, name: &FileName) -> PathBuf {
        self.root.join("started").join(name.to_string())
    }
}

pub(super) fn make_dirs(disk: &dyn Disk, root: &Path) -> io::Result<()> {
    ["results", "started", "workers", "writing", "unreadable"]
        .iter()
        .try_for_each(|dir| disk.make_dir(&root.join(dir)))
}
