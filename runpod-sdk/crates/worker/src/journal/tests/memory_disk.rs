//! A disk in memory. Each step can fail, or be the last one before a crash or a power failure.

use runpod_protocol::sync::{Mutex, MutexGuard};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use crate::journal::disk::{Disk, DiskFile, FileStat, LivenessFile};

/// The volume that all processes share.
#[derive(Default)]
pub(super) struct Volume {
    dirs: BTreeSet<PathBuf>,
    files: BTreeMap<PathBuf, File>,
    /// Renames and removals that a power failure may undo, oldest first.
    unsynced_moves: Vec<(PathBuf, PathBuf)>,
    clock: Duration,
}

#[derive(Default)]
struct File {
    data: Vec<u8>,
    synced: usize,
    modified: Duration,
    locked_by: Option<u32>,
}

/// A fault, and the step at which it begins.
#[derive(Debug, Clone, Copy)]
pub(super) enum DiskFault {
    Nothing,
    /// The process dies at this step; nothing after it reaches the disk.
    DieAt(usize),
    /// Every change fails from this step on.
    FailFrom(usize, io::ErrorKind),
    /// Nothing can be removed.
    KeepAll,
}

/// One process's access to the volume.
#[derive(Clone)]
pub(super) struct MemoryDisk {
    volume: Arc<Mutex<Volume>>,
    process: u32,
    trouble: Arc<Mutex<(DiskFault, usize)>>,
    can_lock: bool,
}

impl MemoryDisk {
    pub(super) fn new(process: u32, volume: &Arc<Mutex<Volume>>, trouble: DiskFault) -> Self {
        Self {
            volume: volume.clone(),
            process,
            trouble: Arc::new(Mutex::new((trouble, 0))),
            can_lock: true,
        }
    }

    pub(super) fn without_locks(mut self) -> Self {
        self.can_lock = false;
        self
    }

    /// The process has died and its locks are released.
    pub(super) fn die(&self) {
        self.trouble().0 = DiskFault::DieAt(0);
        for file in self.volume().files.values_mut() {
            file.locked_by = file.locked_by.filter(|process| *process != self.process);
        }
    }

    /// Removes the fault.
    pub(super) fn heal(&self) {
        self.trouble().0 = DiskFault::Nothing;
    }

    pub(super) fn is_dead(&self) -> bool {
        let trouble = self.trouble();
        matches!(trouble.0, DiskFault::DieAt(at) if trouble.1 > at)
    }

    fn volume(&self) -> MutexGuard<'_, Volume> {
        self.volume.lock()
    }

    fn trouble(&self) -> MutexGuard<'_, (DiskFault, usize)> {
        self.trouble.lock()
    }

    /// Counts a step. `changes` says whether it writes to the disk.
    fn step(&self, changes: bool) -> io::Result<()> {
        let mut trouble = self.trouble();
        let now = trouble.1;
        trouble.1 += 1;
        match trouble.0 {
            DiskFault::DieAt(at) if now >= at => Err(io::Error::other("the process is dead")),
            DiskFault::FailFrom(at, kind) if changes && now >= at => Err(kind.into()),
            _ => Ok(()),
        }
    }
}

impl Volume {
    pub(super) fn pass(&mut self, time: Duration) {
        self.clock += time;
    }

    /// A power failure: data that was not synced is lost, wholly or in part.
    pub(super) fn cut_power(&mut self, random: &mut fastrand::Rng) {
        for file in self.files.values_mut() {
            file.locked_by = None;
            let kept = random.usize(file.synced..=file.data.len());
            file.data.truncate(kept);
        }
        for (from, to) in std::mem::take(&mut self.unsynced_moves).into_iter().rev() {
            if random.bool()
                && !self.files.contains_key(&from)
                && let Some(file) = self.files.remove(&to)
            {
                self.files.insert(from, file);
            }
        }
    }

    pub(super) fn names(&self, dir: &str) -> Vec<String> {
        let in_dir = self
            .files
            .keys()
            .filter(|path| path.parent().is_some_and(|parent| parent.ends_with(dir)));
        in_dir
            .filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()))
            .collect()
    }
}

fn missing() -> io::Error {
    io::ErrorKind::NotFound.into()
}

impl Disk for MemoryDisk {
    fn make_dir(&self, dir: &Path) -> io::Result<()> {
        self.step(true)?;
        self.volume().dirs.insert(dir.to_owned());
        Ok(())
    }

    fn names(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.step(false)?;
        let volume = self.volume();
        if !volume.dirs.contains(dir) {
            return Err(missing());
        }
        let in_dir = volume.files.keys().filter(|path| path.parent() == Some(dir));
        Ok(in_dir
            .filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()))
            .collect())
    }

    fn read_head(&self, path: &Path, length: usize) -> io::Result<Bytes> {
        self.step(false)?;
        let volume = self.volume();
        let file = volume.files.get(path).ok_or_else(missing)?;
        Ok(Bytes::copy_from_slice(&file.data[..file.data.len().min(length)]))
    }

    fn read(&self, path: &Path) -> io::Result<Bytes> {
        self.step(false)?;
        let volume = self.volume();
        volume
            .files
            .get(path)
            .map(|file| file.data.clone().into())
            .ok_or_else(missing)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.step(true)?;
        let mut volume = self.volume();
        if volume.files.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let modified = volume.clock;
        let file = File {
            modified,
            ..File::default()
        };
        volume.files.insert(path.to_owned(), file);
        Ok(Box::new(Handle(self.clone(), path.to_owned())))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step(true)?;
        let mut volume = self.volume();
        let file = volume.files.remove(from).ok_or_else(missing)?;
        volume.files.insert(to.to_owned(), file);
        volume.unsynced_moves.push((from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.step(true)?;
        self.volume()
            .unsynced_moves
            .retain(|(_, to)| to.parent() != Some(dir));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.step(false)?;
        if matches!(self.trouble().0, DiskFault::KeepAll) {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let mut volume = self.volume();
        volume.unsynced_moves.retain(|(_, to)| to != path);
        volume.files.remove(path).map(drop).ok_or_else(missing)
    }

    fn stat(&self, path: &Path) -> io::Result<FileStat> {
        self.step(false)?;
        let volume = self.volume();
        let file = volume.files.get(path).ok_or_else(missing)?;
        Ok(FileStat {
            bytes: file.data.len() as u64,
            modified: SystemTime::UNIX_EPOCH + file.modified,
        })
    }

    fn create_liveness_file(&self, path: &Path) -> io::Result<Box<dyn LivenessFile>> {
        drop(self.create(path)?);
        if let Some(file) = self.volume().files.get_mut(path) {
            file.locked_by = Some(self.process);
        }
        Ok(Box::new(Handle(self.clone(), path.to_owned())))
    }

    fn is_alive(&self, path: &Path) -> io::Result<Option<bool>> {
        self.step(false)?;
        let volume = self.volume();
        let file = volume.files.get(path).ok_or_else(missing)?;
        Ok(self.can_lock.then_some(file.locked_by.is_some()))
    }
}

struct Handle(MemoryDisk, PathBuf);

impl DiskFile for Handle {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let done = self.0.step(true);
        let mut volume = self.0.volume();
        let file = volume.files.get_mut(&self.1).ok_or_else(missing)?;
        match done {
            Ok(()) => file.data.extend_from_slice(bytes),
            // A write that fails leaves its first half; a dead process leaves the file as it was.
            Err(_) if !self.0.is_dead() => file.data.extend_from_slice(&bytes[..bytes.len() / 2]),
            Err(_) => {}
        }
        done
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.step(true)?;
        let mut volume = self.0.volume();
        let file = volume.files.get_mut(&self.1).ok_or_else(missing)?;
        file.synced = file.data.len();
        Ok(())
    }
}

impl LivenessFile for Handle {
    fn renew(&mut self) -> io::Result<()> {
        self.0.step(true)?;
        let mut volume = self.0.volume();
        let clock = volume.clock;
        volume.files.get_mut(&self.1).ok_or_else(missing)?.modified = clock;
        Ok(())
    }
}
