//! The blocking operations of the journal. Their steps are ordered so that the process may die after each.

mod files;

use std::collections::HashSet;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use tracing::debug;

use self::files::make_dirs;
use super::disk::{Disk, FileStat};
use super::format::{self, StoredResult};
use super::health::DiskHealth;
use super::liveness::{Liveness, age};
use super::name::{self, FileName, JobKey, Owner};
use crate::job::{JobId, JobReport};
use crate::settings::Journal;

/// The time for which starts of jobs and unreadable files are kept: the longest life of a job
/// (`docs/protocol/worker-protocol.md` §5, `policy.ttl`).
const DAY: Duration = Duration::from_hours(24);
/// The bytes that are written between two checks of whether the result is still wanted.
const STEP: usize = 1 << 20;

pub(super) struct Store {
    disk: Arc<dyn Disk>,
    limits: Journal,
    root: PathBuf,
    liveness: Liveness,
    health: Arc<DiskHealth>,
    /// The bytes of all results, as far as this process knows.
    used: AtomicU64,
    warned_of_unreadable: AtomicBool,
    warned_of_irremovable: AtomicBool,
}

/// What the journal knows about a job that was just taken.
#[derive(Debug)]
pub(super) enum JobHistory {
    /// The job may run. Its start is recorded.
    Run,
    /// The job has this stored result.
    Stored(JobReport),
    /// The job's process died while it ran, at these times.
    Poisonous(Vec<SystemTime>),
}

/// The outcome of a write of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WriteOutcome {
    /// The result is on the disk, or was already.
    Stored,
    /// The result was delivered before it was written.
    NotWanted,
    /// The stored results leave no room for it.
    NoRoom,
}

impl Store {
    pub(super) fn open(limits: Journal, disk: Arc<dyn Disk>, health: Arc<DiskHealth>) -> io::Result<Self> {
        let root = limits
            .dir
            .join("v1")
            .join(name::folder_of(limits.endpoint.as_deref()));
        make_dirs(&*disk, &root)?;
        let liveness = Liveness::join(disk.clone(), root.join("workers"))?;
        Ok(Self {
            disk,
            health,
            limits,
            root,
            liveness,
            used: AtomicU64::new(0),
            warned_of_unreadable: AtomicBool::new(false),
            warned_of_irremovable: AtomicBool::new(false),
        })
    }

    pub(super) fn health(&self) -> &DiskHealth {
        &self.health
    }

    pub(super) fn limits(&self) -> &Journal {
        &self.limits
    }

    /// Looks a job up and records its start.
    pub(super) fn begin(&self, job: &JobId) -> JobHistory {
        if let Some(report) = self.stored(job) {
            return JobHistory::Stored(report);
        }
        if self.limits.crashes == 0 {
            return JobHistory::Run;
        }
        let key = JobKey::of(job);
        let crashes = self.crashes_of(&key);
        if crashes.len() >= self.limits.crashes {
            return JobHistory::Poisonous(crashes);
        }
        if self.health.usable() {
            let mark = self.started(&key.owned_by(self.liveness.me()));
            let marked = self.with_dirs(|| match self.disk.create(&mark) {
                // This process ran the job before and could not remove the mark.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
                made => made.map(drop),
            });
            self.health.note(marked);
        }
        JobHistory::Run
    }

    /// The stored result of a job, if there is one.
    pub(super) fn stored(&self, job: &JobId) -> Option<JobReport> {
        self.find(job).map(|entry| entry.report)
    }

    /// Stores a result, unless it stops being `wanted` first.
    pub(super) fn write(
        &self,
        job: &JobId,
        report: &JobReport,
        wanted: &dyn Fn() -> bool,
    ) -> io::Result<WriteOutcome> {
        let key = JobKey::of(job);
        // Only the first result of a job counts.
        if self.with_dirs(|| self.of_key("results", &key))?.next().is_some() {
            // An earlier attempt may have failed at this step.
            self.disk.sync_dir(&self.root.join("results"))?;
            return Ok(WriteOutcome::Stored);
        }
        let pieces = format::encode(job, report);
        let bytes: u64 = pieces.iter().map(|piece| piece.len() as u64).sum();
        if !self.has_room_for(bytes) {
            self.forget_delivered();
            if !self.has_room_for(bytes) {
                return Ok(WriteOutcome::NoRoom);
            }
        }
        let name = key.owned_by(self.liveness.me());
        let draft = self.root.join("writing").join(name.to_string());
        let written = self.write_to(&draft, &pieces, wanted);
        if !matches!(written, Ok(true)) {
            let _ = self.disk.remove(&draft);
            return written.map(|_| WriteOutcome::NotWanted);
        }
        self.disk.rename(&draft, &self.result(&name))?;
        self.used.fetch_add(bytes, Ordering::Relaxed);
        self.disk.sync_dir(&self.root.join("results"))?;
        Ok(WriteOutcome::Stored)
    }

    /// Removes the mark of the job's start: its handler has ended, so a later crash is not counted.
    pub(super) fn ended(&self, key: &JobKey) {
        if self.limits.crashes > 0 {
            self.remove(&self.started(&key.owned_by(self.liveness.me())));
        }
    }

    /// Removes everything about a settled job.
    pub(super) fn settle(&self, key: &JobKey) {
        self.settle_all_but(None, key);
    }

    /// Marks a leftover as delivered. It is kept to answer its job if that is handed out again.
    pub(super) fn delivered(&self, key: &JobKey) {
        let kept = key.owned_by(&Owner::delivered());
        let mine = key.owned_by(self.liveness.me());
        // If the rename fails, the result is removed below.
        let _ = self.disk.rename(&self.result(&mine), &self.result(&kept));
        self.settle_all_but(Some(&kept), key);
    }

    /// Removes expired files and lists the results to be delivered: those of dead processes, and this process's own
    /// that are not `busy`. Oldest first, one for each job.
    pub(super) fn leftovers(&self, busy: &dyn Fn(&JobKey) -> bool) -> io::Result<Vec<FileName>> {
        self.liveness.remove_dead()?;
        let now = self.liveness.now();
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
            let mine = name.owner == *self.liveness.me();
            let free = if mine {
                !busy(&name.key)
            } else {
                !self.liveness.is_alive(&name.owner)
            };
            if free && self.has_expired(&name, stat, now) {
                continue;
            }
            // A file that only has the name of a result neither takes its space nor is read whole.
            if let Some(reason) = self.is_no_result(&name, stat) {
                if free {
                    self.set_aside(&name, &reason, stat.bytes);
                }
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

    /// Takes a result over and reads it. `None` if another process was faster or the file cannot be read.
    pub(super) fn adopt(&self, name: &FileName) -> Option<StoredResult> {
        let mine = name.key.owned_by(self.liveness.me());
        if *name != mine && self.disk.rename(&self.result(name), &self.result(&mine)).is_err() {
            return None;
        }
        self.read(&mine)
    }

    /// Touches this process's liveness file.
    pub(super) fn renew(&self) {
        if let Err(error) = self.with_dirs(|| self.liveness.renew()) {
            self.health.failed(&error);
        }
    }

    /// Leaves the directory. The marks of running jobs are removed, so that their end does not count as a crash.
    pub(super) fn close(&self) {
        for name in self.names("started").unwrap_or_default() {
            if name.owner == *self.liveness.me() {
                self.remove(&self.started(&name));
            }
        }
        self.liveness.leave();
    }

    /// The stored result of a job, if there is one that can be read and has not expired.
    fn find(&self, job: &JobId) -> Option<StoredResult> {
        let key = JobKey::of(job);
        let names = match self.of_key("results", &key) {
            Ok(names) => names,
            Err(error) => {
                debug!(%error, "the journal can't be read");
                return None;
            }
        };
        let mut found: Vec<(FileStat, FileName)> = names
            .filter_map(|name| Some((self.disk.stat(&self.result(&name)).ok()?, name)))
            .collect();
        found.sort_by_key(|(stat, _)| stat.modified);
        found.into_iter().find_map(|(stat, name)| {
            let alive = self.liveness.is_alive(&name.owner);
            if !alive && self.has_expired(&name, stat, self.liveness.now()) {
                return None;
            }
            // The platform gave this job to this process, so it reports the result even if the rename fails.
            let adopted = if alive { None } else { self.adopt(&name) };
            let entry = adopted.or_else(|| self.read(&name));
            entry.filter(|entry| entry.job == *job)
        })
    }

    /// Removes delivered results, to make room for undelivered ones.
    fn forget_delivered(&self) {
        let names = self.names("results").unwrap_or_default();
        for name in names.iter().filter(|name| name.is_delivered()) {
            self.remove_result(name);
        }
    }

    fn has_room_for(&self, bytes: u64) -> bool {
        self.used.load(Ordering::Relaxed).saturating_add(bytes) <= self.limits.most_bytes
    }

    fn crashes_of(&self, key: &JobKey) -> Vec<SystemTime> {
        let names = self.of_key("started", key).into_iter().flatten();
        let mut times: Vec<SystemTime> = names
            .filter(|name| !self.liveness.is_alive(&name.owner))
            .filter_map(|name| self.disk.stat(&self.started(&name)).ok())
            .map(|stat| stat.modified)
            .collect();
        if !times.is_empty() {
            let now = self.liveness.now();
            times.retain(|time| age(*time, now) <= DAY);
            times.sort_unstable();
        }
        times
    }
}
