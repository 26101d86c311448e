//! A directory that stands in for storage: objects become files below it.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use object_store::path::Path as Key;

use super::error::UploadError;
use super::object::{PIECE, Source, blocking};

/// A directory that stands in for storage.
#[derive(Debug)]
pub(super) struct DirectoryStorage(PathBuf);

impl DirectoryStorage {
    pub(super) fn new(directory: PathBuf) -> Self {
        Self(directory)
    }

    fn path(&self, key: &Key) -> PathBuf {
        self.0.join(key.as_ref())
    }

    /// Writes an object into its file. Returns the file's absolute path.
    pub(super) async fn put(&self, key: &Key, source: &Source) -> Result<String, UploadError> {
        let path = self.path(key);
        let target = path.clone();
        let create = move || {
            if let Some(parent) = target.parent() {
                fs::create_dir_all(parent)?;
            }
            File::create(&target)
        };
        let file = Arc::new(blocking(create).await.map_err(at(&path))?);
        let mut offset = 0;
        while offset < source.len() {
            let piece = source.piece(offset, PIECE).await?;
            offset += piece.len() as u64;
            let file = file.clone();
            blocking(move || (&*file).write_all(&piece))
                .await
                .map_err(at(&path))?;
        }
        let absolute = std::path::absolute(&path).map_err(at(&path))?;
        Ok(absolute.to_string_lossy().into_owned())
    }

    pub(super) fn get(&self, key: &Key) -> Result<Vec<u8>, UploadError> {
        let path = self.path(key);
        fs::read(&path).map_err(at(&path))
    }

    pub(super) fn delete(&self, key: &Key) -> Result<(), UploadError> {
        let path = self.path(key);
        fs::remove_file(&path).map_err(at(&path))
    }
}

/// Adds the path to an I/O error.
fn at(path: &Path) -> impl FnOnce(io::Error) -> UploadError {
    let path = path.to_owned();
    |source| UploadError::File { path, source }
}
