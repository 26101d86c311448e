//! Waiting for new code.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use notify::event::ModifyKind;
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;

/// A build writes a file in several steps; new code is there once nothing has changed for this long.
const QUIET: Duration = Duration::from_millis(250);

/// Changes of files and folders.
#[derive(Debug)]
pub(super) struct Changes {
    seen: mpsc::UnboundedReceiver<()>,
    /// Ends the watch when it is dropped.
    _watcher: Option<RecommendedWatcher>,
}

impl Changes {
    /// Watches these paths; an empty one stands for the command's program and the files among its arguments.
    pub(super) fn watch(paths: &[PathBuf], command: &[OsString]) -> anyhow::Result<Self> {
        let (tell, seen) = mpsc::unbounded_channel();
        let mut files = BTreeSet::new();
        for path in paths {
            if path.as_os_str().is_empty() {
                files.extend(command.iter().map(PathBuf::from).filter(|path| path.is_file()));
            } else {
                files.insert(path.clone());
            }
        }
        if files.is_empty() {
            anyhow::ensure!(
                paths.is_empty(),
                "--restart-on-change: the command names no file; name one, as in --restart-on-change=handler.py"
            );
            return Ok(Self { seen, _watcher: None });
        }
        let watcher = watch_all(&files, tell)?;
        Ok(Self {
            seen,
            _watcher: Some(watcher),
        })
    }

    /// Completes when something has changed and is complete.
    pub(super) async fn next(&mut self) {
        if self.seen.recv().await.is_none() {
            return std::future::pending().await;
        }
        while tokio::time::timeout(QUIET, self.seen.recv()).await.is_ok() {}
    }
}

fn watch_all(
    files: &BTreeSet<PathBuf>,
    tell: mpsc::UnboundedSender<()>,
) -> anyhow::Result<RecommendedWatcher> {
    let absolute: Vec<PathBuf> = files
        .iter()
        .map(|path| {
            std::fs::canonicalize(path).with_context(|| format!("--restart-on-change: {}", path.display()))
        })
        .collect::<Result<_, _>>()?;
    let named = absolute.clone();
    let handler = move |event: notify::Result<Event>| {
        // A receiver that is gone needs no news.
        if event.is_ok_and(|event| is_new_code(&event, &named)) {
            let _ = tell.send(());
        }
    };
    let mut watcher = notify::recommended_watcher(handler).context("cannot watch files")?;
    for path in &absolute {
        // A build replaces a file by another one of its name, which only its folder notices.
        let (path, mode) = match path.parent() {
            Some(parent) if path.is_file() => (parent, RecursiveMode::NonRecursive),
            _ => (path.as_path(), RecursiveMode::Recursive),
        };
        watcher
            .watch(path, mode)
            .with_context(|| format!("--restart-on-change: cannot watch {}", path.display()))?;
    }
    Ok(watcher)
}

fn is_new_code(event: &Event, watched: &[PathBuf]) -> bool {
    let written = matches!(
        event.kind,
        EventKind::Create(_) | EventKind::Modify(ModifyKind::Data(_) | ModifyKind::Name(_))
    );
    written
        && event
            .paths
            .iter()
            .any(|path| watched.iter().any(|watched| is_in(path, watched)))
}

fn is_in(path: &Path, watched: &Path) -> bool {
    // What Python writes when it runs new code is no new code.
    path.starts_with(watched) && !path.components().any(|part| part.as_os_str() == "__pycache__")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A bound on the time of these tests; events come at once.
    const LIMIT: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn a_file_that_is_replaced_is_new_code_and_its_neighbour_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let [handler, neighbour, built] =
            ["handler.py", "other.py", "built"].map(|name| folder.path().join(name));
        std::fs::write(&handler, "1").unwrap();
        let command = ["python".into(), handler.clone().into()];
        let mut changes = Changes::watch(&[PathBuf::new()], &command).unwrap();
        std::fs::write(&neighbour, "1").unwrap();
        std::fs::write(&built, "2").unwrap();
        std::fs::rename(&built, &handler).unwrap();
        tokio::time::timeout(LIMIT, changes.next()).await.unwrap();
        assert!(changes.seen.try_recv().is_err(), "one change is told once");
        std::fs::write(&neighbour, "2").unwrap();
        std::fs::write(&handler, "3").unwrap();
        tokio::time::timeout(LIMIT, changes.next()).await.unwrap();
    }

    #[test]
    fn a_command_without_files_cannot_be_watched() {
        let refused = Changes::watch(&[PathBuf::new()], &["true".into()]).unwrap_err();
        assert!(refused.to_string().contains("name one"), "{refused}");
        assert!(Changes::watch(&[], &["true".into()]).is_ok());
    }
}
