//! A test of the storage before the first job, by a fitness check or by hand.

use std::fmt;

use super::bucket::{Bucket, StorageBackend};
use super::error::UploadError;

/// A step of a probe.
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

/// A step of a probe that failed.
#[derive(Debug, thiserror::Error)]
#[error("{step}: {source}")]
#[non_exhaustive]
pub struct ProbeFailed {
    /// The step.
    pub step: ProbeStep,
    /// Why it failed.
    pub source: UploadError,
}

impl Bucket {
    /// Stores a small object, reads it back and deletes it.
    ///
    /// Uploads themselves need only the first step. Credentials that may write and nothing else fail at a later step,
    /// which the error names. The object of the first step then stays in the bucket as `probe/<random>`.
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
        let failed = |step| move |source| ProbeFailed { step, source };
        let name = format!("probe/{}", uuid::Uuid::new_v4());
        let content = name.clone();
        self.put(&name, content.clone(), "text/plain")
            .await
            .map_err(failed(ProbeStep::Put))?;
        let key = self.full_key(&name).map_err(failed(ProbeStep::Put))?;
        let got = match &*self.backend {
            StorageBackend::S3(s3) => s3.get(&key).await,
            StorageBackend::Directory(directory) => directory.get(&key),
        };
        let read = got.map_err(failed(ProbeStep::Get))?;
        if read != content.as_bytes() {
            return Err(failed(ProbeStep::Get)(UploadError::Mismatch {
                key: key.into(),
                sent: content.len() as u64,
                stored: read.len() as u64,
            }));
        }
        let deleted = match &*self.backend {
            StorageBackend::S3(s3) => s3.delete(&key).await,
            StorageBackend::Directory(directory) => directory.delete(&key),
        };
        deleted.map_err(failed(ProbeStep::Delete))
    }
}
