//! The journal's file operations, each a single step that can fail or be the last one before a crash.

use std::any::Any;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::SystemTime;

use bytes::Bytes;

/// Only this user may read results.
const FILE_MODE: u32 = 0o600;
const DIR_MODE: u32 = 0o700;

/// A file system. Each method is one operation that can fail.
pub(super) trait Disk: Send + Sync + 'static {
    /// Creates a directory and its parents, if they are missing.
    fn make_dir(&self, dir: &Path) -> io::Result<()>;
    /// Lists the names of all regular files in a directory.
    fn names(&self, dir: &Path) -> io::Result<Vec<String>>;
    /// Reads at most the first `length` bytes of a file.
    fn read_head(&self, path: &Path, length: usize) -> io::Result<Bytes>;
    /// Reads a whole file.
    fn read(&self, path: &Path) -> io::Result<Bytes>;
    /// Creates a file that must not exist yet.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Syncs a directory, so that renames and removals in it survive a power failure.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    fn remove(&self, path: &Path) -> io::Result<()>;
    fn stat(&self, path: &Path) -> io::Result<FileStat>;
    /// Creates the liveness file of this process. It is locked, if the disk supports locks, until the returned value
    /// is dropped or the process ends.
    fn create_liveness_file(&self, path: &Path) -> io::Result<Box<dyn LivenessFile>>;
    /// Whether the process of a liveness file is alive; `None` if its lock says nothing here.
    fn is_alive(&self, path: &Path) -> io::Result<Option<bool>>;
}

/// A file that is being written.
pub(super) trait DiskFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Syncs the file, so that its contents survive a power failure.
    fn sync(&mut self) -> io::Result<()>;
}

/// The liveness file of this process.
pub(super) trait LivenessFile: Any + Send + Sync {
    /// Writes the file again, so that its modification time is now by the disk's clock.
    fn renew(&mut self) -> io::Result<()>;
}

#[derive(Debug, Clone, Copy)]
pub(super) struct FileStat {
    pub(super) bytes: u64,
    pub(super) modified: SystemTime,
}

/// The file system of the machine.
#[derive(Debug)]
pub(super) struct RealDisk;

impl Disk for RealDisk {
    fn make_dir(&self, dir: &Path) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(DIR_MODE).create(dir)
    }

    fn names(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for file in std::fs::read_dir(dir)? {
            let file = file?;
            // To open a pipe would block. A name that is not UTF-8 is not a file of the journal.
            if file.file_type().is_ok_and(|kind| kind.is_file())
                && let Ok(name) = file.file_name().into_string()
            {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn read_head(&self, path: &Path, length: usize) -> io::Result<Bytes> {
        let mut head = Vec::with_capacity(length);
        File::open(path)?.take(length as u64).read_to_end(&mut head)?;
        Ok(head.into())
    }

    fn read(&self, path: &Path) -> io::Result<Bytes> {
        std::fs::read(path).map(Bytes::from)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(FILE_MODE)
            .open(path)?;
        Ok(Box::new(file))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        match File::open(dir)?.sync_all() {
            // Some network file systems do not support syncing directories and do not need it.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported
                ) =>
            {
                Ok(())
            }
            done => done,
        }
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn stat(&self, path: &Path) -> io::Result<FileStat> {
        let metadata = std::fs::metadata(path)?;
        Ok(FileStat {
            bytes: metadata.len(),
            modified: metadata.modified()?,
        })
    }

    fn create_liveness_file(&self, path: &Path) -> io::Result<Box<dyn LivenessFile>> {
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(FILE_MODE)
            .open(path)?;
        // Without a lock the place stays empty, and only the file's age counts.
        let place = match file.try_lock() {
            Ok(()) => place_of(&file)?.unwrap_or_default(),
            Err(_) => String::new(),
        };
        let mut sign = LockedFile {
            file,
            content: format!("{place}\n"),
        };
        sign.renew()?;
        Ok(Box::new(sign))
    }

    fn is_alive(&self, path: &Path) -> io::Result<Option<bool>> {
        let file = File::open(path)?;
        let content = io::read_to_string(&file)?;
        // A lock is only visible on the same kernel and the same mounted file system.
        match place_of(&file)? {
            Some(here) if content.trim() == here => {}
            _ => return Ok(None),
        }
        match file.try_lock_shared() {
            Ok(()) => Ok(Some(false)),
            Err(TryLockError::WouldBlock) => Ok(Some(true)),
            Err(TryLockError::Error(_)) => Ok(None),
        }
    }
}

impl DiskFile for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_all()
    }
}

struct LockedFile {
    file: File,
    content: String,
}

impl LivenessFile for LockedFile {
    fn renew(&mut self) -> io::Result<()> {
        use std::os::unix::fs::FileExt as _;
        self.file.write_all_at(self.content.as_bytes(), 0)
    }
}

/// Identifies the running kernel and the file system of `file`. `None` if unknown.
fn place_of(file: &File) -> io::Result<Option<String>> {
    let Ok(boot) = std::fs::read_to_string("/proc/sys/kernel/random/boot_id") else {
        return Ok(None);
    };
    Ok(Some(format!("{} {}", boot.trim(), file.metadata()?.dev())))
}
