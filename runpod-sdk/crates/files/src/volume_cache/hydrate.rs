//! From the volume to this worker.

use tracing::{debug, info};

use super::atomic_file::{copy, is_current, sha256};
use super::layout::Layout;
use super::manifest::{FileEntry, Manifest};
use super::writable::WritableDirs;
use super::{archive, parallel};

/// Restores what is missing in `dirs` or older than on the volume. Returns the number of restored files and links.
pub(super) fn hydrate(layout: &Layout, dirs: &WritableDirs, by_content: bool) -> usize {
    let Some(manifest) = Manifest::read(layout) else {
        return 0;
    };
    let mut restored = 0;
    if !manifest.small.is_empty() || !manifest.refs.is_empty() {
        let hashes = by_content.then(|| manifest.hashes_of_small());
        restored += archive::extract(&layout.archive(), dirs, hashes.as_ref());
    }
    restored += parallel::filter_map(&manifest.big, |entry| {
        restore_big_file(layout, dirs, entry, by_content).then_some(())
    })
    .len();
    restored += manifest
        .links
        .iter()
        .filter(|link| dirs.link(&link.path, &link.target).unwrap_or(false))
        .count();
    if restored > 0 {
        info!(files = restored, "cache restored from the volume");
    }
    restored
}

/// Restores one large file. Returns whether it was copied.
fn restore_big_file(layout: &Layout, dirs: &WritableDirs, entry: &FileEntry, by_content: bool) -> bool {
    let (Some(target), Some(source)) = (dirs.target(&entry.path), layout.existing_big_file(&entry.path))
    else {
        debug!(path = entry.path, "left out: it leads outside of the cache");
        return false;
    };
    let wanted = entry.sha256.as_deref().filter(|_| by_content);
    let same_content = || wanted.is_none_or(|wanted| sha256(&target).is_ok_and(|found| found == wanted));
    if is_current(&source, &target) && same_content() {
        return false;
    }
    match copy(&source, &target, wanted) {
        Ok(_) => true,
        Err(error) => {
            debug!(path = entry.path, %error, "not restored");
            false
        }
    }
}
