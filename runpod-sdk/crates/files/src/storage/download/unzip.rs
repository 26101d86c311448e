//! Archives from jobs, unpacked within bounds.
//!
//! A zip file of a few kilobytes can unpack to terabytes, write outside of its directory, or plant links
//! that lead there. So sizes are counted as they are unpacked, whatever the archive claims, and an archive
//! with an odd entry is refused whole.

use std::fs::{self, File};
use std::io::{self, BufReader, Read as _};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use zip::ZipReadOptions;
use zip::read::Config;
use zip::result::ZipError;
use zip::unstable::read::ZipIterable;

use super::DownloadedFile;
use runpod_worker::{ErrorClass, ErrorCode, IntoJobError};

/// Bytes that are unpacked between two looks at the bounds.
const PIECE: u64 = 1 << 16;
/// Below that much, a high ratio is no bomb: a text of one letter packs well, too.
const RATIO_FROM: u64 = 1 << 20;

/// How much an archive may unpack to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct ZipLimits {
    entries: u64,
    bytes: u64,
    ratio: u64,
}

impl Default for ZipLimits {
    /// 10 000 entries, 5 GiB, and 200 times the archive's size.
    fn default() -> Self {
        Self {
            entries: 10_000,
            bytes: 5 << 30,
            ratio: 200,
        }
    }
}

impl ZipLimits {
    /// The most entries, directories included.
    pub fn entries(mut self, entries: u64) -> Self {
        self.entries = entries;
        self
    }

    /// The most bytes of all files together.
    pub fn bytes(mut self, bytes: u64) -> Self {
        self.bytes = bytes;
        self
    }

    /// The most bytes for each byte of the archive. The first MiB is free.
    pub fn ratio(mut self, ratio: u64) -> Self {
        self.ratio = ratio;
        self
    }
}

/// Why an archive was not unpacked. What had been unpacked by then is gone again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnzipError {
    /// Not a zip file, or a broken one.
    #[error("not a zip file that can be read: {0}")]
    Broken(String),
    /// More entries than there may be.
    #[error("the archive has more than {0} entries")]
    TooManyEntries(u64),
    /// More bytes than there may be.
    #[error("the archive unpacks to more than {0} bytes")]
    TooLarge(u64),
    /// More bytes for its size than an honest archive has.
    #[error("the archive unpacks to more than {0} times its size")]
    TooDense(u64),
    /// An entry that is not unpacked: a link, one with a password, or one whose name leads elsewhere.
    #[error("the archive's entry {name:?} is not unpacked: {reason}")]
    Entry {
        /// The entry's name, as far as it is text; its number where it has a password.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The disk is full, or may not be written.
    #[error("{path}: the archive could not be unpacked", path = path.display())]
    NotStored {
        /// Where it was to go.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl IntoJobError for UnzipError {
    fn code(&self) -> ErrorCode {
        ErrorCode::ARCHIVE_REFUSED
    }

    fn class(&self) -> ErrorClass {
        match self {
            Self::NotStored { .. } => ErrorClass::Worker,
            _ => ErrorClass::User,
        }
    }
}

impl DownloadedFile {
    /// Unpacks a zip file into `directory`, which must not exist yet, and gives the files in the archive's
    /// order. Modes and times are not taken over.
    ///
    /// # Errors
    ///
    /// The archive is broken, passes a limit, or has an entry that is a link, has a password, is there twice,
    /// or has a name that leads out of the directory. Then, or if this is dropped, the directory is removed.
    pub async fn unzip(
        &self,
        directory: impl Into<PathBuf>,
        limits: ZipLimits,
    ) -> Result<Vec<PathBuf>, UnzipError> {
        crate::storage::keep_codes();
        let (archive, directory) = (self.path.clone(), directory.into());
        let given_up = Arc::new(AtomicBool::new(false));
        let _guard = GiveUp(given_up.clone());
        let path = directory.clone();
        tokio::task::spawn_blocking(move || unzip(&archive, &directory, limits, &given_up))
            .await
            .unwrap_or_else(|lost| {
                let source = io::Error::other(lost);
                Err(UnzipError::NotStored { path, source })
            })
    }
}

/// Tells the thread that nobody waits for it any more.
struct GiveUp(Arc<AtomicBool>);

impl Drop for GiveUp {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn unzip(
    archive: &Path,
    directory: &Path,
    limits: ZipLimits,
    given_up: &AtomicBool,
) -> Result<Vec<PathBuf>, UnzipError> {
    // New, so that no link can lie in wait in it.
    fs::create_dir(directory).map_err(not_stored(directory))?;
    let unpacked = unpack(archive, directory, limits, given_up);
    // One who was dropped while the last file was written has nobody to take the files.
    if unpacked.is_err() || given_up.load(Ordering::Relaxed) {
        let _ = fs::remove_dir_all(directory);
    }
    unpacked
}

fn unpack(
    archive: &Path,
    directory: &Path,
    limits: ZipLimits,
    given_up: &AtomicBool,
) -> Result<Vec<PathBuf>, UnzipError> {
    let open = || {
        File::open(archive)
            .map(BufReader::new)
            .map_err(not_stored(archive))
    };
    let size = fs::metadata(archive).map_err(not_stored(archive))?.len();
    let mut budget = Budget {
        limits,
        size,
        used: 0,
    };
    // Reads one entry after the other: an index of all of them could be larger than the archive.
    let mut entries = ZipIterable::try_new(open()?, Config::default())
        .map_err(broken)?
        .enforce_header_consistency(true);
    if entries.len() as u64 > limits.entries {
        return Err(UnzipError::TooManyEntries(limits.entries));
    }
    let mut entries = entries
        .files_with_reader(open()?, ZipReadOptions::new())
        .map_err(broken)?;
    let mut files = Vec::new();
    let mut number = 0;
    while let Some(entry) = entries.next() {
        number += 1;
        let mut entry = entry.map_err(|error| match error {
            ZipError::UnsupportedArchive(ZipError::PASSWORD_REQUIRED) => UnzipError::Entry {
                // The reader keeps its name to itself.
                name: format!("number {number}"),
                reason: "it has a password",
            },
            error => broken(error),
        })?;
        let name = String::from_utf8_lossy(entry.name_raw()).into_owned();
        let refused = |reason| UnzipError::Entry {
            name: name.chars().take(100).collect(),
            reason,
        };
        if entry.is_symlink() {
            return Err(refused("it is a link"));
        }
        let path = directory.join(inside(&name).map_err(refused)?);
        if entry.is_dir() {
            fs::create_dir_all(&path).map_err(not_stored(&path))?;
            continue;
        }
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(not_stored(parent))?;
        }
        let mut file = match File::create_new(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(refused("it is there twice"));
            }
            file => file.map_err(not_stored(&path))?,
        };
        let mut piece = Vec::new();
        loop {
            if given_up.load(Ordering::Relaxed) {
                return Err(UnzipError::Broken("nobody waits for it any more".to_owned()));
            }
            piece.clear();
            let read = entry.by_ref().take(PIECE).read_to_end(&mut piece);
            let read = read.map_err(|error| UnzipError::Broken(error.to_string()))?;
            if read == 0 {
                break;
            }
            budget.spend(read as u64)?;
            io::Write::write_all(&mut file, &piece).map_err(not_stored(&path))?;
        }
        files.push(path);
    }
    Ok(files)
}

/// What is left of the limits.
struct Budget {
    limits: ZipLimits,
    size: u64,
    used: u64,
}

impl Budget {
    fn spend(&mut self, bytes: u64) -> Result<(), UnzipError> {
        self.used = self.used.saturating_add(bytes);
        if self.used > self.limits.bytes {
            return Err(UnzipError::TooLarge(self.limits.bytes));
        }
        let dense = self.size.saturating_mul(self.limits.ratio).max(RATIO_FROM);
        if self.used > dense {
            return Err(UnzipError::TooDense(self.limits.ratio));
        }
        Ok(())
    }
}

/// An entry's name as a path that stays inside.
fn inside(name: &str) -> Result<PathBuf, &'static str> {
    if name.contains(['\0', '\\', ':']) {
        return Err("its name is not one of this system");
    }
    let path = Path::new(name);
    let plain = path.components().all(|part| matches!(part, Component::Normal(_)));
    if name.is_empty() || name.starts_with('/') || !plain {
        return Err("its name leads out of the directory");
    }
    Ok(path.to_owned())
}

#[expect(clippy::needless_pass_by_value, reason = "the form that map_err wants")]
fn broken(error: ZipError) -> UnzipError {
    UnzipError::Broken(error.to_string())
}

fn not_stored(path: &Path) -> impl FnOnce(io::Error) -> UnzipError {
    let path = path.to_owned();
    |source| UnzipError::NotStored { path, source }
}
