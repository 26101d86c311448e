//! The journal itself: blocking, and in an order in which every step may be the last.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use tracing::{debug, warn};

use super::disk::{Disk, Stat};
use super::entry::{self, Entry};
use super::health::Health;
use super::name::{self, Key, Name, Owner};
use super::owners::{Owners, age};
use crate::job::{JobId, Report};
use crate::settings::Journal;

/// How long starts of jobs that died are remembered, and files that could not be read are kept: as long as a
/// job may live (`docs/protocol/worker-protocol.md` §5, `policy.ttl`).
const DAY: Duration = Duration::from_hours(24);
/// What is written between two looks at whether it is still wanted.
const STEP: usize = 1 << 20;

pub(super) struct Store {
    disk: Arc<dyn Disk>,
    limits: Journal,
    root: PathBuf,
    owners: Owners,
    health: Arc<Health>,
    /// Bytes of all results, as far as this process knows.
    used: AtomicU64,
    warned_of_unreadable: AtomicBool,
    warned_of_irremovable: AtomicBool,
}

/// What the journal knows of a job that was just taken.
#[derive(Debug)]
pub(super) enum Begun {
    /// Nothing that keeps it from running. Its start is noted.
    Run,
    /// Its result.
    Stored(Report),
    /// It took its process with it, at these times.
    Poison(Vec<SystemTime>),
}

/// What became of a result that was to be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    /// It is on the disk, or was already.
    Stored,
    /// It was delivered before it was written.
    NotWanted,
    /// The results there are leave no room.
    NoRoom,
}

impl Store {
    pub(super) fn open(limits: Journal, disk: Arc<dyn Disk>, health: Arc<Health>) -> io::Result<Self> {
        let root = limits
            .dir
            .join("v1")
            .join(name::folder_of(limits.endpoint.as_deref()));
        make_dirs(&*disk, &root)?;
        let owners = Owners::join(disk.clone(), root.join("workers"))?;
        Ok(Self {
            disk,
            health,
            limits,
            root,
            owners,
            used: AtomicU64::new(0),
            warned_of_unreadable: AtomicBool::new(false),
            warned_of_irremovable: AtomicBool::new(false),
        })
    }

    pub(super) fn health(&self) -> &Health {
        &self.health
    }

    pub(super) fn limits(&self) -> &Journal {
        &self.limits
    }

    /// Looks a job up, and notes that it starts now.
    pub(super) fn begin(&self, job: &JobId) -> Begun {
        if let Some(report) = self.stored(job) {
            return Begun::Stored(report);
        }
        if self.limits.crashes == 0 {
            return Begun::Run;
        }
        let key = Key::of(job);
        let crashes = self.crashes_of(&key);
        if crashes.len() >= self.limits.crashes {
            return Begun::Poison(crashes);
        }
        if self.health.usable() {
            let mark = self.started(&key.owned_by(self.owners.me()));
            let marked = self.with_dirs(|| match self.disk.create(&mark) {
                // This process ran it before and could not remove the mark.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
                made => made.map(drop),
            });
            self.health.note(marked);
        }
        Begun::Run
    }

    /// The stored result of a job, if there is one.
    pub(super) fn stored(&self, job: &JobId) -> Option<Report> {
        self.find(job).map(|entry| entry.report)
    }

    /// Stores a result, unless it stops being `wanted` first.
    pub(super) fn write(
        &self,
        job: &JobId,
        report: &Report,
        wanted: &dyn Fn() -> bool,
    ) -> io::Result<Written> {
        let key = Key::of(job);
        // The first result of a job is its result.
        if self.with_dirs(|| self.of_key("results", &key))?.next().is_some() {
            // An earlier attempt may have failed just here.
            self.disk.sync_dir(&self.root.join("results"))?;
            return Ok(Written::Stored);
        }
        let pieces = entry::encode(job, report);
        let bytes: u64 = pieces.iter().map(|piece| piece.len() as u64).sum();
        if !self.has_room_for(bytes) {
            self.forget_delivered();
            if !self.has_room_for(bytes) {
                return Ok(Written::NoRoom);
            }
        }
        let name = key.owned_by(self.owners.me());
        let draft = self.root.join("writing").join(name.to_string());
        let written = self.write_to(&draft, &pieces, wanted);
        if !matches!(written, Ok(true)) {
            let _ = self.disk.remove(&draft);
            return written.map(|_| Written::NotWanted);
        }
        self.disk.rename(&draft, &self.result(&name))?;
        self.used.fetch_add(bytes, Ordering::Relaxed);
        self.disk.sync_dir(&self.root.join("results"))?;
        Ok(Written::Stored)
    }

    /// The job's handler has ended: what happens from now on is not its fault.
    pub(super) fn ended(&self, key: &Key) {
        if self.limits.crashes > 0 {
            self.remove(&self.started(&key.owned_by(self.owners.me())));
        }
    }

    /// The job is settled: nothing about it is kept.
    pub(super) fn settle(&self, key: &Key) {
        self.settle_all_but(None, key);
    }

    /// A leftover was delivered. It answers its job should that be handed out all the same.
    pub(super) fn delivered(&self, key: &Key) {
        let kept = key.owned_by(&Owner::nobody());
        let mine = key.owned_by(self.owners.me());
        // Where it cannot be kept, it is done with.
        let _ = self.disk.rename(&self.result(&mine), &self.result(&kept));
        self.settle_all_but(Some(&kept), key);
    }

    /// Tidies up, and lists the results that are to be delivered: those of dead processes and this one's own that are
    /// not `busy`. Oldest first, one for each job.
    pub(super) fn leftovers(&self, busy: &dyn Fn(&Key) -> bool) -> io::Result<Vec<Name>> {
        self.owners.bury()?;
        let now = self.owners.now();
        self.sweep("writing", Duration::ZERO, now)?;
        self.sweep("started", DAY, now)?;
        self.forget_ended(busy)?;
        self.sweep("unreadable", DAY, now)?;
        let mut used = 0;
        let mut found = Vec::new();
        for name in self.names("results")? {
            let Ok(stat) = self.disk.stat(&self.result(&name)) else {
                continue;
            };
            let mine = name.owner == *self.owners.me();
            let free = if mine {
                !busy(&name.key)
            } else {
                !self.owners.is_alive(&name.owner)
            };
            if free && self.has_expired(&name, stat, now) {
                continue;
            }
            used += stat.bytes;
            if free && !name.is_delivered() {
                found.push((stat.modified, name));
            }
        }
        self.used.store(used, Ordering::Relaxed);
        found.sort_by_key(|(modified, _)| *modified);
        let mut seen = HashSet::new();
        found.retain(|(_, name)| seen.insert(name.key.clone()));
        Ok(found.into_iter().map(|(_, name)| name).collect())
    }

    /// Takes a result over and reads it. `None` if another process was faster or it can't be read.
    pub(super) fn adopt(&self, name: &Name) -> Option<Entry> {
        let mine = name.key.owned_by(self.owners.me());
        if *name != mine && self.disk.rename(&self.result(name), &self.result(&mine)).is_err() {
            return None;
        }
        self.read(&mine)
    }

    /// Shows that this process lives.
    pub(super) fn renew(&self) {
        if let Err(error) = self.with_dirs(|| self.owners.renew()) {
            self.health.failed(&error);
        }
    }

    /// Says goodbye. Jobs that this process still runs end with it, but not by a crash.
    pub(super) fn close(&self) {
        for name in self.names("started").unwrap_or_default() {
            if name.owner == *self.owners.me() {
                self.remove(&self.started(&name));
            }
        }
        self.owners.leave();
    }

    /// The stored result of a job, if there is one that can be read and has not expired.
    fn find(&self, job: &JobId) -> Option<Entry> {
        let key = Key::of(job);
        let names = match self.of_key("results", &key) {
            Ok(names) => names,
            Err(error) => {
                debug!(%error, "the journal can't be read");
                return None;
            }
        };
        let mut found: Vec<(Stat, Name)> = names
            .filter_map(|name| Some((self.disk.stat(&self.result(&name)).ok()?, name)))
            .collect();
        found.sort_by_key(|(stat, _)| stat.modified);
        found.into_iter().find_map(|(stat, name)| {
            let alive = self.owners.is_alive(&name.owner);
            if !alive && self.has_expired(&name, stat, self.owners.now()) {
                return None;
            }
            // The platform has given this job to us: its result is ours to report even if it can't be renamed.
            let adopted = if alive { None } else { self.adopt(&name) };
            let entry = adopted.or_else(|| self.read(&name));
            entry.filter(|entry| entry.job == *job)
        })
    }

    /// Results that nobody has yet are worth more than those that were delivered.
    fn forget_delivered(&self) {
        let names = self.names("results").unwrap_or_default();
        for name in names.iter().filter(|name| name.is_delivered()) {
            self.remove_result(name);
        }
    }

    fn has_room_for(&self, bytes: u64) -> bool {
        self.used.load(Ordering::Relaxed).saturating_add(bytes) <= self.limits.most_bytes
    }

    fn crashes_of(&self, key: &Key) -> Vec<SystemTime> {
        let names = self.of_key("started", key).into_iter().flatten();
        let mut times: Vec<SystemTime> = names
            .filter(|name| !self.owners.is_alive(&name.owner))
            .filter_map(|name| self.disk.stat(&self.started(&name)).ok())
            .map(|stat| stat.modified)
            .collect();
        if !times.is_empty() {
            let now = self.owners.now();
            times.retain(|time| age(*time, now) <= DAY);
            times.sort_unstable();
        }
        times
    }

    fn read(&self, name: &Name) -> Option<Entry> {
        let path = self.result(name);
        let file = match self.disk.read(&path) {
            Ok(file) => file,
            Err(error) => {
                debug!(%error, "a stored result is gone or can't be read");
                return None;
            }
        };
        match entry::decode(&file) {
            Ok(entry) => Some(entry),
            Err(reason) => {
                self.set_aside(name, &reason.to_string(), file.len());
                None
            }
        }
    }

    fn set_aside(&self, name: &Name, reason: &str, bytes: usize) {
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

    fn has_expired(&self, name: &Name, stat: Stat, now: SystemTime) -> bool {
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

    /// Removes what dead processes left in a directory for longer than `limit`.
    fn sweep(&self, dir: &str, limit: Duration, now: SystemTime) -> io::Result<()> {
        for name in self.names(dir)? {
            let path = self.root.join(dir).join(name.to_string());
            let Ok(stat) = self.disk.stat(&path) else { continue };
            if age(stat.modified, now) >= limit && !self.owners.is_alive(&name.owner) {
                self.remove(&path);
            }
        }
        Ok(())
    }

    /// Removes this process's own marks of jobs that it no longer runs: the disk did not answer when they ended.
    fn forget_ended(&self, busy: &dyn Fn(&Key) -> bool) -> io::Result<()> {
        for name in self.names("started")? {
            if name.owner == *self.owners.me() && !busy(&name.key) {
                self.remove(&self.started(&name));
            }
        }
        Ok(())
    }

    fn write_to(&self, draft: &Path, pieces: &[bytes::Bytes], wanted: &dyn Fn() -> bool) -> io::Result<bool> {
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

    /// Removes what need not be there any more. That it stays is no reason to write nothing else.
    fn remove(&self, path: &Path) {
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

    fn settle_all_but(&self, kept: Option<&Name>, key: &Key) {
        for name in self.of_key("results", key).into_iter().flatten() {
            if Some(&name) != kept {
                self.remove_result(&name);
            }
        }
        for name in self.of_key("started", key).into_iter().flatten() {
            self.remove(&self.started(&name));
        }
    }

    fn remove_result(&self, name: &Name) {
        let path = self.result(name);
        if let Ok(stat) = self.disk.stat(&path) {
            let less = |used: u64| Some(used.saturating_sub(stat.bytes));
            let _ = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        }
        self.remove(&path);
    }

    /// Does it once more if the directories were taken away.
    fn with_dirs<T>(&self, work: impl Fn() -> io::Result<T>) -> io::Result<T> {
        match work() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                make_dirs(&*self.disk, &self.root)?;
                work()
            }
            done => done,
        }
    }

    fn of_key(&self, dir: &str, key: &Key) -> io::Result<impl Iterator<Item = Name>> {
        let names = self.names(dir)?;
        Ok(names.into_iter().filter(move |name| name.key == *key))
    }

    fn names(&self, dir: &str) -> io::Result<Vec<Name>> {
        let names = self.disk.names(&self.root.join(dir))?;
        Ok(names.iter().filter_map(|name| Name::read(name)).collect())
    }

    fn result(&self, name: &Name) -> PathBuf {
        self.root.join("results").join(name.to_string())
    }

    fn started(&self, name: &Name) -> PathBuf {
        self.root.join("started").join(name.to_string())
    }
}

fn make_dirs(disk: &dyn Disk, root: &Path) -> io::Result<()> {
    ["results", "started", "workers", "writing", "unreadable"]
        .iter()
        .try_for_each(|dir| disk.make_dir(&root.join(dir)))
}
