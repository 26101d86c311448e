//! Reads a checkpoint while the WebUI starts: Python's imports need the processor, the checkpoint needs the disk. What
//! was read stays in the page cache, where the WebUI finds it.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Instant;

use tracing::{info, warn};

/// One read. A stop is noticed between two.
const PIECE: usize = 8 << 20;

/// A running read. It stops when this is dropped.
#[derive(Debug)]
pub(super) struct ReadAhead {
    stop: Arc<AtomicBool>,
    ended: Arc<OnceLock<Instant>>,
}

impl ReadAhead {
    /// Starts to read the checkpoint that `path` names. What cannot be read is logged, and is no error: the WebUI will
    /// say the same, and better.
    pub(super) fn begin(path: &Path) -> Option<Self> {
        let file = checkpoint(path)?;
        let reading = Self {
            stop: Arc::default(),
            ended: Arc::default(),
        };
        let (stop, ended) = (reading.stop.clone(), reading.ended.clone());
        let thread = thread::Builder::new().name("read-ahead".to_owned());
        let spawned = thread.spawn(move || {
            let began = Instant::now();
            let shown = file.display();
            match read(&file, &stop) {
                Ok(Some(bytes)) => {
                    let _ = ended.set(Instant::now());
                    info!(bytes, took = ?began.elapsed(), "models read ahead: {shown}");
                }
                Ok(None) => info!("models read ahead: {shown} in part; the WebUI was ready first"),
                Err(error) => warn!("{shown} can't be read ahead: {error}"),
            }
        });
        spawned.is_ok().then_some(reading)
    }

    /// When all was read.
    pub(super) fn ended(&self) -> Option<Instant> {
        self.ended.get().copied()
    }
}

impl Drop for ReadAhead {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// The file, or the only checkpoint of the folder. Of several the WebUI may load any.
fn checkpoint(path: &Path) -> Option<PathBuf> {
    if !path.is_dir() {
        return Some(path.to_owned());
    }
    let entries = fs::read_dir(path).ok()?;
    let files = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut checkpoints = files.filter(|file| {
        file.extension()
            .is_some_and(|ending| ending == "safetensors" || ending == "ckpt")
    });
    match (checkpoints.next(), checkpoints.next()) {
        (Some(only), None) => Some(only),
        (None, _) => None,
        (Some(_), Some(_)) => {
            info!("{} has several checkpoints; none is read ahead", path.display());
            None
        }
    }
}

/// Reads to the end and returns the number of bytes; `None` if it was stopped before.
fn read(file: &Path, stop: &AtomicBool) -> io::Result<Option<u64>> {
    let mut source = File::open(file)?;
    let mut piece = vec![0; PIECE];
    let mut bytes = 0;
    while !stop.load(Ordering::Relaxed) {
        match source.read(&mut piece)? {
            0 => return Ok(Some(bytes)),
            read => bytes += u64::try_from(read).unwrap_or_default(),
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_or_the_only_checkpoint_of_a_folder_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name);
        assert_eq!(checkpoint(folder.path()), None, "there is none");
        fs::write(file("notes.txt"), "x").unwrap();
        fs::write(file("one.safetensors"), "12345").unwrap();
        assert_eq!(checkpoint(folder.path()), Some(file("one.safetensors")));
        assert_eq!(checkpoint(&file("notes.txt")), Some(file("notes.txt")));
        fs::write(file("two.ckpt"), "x").unwrap();
        assert_eq!(checkpoint(folder.path()), None, "it may be either");
    }

    #[test]
    fn all_is_read_unless_the_read_is_stopped() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("model.safetensors");
        fs::write(&file, vec![7; PIECE + 1]).unwrap();
        let stop = AtomicBool::new(false);
        let all = u64::try_from(PIECE).unwrap() + 1;
        assert_eq!(read(&file, &stop).unwrap(), Some(all));
        stop.store(true, Ordering::Relaxed);
        assert_eq!(read(&file, &stop).unwrap(), None);
        assert!(read(&folder.path().join("gone"), &stop).is_err());
    }
}
