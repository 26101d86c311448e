//! Where may be written: within the configured directories, whatever a manifest, an archive or a
//! symbolic link says.

use std::io;
use std::path::{Component, Path, PathBuf};

/// The configured directories, without symbolic links in their own paths.
#[derive(Debug)]
pub(super) struct Bounds(Vec<PathBuf>);

impl Bounds {
    pub(super) fn new(dirs: &[PathBuf]) -> Self {
        Self(
            dirs.iter()
                .filter_map(|dir| real(&std::path::absolute(dir).ok()?))
                .collect(),
        )
    }

    pub(super) fn dirs(&self) -> impl Iterator<Item = &Path> {
        self.0.iter().map(PathBuf::as_path)
    }

    fn hold(&self, path: &Path) -> bool {
        self.0.iter().any(|dir| path.starts_with(dir) && path != dir)
    }

    /// `path` if it may be written: an absolute path without `..`, whose folder really is within a
    /// directory. A file is put there by renaming, which does not follow a link in its own place.
    pub(super) fn target(&self, path: &str) -> Option<PathBuf> {
        let target = Path::new(path);
        let name = target.file_name()?;
        if !is_plain(path) || !self.hold(target) {
            return None;
        }
        let there = real(target.parent()?)?.join(name);
        self.hold(&there).then_some(there)
    }

    /// Makes the symbolic link `path` if nothing is there yet, and if it leads from within a directory
    /// to within one. Returns whether it did.
    pub(super) fn link(&self, path: &str, target: &str) -> io::Result<bool> {
        let Some(link) = self.target(path) else {
            return Ok(false);
        };
        if link.symlink_metadata().is_ok() || !self.leads_inside(&link, Path::new(target)) {
            return Ok(false);
        }
        if let Some(folder) = link.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::os::unix::fs::symlink(target, &link)?;
        Ok(true)
    }

    /// `..` only at the beginning: behind another link it would lead who knows where.
    fn leads_inside(&self, link: &Path, target: &Path) -> bool {
        if target.is_absolute() {
            return target.to_str().is_some_and(is_plain) && self.hold(target);
        }
        let Some(mut place) = link.parent().map(Path::to_owned) else {
            return false;
        };
        let mut down = false;
        for part in target.components() {
            match part {
                Component::ParentDir if !down => {
                    place.pop();
                }
                Component::Normal(name) => {
                    down = true;
                    place.push(name);
                }
                Component::CurDir => {}
                _ => return false,
            }
        }
        self.hold(&place)
    }
}

/// An absolute path of ordinary names.
pub(super) fn is_plain(path: &str) -> bool {
    let mut parts = Path::new(path).components();
    !path.contains('\0')
        && parts.next() == Some(Component::RootDir)
        && parts.all(|part| matches!(part, Component::Normal(_)))
}

/// `path` with the links in it resolved, as far as it exists.
fn real(path: &Path) -> Option<PathBuf> {
    let mut missing = Vec::new();
    for known in path.ancestors() {
        match known.canonicalize() {
            Ok(found) => {
                return Some(
                    missing
                        .into_iter()
                        .rev()
                        .fold(found, |path, name| path.join(name)),
                );
            }
            // A link that leads nowhere is there, and where it leads is not known.
            Err(_) if known.symlink_metadata().is_ok() => return None,
            Err(_) => missing.push(known.file_name()?),
        }
    }
    None
}
