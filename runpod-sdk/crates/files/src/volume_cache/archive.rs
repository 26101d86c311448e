//! `small.tar`: the small files, named relative to `/`.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write as _};
use std::path::Path;
use std::time::{Duration, SystemTime};

use sha2::{Digest as _, Sha256};
use tracing::debug;

use super::bounds::Bounds;
use super::copy::{hex, seconds, sha256, whole};
use super::manifest::Entry;
use super::{THRESHOLD, TOLERANCE};

pub(super) const NAME: &str = "small.tar";

/// Packs the files. What vanishes meanwhile is left out.
pub(super) fn pack(root: &Path, files: &[&Entry]) -> io::Result<()> {
    whole(&root.join(NAME), SystemTime::now(), |archive| {
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
            // It may have grown since.
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

/// Restores what is missing or older here. Returns how many files that were.
pub(super) fn extract(root: &Path, bounds: &Bounds, hashes: Option<&BTreeMap<String, String>>) -> usize {
    let Ok(file) = File::open(root.join(NAME)) else {
        return 0;
    };
    let mut archive = tar::Archive::new(io::BufReader::new(file));
    let Ok(entries) = archive.entries() else { return 0 };
    let mut restored = 0;
    for entry in entries {
        // What lies behind a broken header cannot be found.
        let Ok(mut entry) = entry else { break };
        match member(&mut entry, bounds, hashes) {
            Ok(done) => restored += usize::from(done),
            Err(error) => debug!(%error, "not restored from the archive"),
        }
    }
    restored
}

fn member<R: Read>(
    entry: &mut tar::Entry<'_, R>,
    bounds: &Bounds,
    hashes: Option<&BTreeMap<String, String>>,
) -> io::Result<bool> {
    let size = entry.size();
    if !entry.header().entry_type().is_file() || size >= THRESHOLD {
        return Ok(false);
    }
    let path = format!(
        "/{}",
        String::from_utf8_lossy(&entry.path_bytes()).trim_start_matches('/')
    );
    let Some(target) = bounds.target(&path) else {
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
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the content has another hash",
        ));
    }
    let mode = entry.header().mode()? & 0o777;
    whole(&target, modified, |file| {
        use std::os::unix::fs::PermissionsExt as _;
        file.write_all(&content)?;
        file.set_permissions(fs::Permissions::from_mode(mode))
    })?;
    Ok(true)
}
