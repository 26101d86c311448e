//! Removes the scratch directories of killed processes.
//!
//! Other users may write to the base directory, so its contents are not trusted. A leftover is a regular file of this
//! user, with a name of this crate's form, whose lock can be acquired.

use std::fs::{self, File, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use tracing::{debug, info};

use super::{LOCK, PREFIX, remove};

pub(super) fn remove_all(base: &Path) {
    let Ok(entries) = fs::read_dir(base) else {
        // Without a base directory there are no leftovers.
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
        // The lock is still held, so that no other process takes the file for a leftover.
        let _ = fs::remove_file(lock_path);
        info!(path = %directory.display(), "removed what a dead worker left");
    }
}

/// Acquires the lock, if its owner is dead and the file belongs to this user.
fn lock_of_the_dead(path: &Path) -> Option<File> {
    let before = fs::symlink_metadata(path).ok()?;
    if !before.is_file() || !is_ours(&before) {
        return None;
    }
    let lock = File::open(path).ok()?;
    // The opened file must be the one that was checked, not one that replaced it.
    let opened = lock.metadata().ok()?;
    if (opened.dev(), opened.ino()) != (before.dev(), before.ino()) {
        return None;
    }
    lock.try_lock().ok()?;
    Some(lock)
}

/// Whether a file belongs to the user of this process.
fn is_ours(metadata: &Metadata) -> bool {
    // `/proc/self` belongs to the user of the process.
    fs::metadata("/proc/self").map_or(true, |process| process.uid() == metadata.uid())
}
