//! `small.tar`: the small files, named relative to `/`.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufWriter, Read, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use sha2::{Digest as _, Sha256};
use tracing::debug;

use super::atomic_file::{TOLERANCE, hex, other_hash, seconds, sha256, write};
use super::bounded::{self, Allowance, Bounded};
use super::layout::THRESHOLD;
use super::manifest::FileEntry;
use super::writable::WritableDirs;

/// The most bytes of an entry's headers. The library reads a long name or an extended header whole.
const MOST_HEADERS: u64 = 1 << 20;

/// Packs the files into `archive`. A file that vanishes meanwhile is left out.
pub(super) fn pack(archive: &Path, files: &[&FileEntry]) -> io::Result<()> {
    write(archive, SystemTime::now(), |archive| {
        let mut builder = tar::Builder::new(BufWriter::new(archive));
        for entry in files {
            let Ok(content) = fs::read(&entry.path) else {
                continue;
            };
            let Ok(metadata) = fs::metadata(&entry.path) else {
                continue;
            };
            let mut header = tar::Header::new_gnu();
            header.set_metadata(&metadata);
            // The file may have grown between the two calls.
            header.set_size(content.len() as u64);
            builder.append_data(
                &mut header,
                entry.path.trim_start_matches('/'),
                content.as_slice(),
            )?;
        }
        builder.into_inner()?.flush()
    })
}

/// Restores the files that are missing or older in `dirs`. Returns their number.
///
/// With `hashes`, a file must have the hash of its path.
pub(super) fn extract(
    archive: &Path,
    dirs: &WritableDirs,
    hashes: Option<&BTreeMap<String, String>>,
) -> usize {
    let Ok(file) = bounded::open(archive) else {
        return 0;
    };
    let allowance = Allowance::default();
    let mut archive = tar::Archive::new(Bounded {
        inner: io::BufReader::new(file),
        allowance: allowance.clone(),
    });
    // One entry: the rest of the one before, its long name and other headers, its content.
    let refill = || allowance.set(MOST_HEADERS + 2 * THRESHOLD);
    refill();
    let Ok(entries) = archive.entries() else { return 0 };
    let mut restored = 0;
    for entry in entries {
        let mut entry = match entry {
            Ok(entry) if entry.size() < THRESHOLD => entry,
            // Nothing of that size is in a cache's archive.
            Ok(_) => break,
            // Behind a broken header, the next one cannot be found.
            Err(error) => {
                debug!(%error, "the rest of the archive is not read");
                break;
            }
        };
        match extract_entry(&mut entry, dirs, hashes) {
            Ok(done) => restored += usize::from(done),
            Err(error) => debug!(%error, "not restored from the archive"),
        }
        refill();
    }
    restored
}

/// Restores one file. Returns whether it was missing or older.
fn extract_entry<R: Read>(
    entry: &mut tar::Entry<'_, R>,
    dirs: &WritableDirs,
    hashes: Option<&BTreeMap<String, String>>,
) -> io::Result<bool> {
    let size = entry.size();
    if !entry.header().entry_type().is_file() {
        return Ok(false);
    }
    let path = format!(
        "/{}",
        String::from_utf8_lossy(&entry.path_bytes()).trim_start_matches('/')
    );
    let Some(target) = dirs.target(&path) else {
        debug!(path, "left out: it leads outside of the cache");
        return Ok(false);
    };
    let modified =
        SystemTime::UNIX_EPOCH + Duration::from_secs(entry.header().mtime()?.min(u64::from(u32::MAX)));
    let wanted = hashes.and_then(|hashes| hashes.get(&path));
    if let Ok(here) = fs::symlink_metadata(&target)
        && here.is_file()
        && here.len() == size
        && seconds(here.modified()?) >= seconds(modified) - TOLERANCE
        && wanted.is_none_or(|wanted| sha256(&target).is_ok_and(|found| found == *wanted))
    {
        return Ok(false);
    }
    let mut content = Vec::new();
    entry.read_to_end(&mut content)?;
    if content.len() as u64 != size {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    if wanted.is_some_and(|wanted| hex(&Sha256::digest(&content)) != *wanted) {
        return Err(other_hash());
    }
    let mode = entry.header().mode()? & 0o777;
    write(&target, modified, |file| {
        file.write_all(&content)?;
        file.set_permissions(fs::Permissions::from_mode(mode))
    })?;
    Ok(true)
}
