//! What the directories hold: files by size, references, symbolic links.

use std::fs;
use std::path::Path;

use tracing::debug;

use super::atomic_file::{UNFINISHED, seconds, sha256};
use super::layout::THRESHOLD;
use super::manifest::{FileEntry, LinkEntry};
use super::writable::WritableDirs;

/// The content of all directories.
#[derive(Debug, Default)]
pub(super) struct Scan {
    pub(super) small: Vec<FileEntry>,
    pub(super) big: Vec<FileEntry>,
    pub(super) refs: Vec<FileEntry>,
    pub(super) links: Vec<LinkEntry>,
}

impl Scan {
    /// Scans `dirs`, with the files' hashes if `hashes` is set. The folder `leave_out` is skipped.
    pub(super) fn of(dirs: &WritableDirs, leave_out: &Path, hashes: bool) -> Self {
        let leave_out = leave_out.canonicalize().ok();
        let mut scan = Self::default();
        for dir in dirs.iter() {
            scan.add_folder(dir, leave_out.as_deref(), hashes);
        }
        for files in [&mut scan.small, &mut scan.big, &mut scan.refs] {
            // Directories may lie within each other.
            files.sort_by(|a, b| a.path.cmp(&b.path));
            files.dedup_by(|a, b| a.path == b.path);
        }
        scan.links.sort_by(|a, b| a.path.cmp(&b.path));
        scan.links.dedup();
        scan
    }

    fn add_folder(&mut self, folder: &Path, leave_out: Option<&Path>, hashes: bool) {
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
                self.add_folder(&path, leave_out, hashes);
            } else if kind.is_symlink() {
                if let Some(target) = fs::read_link(&path).ok().as_deref().and_then(Path::to_str) {
                    self.links.push(LinkEntry {
                        path: text.to_owned(),
                        target: target.to_owned(),
                    });
                }
            } else if kind.is_file() {
                self.add_file(&path, text, hashes);
            }
        }
    }

    fn add_file(&mut self, path: &Path, text: &str, hashes: bool) {
        // A file that vanishes during the scan counts as absent.
        let Ok(metadata) = fs::metadata(path) else { return };
        let Ok(modified) = metadata.modified() else { return };
        let entry = FileEntry {
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

/// Whether a file is never cached: locks, unfinished files, and Hugging Face's notes of absent files.
fn is_left_out(path: &str) -> bool {
    Path::new(path)
        .extension()
        .is_some_and(|extension| extension == "lock")
        || path.ends_with(UNFINISHED)
        || path.ends_with("/.no_exist")
        || path.contains("/.no_exist/")
}
