//! Does storage work? Asked before work begins, by a fitness check or by a person.

use std::fmt;

use object_store::ObjectStoreExt as _;
use object_store::path::Path;

use super::{Bucket, Place, UploadError, key};

/// What a probe did when it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProbeStep {
    /// Storing an object.
    Put,
    /// Reading it back.
    Get,
    /// Deleting it.
    Delete,
}

impl fmt::Display for ProbeStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Put => "storing an object",
            Self::Get => "reading it back",
            Self::Delete => "deleting it",
        })
    }
}

/// Storage that does not do what an upload needs.
#[derive(Debug, thiserror::Error)]
#[error("{step}: {source}")]
#[non_exhaustive]
pub struct ProbeFailed {
    /// What was tried.
    pub step: ProbeStep,
    /// Why it failed.
    pub source: UploadError,
}

impl Bucket {
    /// Stores a small object, reads it back and deletes it.
    ///
    /// Uploads themselves need only the first: credentials that may write and nothing else fail at a later
    /// step, which the error names. What the first step stored then stays there, as `probe/<random>`.
    ///
    /// ```no_run
    /// # use runpod_sdk::storage::Bucket;
    /// use runpod_sdk::{JobError, Worker};
    ///
    /// # let bucket = Bucket::directory("/tmp");
    /// let worker: Worker = Worker::new(|n: u32| async move { Ok::<_, JobError>(n) })
    ///     .fitness_check("storage", move || async move { bucket.probe().await });
    /// ```
    pub async fn probe(&self) -> Result<(), ProbeFailed> {
        let name = format!("probe/{}", uuid::Uuid::new_v4());
        let failed = |step| move |source| ProbeFailed { step, source };
        let content = name.clone();
        self.put(&name, content.clone(), "text/plain")
            .await
            .map_err(failed(ProbeStep::Put))?;
        let path = key::parse(&format!("{}{name}", self.prefix)).map_err(failed(ProbeStep::Put))?;
        let read = self.read(&path).await.map_err(failed(ProbeStep::Get))?;
        if read != content.as_bytes() {
            return Err(failed(ProbeStep::Get)(UploadError::Mismatch {
                key: path.into(),
                sent: content.len() as u64,
                stored: read.len() as u64,
            }));
        }
        self.remove(&path).await.map_err(failed(ProbeStep::Delete))
    }

    async fn read(&self, path: &Path) -> Result<Vec<u8>, UploadError> {
        match &*self.place {
            Place::S3(s3) => {
                let got = async { s3.store.get(path).await?.bytes().await };
                let bytes = got.await.map_err(|error| s3.failed(path, &error))?;
                Ok(bytes.into())
            }
            Place::Directory(directory) => {
                let path = directory.join(path.as_ref());
                std::fs::read(&path).map_err(|source| UploadError::File { path, source })
            }
        }
    }

    async fn remove(&self, path: &Path) -> Result<(), UploadError> {
        match &*self.place {
            Place::S3(s3) => s3
                .store
                .delete(path)
                .await
                .map_err(|error| s3.failed(path, &error)),
            Place::Directory(directory) => {
                let path = directory.join(path.as_ref());
                std::fs::remove_file(&path).map_err(|source| UploadError::File { path, source })
            }
        }
    }
}
