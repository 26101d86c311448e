//! What the journal does to a disk, in steps small enough to fail or to be the last one.

use std::any::Any;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::SystemTime;

use bytes::Bytes;

/// Results are the business of this user alone.
const FILE_MODE: u32 = 0o600;
const DIR_MODE: u32 = 0o700;

/// A directory tree. Each method is one thing that can fail.
pub(super) trait Disk: Send + Sync + 'static {
    /// Makes a directory and those above it, if they are not there.
    fn make_dir(&self, dir: &Path) -> io::Result<()>;
    /// The names of all files in a directory.
    fn names(&self, dir: &Path) -> io::Result<Vec<String>>;
    /// A whole file.
    fn read(&self, path: &Path) -> io::Result<Bytes>;
    /// Makes a file that must not be there yet.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Makes what was renamed into or removed from a directory survive a power cut.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    fn remove(&self, path: &Path) -> io::Result<()>;
    fn stat(&self, path: &Path) -> io::Result<Stat>;
    /// Makes a file that shows that this process lives: locked, if the disk can lock, until the returned value
    /// is dropped or the process ends.
    fn show_life(&self, path: &Path) -> io::Result<Box<dyn SignOfLife>>;
    /// Whether the process behind such a file lives, if it can be seen from here at once.
    fn lives(&self, path: &Path) -> io::Result<Option<bool>>;
}

/// A file that is being written.
pub(super) trait DiskFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Makes what was written survive a power cut.
    fn sync(&mut self) -> io::Result<()>;
}

/// This process's own file among the workers'.
pub(super) trait SignOfLife: Any + Send + Sync {
    /// Touches the file: it was modified now, by the disk's own clock.
    fn renew(&mut self) -> io::Result<()>;
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Stat {
    pub(super) bytes: u64,
    pub(super) modified: SystemTime,
}

/// The real one.
#[derive(Debug)]
pub(super) struct RealDisk;

impl Disk for RealDisk {
    fn make_dir(&self, dir: &Path) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(DIR_MODE).create(dir)
    }

    fn names(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for file in std::fs::read_dir(dir)? {
            // What is not text is none of ours.
            if let Ok(name) = file?.file_name().into_string() {
                names.push(name);
            }
        }
        Ok(names)
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
            // Some network file systems sync no directories, and need not.
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

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        let metadata = std::fs::metadata(path)?;
        Ok(Stat {
            bytes: metadata.len(),
            modified: metadata.modified()?,
        })
    }

    fn show_life(&self, path: &Path) -> io::Result<Box<dyn SignOfLife>> {
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(FILE_MODE)
            .open(path)?;
        // Who cannot lock leaves the place empty: then only the file's age counts.
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

    fn lives(&self, path: &Path) -> io::Result<Option<bool>> {
        let file = File::open(path)?;
        let content = io::read_to_string(&file)?;
        // A lock says something only to those who see the same mounted file system through the same kernel.
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

impl SignOfLife for LockedFile {
    fn renew(&mut self) -> io::Result<()> {
        use std::os::unix::fs::FileExt as _;
        self.file.write_all_at(self.content.as_bytes(), 0)
    }
}

/// Names the kernel that runs here and the file system that `file` is on. `None` where that is unknown.
fn place_of(file: &File) -> io::Result<Option<String>> {
    let Ok(boot) = std::fs::read_to_string("/proc/sys/kernel/random/boot_id") else {
        return Ok(None);
    };
    Ok(Some(format!("{} {}", boot.trim(), file.metadata()?.dev())))
}
