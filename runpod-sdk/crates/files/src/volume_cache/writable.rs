//! Where a cache may write: within its directories, whatever a manifest, an archive or a symbolic link says.

use std::io;
use std::path::{Component, Path, PathBuf};

/// The directories of a cache, with the symbolic links in their own paths resolved.
#[derive(Debug)]
pub(super) struct WritableDirs(Vec<PathBuf>);

impl WritableDirs {
    pub(super) fn new(dirs: &[PathBuf]) -> Self {
        Self(
            dirs.iter()
                .filter_map(|dir| resolve_links(&std::path::absolute(dir).ok()?))
                .collect(),
        )
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Path> {
        self.0.iter().map(PathBuf::as_path)
    }

    fn contain(&self, path: &Path) -> bool {
        self.0.iter().any(|dir| path.starts_with(dir) && path != dir)
    }

    /// Where a file that is called `path` is written, if it may be: the path is absolute and without `..`, and its
    /// folder really lies within a directory.
    ///
    /// The caller puts the file there by renaming, which does not follow a link at its own place.
    pub(super) fn target(&self, path: &str) -> Option<PathBuf> {
        let target = Path::new(path);
        let name = target.file_name()?;
        if !is_plain(path) || !self.contain(target) {
            return None;
        }
        let resolved = resolve_links(target.parent()?)?.join(name);
        self.contain(&resolved).then_some(resolved)
    }

    /// Makes the symbolic link `path` if nothing exists there, and if it leads from within a directory to within one.
    /// Returns whether it did.
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

    /// Whether a link's target lies within a directory. `..` may stand only at its beginning: after the name of another
    /// link its meaning is unknown.
    fn leads_inside(&self, link: &Path, target: &Path) -> bool {
        if target.is_absolute() {
            return target.to_str().is_some_and(is_plain) && self.contain(target);
        }
        let Some(mut resolved) = link.parent().map(Path::to_owned) else {
            return false;
        };
        let mut after_a_name = false;
        for part in target.components() {
            match part {
                Component::ParentDir if !after_a_name => {
                    resolved.pop();
                }
                Component::Normal(name) => {
                    after_a_name = true;
                    resolved.push(name);
                }
                Component::CurDir => {}
                _ => return false,
            }
        }
        self.contain(&resolved)
    }
}

/// Whether `path` is absolute and consists of ordinary names.
pub(super) fn is_plain(path: &str) -> bool {
    let mut parts = Path::new(path).components();
    !path.contains('\0')
        && parts.next() == Some(Component::RootDir)
        && parts.all(|part| matches!(part, Component::Normal(_)))
}

/// `path` with the links in it resolved, as far as it exists.
fn resolve_links(path: &Path) -> Option<PathBuf> {
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
            // A dangling link exists, but its destination is unknown.
            Err(_) if known.symlink_metadata().is_ok() => return None,
            Err(_) => missing.push(known.file_name()?),
        }
    }
    None
}
