//! Archives from jobs, unpacked within limits.
//!
//! A zip file of a few kilobytes can unpack to terabytes, write outside of its directory, or contain links that lead
//! there. So the unpacked bytes are counted, whatever the archive claims, and an archive with one suspicious entry is
//! refused whole.

use std::error::Error as StdError;
use std::fs::{self, File};
use std::io::{self, BufReader, Read as _, Write as _};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use runpod_worker::{ErrorClass, ErrorCode, IntoJobError};
use zip::ZipReadOptions;
use zip::read::{Config, ZipFile};
use zip::result::ZipError;
use zip::unstable::read::ZipIterable;

use super::downloaded_file::DownloadedFile;

/// Bytes that are unpacked between two checks of the limits.
const PIECE: u64 = 1 << 16;
/// The ratio is checked from this many bytes on. Below, an honest text of one letter packs as well as a bomb.
const RATIO_FROM: u64 = 1 << 20;

/// The limits of what an archive may unpack to.
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
    /// Sets the most entries, directories included. Default 10 000.
    pub fn entries(mut self, entries: u64) -> Self {
        self.entries = entries;
        self
    }

    /// Sets the most bytes of all files together. Default 5 GiB.
    pub fn bytes(mut self, bytes: u64) -> Self {
        self.bytes = bytes;
        self
    }

    /// Sets the most bytes for each byte of the archive. Default 200. The first MiB is not counted.
    pub fn ratio(mut self, ratio: u64) -> Self {
        self.ratio = ratio;
        self
    }
}

/// Why an archive was not unpacked. The files that were already unpacked are removed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnzipError {
    /// The file is not a zip file, or a broken one.
    #[error("not a zip file that can be read: {0}")]
    Broken(#[source] Box<dyn StdError + Send + Sync>),
    /// There are more entries than the limit.
    #[error("the archive has more than {0} entries")]
    TooManyEntries(u64),
    /// There are more bytes than the limit.
    #[error("the archive unpacks to more than {0} bytes")]
    TooLarge(u64),
    /// There are more bytes for the size of the archive than the limit.
    #[error("the archive unpacks to more than {0} times its size")]
    TooDense(u64),
    /// An entry must not be unpacked: it is a link, has a password, or has a name that leads elsewhere.
    #[error("the archive's entry {name:?} is not unpacked: {reason}")]
    Entry {
        /// The entry's name, as far as it is text, or its number if it has a password.
        name: String,
        /// The rule that it breaks.
        reason: &'static str,
    },
    /// The disk is full or cannot be written.
    #[error("{path}: the archive could not be unpacked", path = path.display())]
    NotStored {
        /// The file or directory.
        path: PathBuf,
        /// The system's error.
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
    /// Unpacks a zip file into `directory`, which must not exist yet. Returns the files in the archive's order.
    ///
    /// Modes and times of the entries are ignored.
    ///
    /// # Errors
    ///
    /// The archive is broken, exceeds a limit, or has an entry that is a link, has a password, occurs twice, or has a
    /// name that leads out of the directory. Then, or if the future is dropped, the directory is removed.
    pub async fn unzip(
        &self,
        directory: impl Into<PathBuf>,
        limits: ZipLimits,
    ) -> Result<Vec<PathBuf>, UnzipError> {
        runpod_worker::job::keep_code_of::<UnzipError>();
        let (archive, directory) = (self.path.clone(), directory.into());
        let abandoned = Arc::new(AtomicBool::new(false));
        let _guard = AbandonOnDrop(abandoned.clone());
        let path = directory.clone();
        tokio::task::spawn_blocking(move || unzip(&archive, &directory, limits, &abandoned))
            .await
            .unwrap_or_else(|lost| {
                let source = io::Error::other(lost);
                Err(UnzipError::NotStored { path, source })
            })
    }
}

/// Tells the unpacking thread that its result has no taker.
struct AbandonOnDrop(Arc<AtomicBool>);

impl Drop for AbandonOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn unzip(
    archive: &Path,
    directory: &Path,
    limits: ZipLimits,
    abandoned: &AtomicBool,
) -> Result<Vec<PathBuf>, UnzipError> {
    // A new directory contains no link that leads elsewhere.
    fs::create_dir(directory).map_err(not_stored(directory))?;
    let unpacking = Unpacking {
        directory,
        limits,
        abandoned,
        archive_bytes: 0,
        unpacked_bytes: 0,
    };
    let unpacked = unpacking.run(archive);
    // The future may have been dropped while the last file was written.
    if unpacked.is_err() || abandoned.load(Ordering::Relaxed) {
        let _ = fs::remove_dir_all(directory);
    }
    unpacked
}

/// One archive on its way into a directory.
struct Unpacking<'a> {
    directory: &'a Path,
    limits: ZipLimits,
    abandoned: &'a AtomicBool,
    archive_bytes: u64,
    unpacked_bytes: u64,
}

impl Unpacking<'_> {
    fn run(mut self, archive: &Path) -> Result<Vec<PathBuf>, UnzipError> {
        let open = || {
            File::open(archive)
                .map(BufReader::new)
                .map_err(not_stored(archive))
        };
        self.archive_bytes = fs::metadata(archive).map_err(not_stored(archive))?.len();
        // Entries are read one after the other: an index of all of them could be larger than the archive.
        let mut entries = ZipIterable::try_new(open()?, Config::default())
            .map_err(broken)?
            .enforce_header_consistency(true);
        if entries.len() as u64 > self.limits.entries {
            return Err(UnzipError::TooManyEntries(self.limits.entries));
        }
        let mut entries = entries
            .files_with_reader(open()?, ZipReadOptions::new())
            .map_err(broken)?;
        let mut files = Vec::new();
        let mut number = 0;
        while let Some(entry) = entries.next() {
            number += 1;
            let entry = entry.map_err(|error| match error {
                ZipError::UnsupportedArchive(ZipError::PASSWORD_REQUIRED) => UnzipError::Entry {
                    // The reader does not give its name.
                    name: format!("number {number}"),
                    reason: "it has a password",
                },
                error => broken(error),
            })?;
            files.extend(self.unpack_entry(entry)?);
        }
        Ok(files)
    }

    /// Unpacks one entry. `None` for a directory.
    fn unpack_entry<R: io::Read>(&mut self, entry: ZipFile<'_, R>) -> Result<Option<PathBuf>, UnzipError> {
        let name = String::from_utf8_lossy(entry.name_raw()).into_owned();
        let refused = |reason| UnzipError::Entry {
            name: name.chars().take(100).collect(),
            reason,
        };
        if entry.is_symlink() {
            return Err(refused("it is a link"));
        }
        let path = self.directory.join(inside(&name).map_err(refused)?);
        if entry.is_dir() {
            fs::create_dir_all(&path).map_err(not_stored(&path))?;
            return Ok(None);
        }
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(not_stored(parent))?;
        }
        let file = match File::create_new(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(refused("it is there twice"));
            }
            file => file.map_err(not_stored(&path))?,
        };
        self.write_content(entry, file, &path)?;
        Ok(Some(path))
    }

    fn write_content(
        &mut self,
        mut content: impl io::Read,
        mut file: File,
        path: &Path,
    ) -> Result<(), UnzipError> {
        let mut piece = Vec::new();
        loop {
            if self.abandoned.load(Ordering::Relaxed) {
                return Err(UnzipError::Broken("the caller has gone".into()));
            }
            piece.clear();
            let read = content.by_ref().take(PIECE).read_to_end(&mut piece);
            let read = read.map_err(|error| UnzipError::Broken(error.into()))?;
            if read == 0 {
                return Ok(());
            }
            self.count(read as u64)?;
            file.write_all(&piece).map_err(not_stored(path))?;
        }
    }

    /// Counts unpacked bytes against the limits.
    fn count(&mut self, bytes: u64) -> Result<(), UnzipError> {
        self.unpacked_bytes = self.unpacked_bytes.saturating_add(bytes);
        if self.unpacked_bytes > self.limits.bytes {
            return Err(UnzipError::TooLarge(self.limits.bytes));
        }
        let dense = self.archive_bytes.saturating_mul(self.limits.ratio);
        if self.unpacked_bytes > dense.max(RATIO_FROM) {
            return Err(UnzipError::TooDense(self.limits.ratio));
        }
        Ok(())
    }
}

/// An entry's name as a path that does not leave the directory.
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

fn broken(error: ZipError) -> UnzipError {
    UnzipError::Broken(error.into())
}

fn not_stored(path: &Path) -> impl FnOnce(io::Error) -> UnzipError {
    let path = path.to_owned();
    |source| UnzipError::NotStored { path, source }
}
