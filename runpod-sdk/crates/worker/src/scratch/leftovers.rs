//! What processes that were killed have left behind.
//!
//! The base directory may be everybody's, so nothing in it is believed: only regular files of this user,
//! named as this crate names them, whose lock can be had, count as left over.

use std::fs::{self, File, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use tracing::{debug, info};

use super::{LOCK, PREFIX, remove};

pub(super) fn remove_all(base: &Path) {
    let Ok(entries) = fs::read_dir(base) else {
        // No directory, nothing left.
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let Some(name) = name.strip_prefix(PREFIX).and_then(|name| name.strip_suffix(LOCK)) else {
            continue;
        };
        if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            remove_one(base, &entry.path(), name);
        }
    }
}

fn remove_one(base: &Path, lock_path: &Path, name: &str) {
    let Some(_lock) = lock_of_the_dead(lock_path) else {
        return;
    };
    let directory = base.join(format!("{PREFIX}{name}"));
    let found = fs::symlink_metadata(&directory);
    if found
        .as_ref()
        .is_ok_and(|found| !found.is_dir() || !is_ours(found))
    {
        debug!(path = %directory.display(), "not a directory of this user; left alone");
        return;
    }
    if remove(&directory) {
        // Still locked, so nobody takes it for another's.
        let _ = fs::remove_file(lock_path);
        info!(path = %directory.display(), "removed what a dead worker left");
    }
}

/// The lock, if its owner is dead and it is a file of this user's.
fn lock_of_the_dead(path: &Path) -> Option<File> {
    let before = fs::symlink_metadata(path).ok()?;
    if !before.is_file() || !is_ours(&before) {
        return None;
    }
    let lock = File::open(path).ok()?;
    // What was opened is what was looked at, not what somebody has put in its place.
    let opened = lock.metadata().ok()?;
    if (opened.dev(), opened.ino()) != (before.dev(), before.ino()) {
        return None;
    }
    lock.try_lock().ok()?;
    Some(lock)
}

/// Whether it belongs to the user that this process runs as.
fn is_ours(metadata: &Metadata) -> bool {
    // The kernel gives `/proc/self` to whom the process belongs.
    fs::metadata("/proc/self").map_or(true, |process| process.uid() == metadata.uid())
}
