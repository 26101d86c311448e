//! What there is in the directories: files by size, references, symbolic links.

use std::fs;
use std::path::Path;

use tracing::debug;

use super::THRESHOLD;
use super::bounds::Bounds;
use super::copy::{UNFINISHED, seconds, sha256};
use super::manifest::{Entry, Link};

#[derive(Debug, Default)]
pub(super) struct Tree {
    pub(super) small: Vec<Entry>,
    pub(super) big: Vec<Entry>,
    pub(super) refs: Vec<Entry>,
    pub(super) links: Vec<Link>,
}

impl Tree {
    /// `leave_out` is the caches' own folder, should it lie in one of the directories.
    pub(super) fn of(bounds: &Bounds, leave_out: &Path, hashes: bool) -> Self {
        let leave_out = leave_out.canonicalize().ok();
        let mut tree = Self::default();
        for dir in bounds.dirs() {
            tree.walk(dir, leave_out.as_deref(), hashes);
        }
        for files in [&mut tree.small, &mut tree.big, &mut tree.refs] {
            // Directories may lie within each other.
            files.sort_by(|a, b| a.path.cmp(&b.path));
            files.dedup_by(|a, b| a.path == b.path);
        }
        tree.links.sort_by(|a, b| a.path.cmp(&b.path));
        tree.links.dedup();
        tree
    }

    fn walk(&mut self, folder: &Path, leave_out: Option<&Path>, hashes: bool) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let (Ok(kind), Some(text)) = (entry.file_type(), path.to_str()) else {
                debug!(path = %path.display(), "left out: its name is no text");
                continue;
            };
            if Some(path.as_path()) == leave_out || is_left_out(text) {
                continue;
            }
            if kind.is_dir() {
                self.walk(&path, leave_out, hashes);
            } else if kind.is_symlink() {
                if let Some(target) = fs::read_link(&path).ok().as_deref().and_then(Path::to_str) {
                    self.links.push(Link {
                        path: text.to_owned(),
                        target: target.to_owned(),
                    });
                }
            } else if kind.is_file() {
                self.file(&path, text, hashes);
            }
        }
    }

    fn file(&mut self, path: &Path, text: &str, hashes: bool) {
        // What vanishes while we look is not there.
        let Ok(metadata) = fs::metadata(path) else { return };
        let Ok(modified) = metadata.modified() else { return };
        let entry = Entry {
            path: text.to_owned(),
            size: metadata.len(),
            mtime: seconds(modified),
            sha256: if hashes { sha256(path).ok() } else { None },
        };
        if entry.size >= THRESHOLD {
            self.big.push(entry);
        } else if text.contains("/refs/") {
            self.refs.push(entry);
        } else {
            self.small.push(entry);
        }
    }
}

fn is_left_out(path: &str) -> bool {
    Path::new(path)
        .extension()
        .is_some_and(|extension| extension == "lock")
        || path.ends_with(UNFINISHED)
        || path.ends_with("/.no_exist")
        || path.contains("/.no_exist/")
}
