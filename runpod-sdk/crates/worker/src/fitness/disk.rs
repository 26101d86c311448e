//! The check of free space on file systems.

use std::path::{Path, PathBuf};

use super::check::BuiltIn;
use super::{Check, FitnessError, Work, gib};

/// The default of the Python worker.
const DEFAULT_PERCENT: f64 = 10.0;

/// Checks that file systems have space left; see [`disk`].
#[derive(Debug, Clone)]
pub struct Disk {
    paths: Vec<PathBuf>,
    min_free: Option<u64>,
    min_percent: Option<f64>,
}

/// Checks that the file system of each path has space left for ordinary users.
///
/// Without a path it is `/`. Without a limit 10 % must be free.
pub fn disk() -> Disk {
    Disk {
        paths: Vec::new(),
        min_free: None,
        min_percent: None,
    }
}

impl Disk {
    /// Adds the file system of `path`. The path must exist.
    #[must_use]
    pub fn path(mut self, path: impl Into<PathBuf>) -> Self {
        self.paths.push(path.into());
        self
    }

    /// The least free bytes on each file system.
    #[must_use]
    pub fn min_free(mut self, bytes: u64) -> Self {
        self.min_free = Some(bytes);
        self
    }

    /// The least free percentage of each file system. Default 10, or none where [`Self::min_free`] is given.
    /// Overridden by `RUNPOD_MIN_DISK_PERCENT`.
    #[must_use]
    pub fn min_free_percent(mut self, percent: f64) -> Self {
        self.min_percent = Some(percent);
        self
    }

    fn look(mut self, asked: Option<f64>) -> Result<(), FitnessError> {
        if self.paths.is_empty() {
            self.paths.push(PathBuf::from("/"));
        }
        let percent = asked
            .or(self.min_percent)
            .or(self.min_free.is_none().then_some(DEFAULT_PERCENT));
        for path in self.paths {
            judge(&path, Space::on(&path)?, percent, self.min_free)?;
        }
        Ok(())
    }
}

impl Check<BuiltIn> for Disk {
    fn into_work(self) -> Work {
        Work::built_in(move |environment| {
            let asked = environment.min_disk_percent;
            async move {
                // A network volume that does not answer blocks the thread.
                tokio::task::spawn_blocking(move || self.look(asked))
                    .await
                    .unwrap_or_else(|lost| {
                        Err(FitnessError::Unreadable {
                            what: "free space".to_owned(),
                            source: std::io::Error::other(lost),
                        })
                    })
            }
        })
    }
}

#[derive(Debug, Clone, Copy)]
struct Space {
    free: u64,
    total: u64,
}

impl Space {
    fn on(path: &Path) -> Result<Self, FitnessError> {
        let seen = rustix::fs::statvfs(path).map_err(|error| FitnessError::Unreadable {
            what: format!("free space of {}", path.display()),
            source: error.into(),
        })?;
        Ok(Self {
            free: seen.f_bavail.saturating_mul(seen.f_frsize),
            total: seen.f_blocks.saturating_mul(seen.f_frsize),
        })
    }

    /// A file system without blocks of its own, such as an overlay of nothing, is not full.
    #[expect(clippy::cast_precision_loss, reason = "a percentage")]
    fn percent(self) -> f64 {
        match self.total {
            0 => 100.0,
            total => self.free as f64 * 100.0 / total as f64,
        }
    }
}

fn judge(path: &Path, space: Space, percent: Option<f64>, bytes: Option<u64>) -> Result<(), FitnessError> {
    if let Some(needed) = percent.filter(|needed| space.percent() < *needed) {
        return Err(FitnessError::Disk {
            path: path.to_owned(),
            found: format!("{:.1} % ({})", space.percent(), gib(space.free)),
            needed: format!("{needed:.1} %"),
            remedy: "give the container a larger disk, or lower RUNPOD_MIN_DISK_PERCENT",
        });
    }
    if let Some(needed) = bytes.filter(|needed| space.free < *needed) {
        return Err(FitnessError::Disk {
            path: path.to_owned(),
            found: gib(space.free),
            needed: gib(needed),
            remedy: "give the container a larger disk, or remove files",
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fitness::GIB;

    const SPACE: Space = Space {
        free: 5 * GIB,
        total: 100 * GIB,
    };

    fn complaint(percent: Option<f64>, bytes: Option<u64>) -> String {
        judge(Path::new("/"), SPACE, percent, bytes)
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn a_full_disk_says_how_full_it_is_and_what_to_do() {
        insta::assert_snapshot!(
            complaint(Some(10.0), None),
            @"/: 5.0 % (5.0 GiB) free, 10.0 % needed; give the container a larger disk, or lower RUNPOD_MIN_DISK_PERCENT"
        );
        insta::assert_snapshot!(
            complaint(None, Some(6 * GIB)),
            @"/: 5.0 GiB free, 6.0 GiB needed; give the container a larger disk, or remove files"
        );
        judge(Path::new("/"), SPACE, Some(5.0), Some(5 * GIB)).unwrap();
    }

    #[test]
    fn every_path_is_looked_at_where_python_knew_only_the_root() {
        let here = tempfile::tempdir().unwrap();
        let both = disk().path(here.path()).path(here.path().join("not/there"));
        let error = both.look(Some(0.0)).unwrap_err().to_string();
        assert!(error.contains("not/there can't be read: No such file"), "{error}");
        disk().path(here.path()).look(Some(0.0)).unwrap();
    }

    #[test]
    fn the_environment_has_the_last_word() {
        let here = tempfile::tempdir().unwrap();
        let strict = disk().path(here.path()).min_free_percent(100.1);
        assert!(strict.clone().look(None).is_err());
        strict.look(Some(0.0)).unwrap();
    }

    #[test]
    fn a_file_system_without_blocks_is_not_full() {
        let nothing = Space { free: 0, total: 0 };
        judge(Path::new("/proc"), nothing, Some(10.0), None).unwrap();
    }
}
