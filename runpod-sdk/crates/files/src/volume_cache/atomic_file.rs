//! Files that appear whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use sha2::{Digest, Sha256};

use super::bounded;

/// The ending of files that are being written. Neither Python nor this crate caches them.
pub(super) const UNFINISHED: &str = ".rpvc.tmp";
/// By how much a coarse file system may change a modification time, in seconds.
pub(super) const TOLERANCE: f64 = 2.0;

/// Seconds since 1970, as in a manifest.
pub(super) fn seconds(time: SystemTime) -> f64 {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => since.as_secs_f64(),
        Err(before) => -before.duration().as_secs_f64(),
    }
}

/// Whether `target` has what `source` has, by size and time.
pub(super) fn is_current(source: &Path, target: &Path) -> bool {
    let (Ok(source), Ok(target)) = (fs::metadata(source), fs::symlink_metadata(target)) else {
        return false;
    };
    let (Ok(new), Ok(old)) = (source.modified(), target.modified()) else {
        return false;
    };
    target.is_file() && source.len() == target.len() && seconds(new) <= seconds(old) + TOLERANCE
}

/// Copies a file with its time and mode, and checks its hash if one is given. Returns the size.
pub(super) fn copy(source: &Path, target: &Path, sha256: Option<&str>) -> io::Result<u64> {
    let mut from = bounded::open(source)?;
    let metadata = from.metadata()?;
    let (modified, permissions) = (metadata.modified()?, metadata.permissions());
    write(target, modified, |to| {
        let mut hashing = HashingWriter {
            inner: to,
            hash: sha256.map(|_| Sha256::new()),
        };
        let size = io::copy(&mut from, &mut hashing)?;
        if let (Some(hash), Some(wanted)) = (hashing.hash, sha256)
            && hex(&hash.finalize()) != wanted
        {
            return Err(other_hash());
        }
        to.set_permissions(permissions)?;
        Ok(size)
    })
}

/// The error of content whose hash is not the one in the manifest.
pub(super) fn other_hash() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the content has another hash")
}

/// Hashes what it writes, if a hash is wanted.
struct HashingWriter<'a> {
    inner: &'a mut File,
    hash: Option<Sha256>,
}

impl Write for HashingWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        if let Some(hash) = &mut self.hash {
            hash.update(&bytes[..written]);
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Writes a file beside `target` and moves it there when it is complete.
pub(super) fn write<T>(
    target: &Path,
    modified: SystemTime,
    fill: impl FnOnce(&mut File) -> io::Result<T>,
) -> io::Result<T> {
    if let Some(folder) = target.parent() {
        fs::create_dir_all(folder)?;
    }
    let unfinished = unfinished(target);
    let filled = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&unfinished)
        .and_then(|mut file| {
            let value = fill(&mut file)?;
            file.set_modified(modified)?;
            Ok(value)
        })
        .and_then(|value| fs::rename(&unfinished, target).map(|()| value));
    if filled.is_err() {
        // The unfinished file would only take space.
        let _ = fs::remove_file(&unfinished);
    }
    filled
}

fn unfinished(target: &Path) -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let mut name = target.as_os_str().to_owned();
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    // Workers on several machines may have the same process id.
    name.push(format!(
        ".{}.{number}.{:08x}{UNFINISHED}",
        std::process::id(),
        fastrand::u32(..)
    ));
    PathBuf::from(name)
}

/// The hash of a file's content.
pub(super) fn sha256(path: &Path) -> io::Result<String> {
    let mut file = bounded::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex(&hash.finalize())),
            read => hash.update(&buffer[..read]),
        }
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
