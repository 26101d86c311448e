//! The bucket for a job's pictures: the job's own, else the worker's.

use std::sync::Arc;

use runpod_sdk::json::RawJson;
use runpod_sdk::storage::{Bucket, UploadError};
use runpod_sdk::{Context, Job};
use tokio::sync::OnceCell;

use super::blocking::blocking;

/// The worker's bucket from the environment. It is opened when a job first needs it, for all jobs.
#[derive(Debug, Clone, Default)]
pub(super) struct OwnBucket(Arc<OnceCell<Bucket>>);

/// The bucket of one job. Its clones share the connections.
#[derive(Debug, Clone)]
pub(super) struct Storage {
    of_job: Option<Bucket>,
    own: OwnBucket,
}

impl Storage {
    /// Reads the job's `s3Config`, if it has one, and looks up its host.
    pub(super) async fn of(ctx: &Context, own: &OwnBucket) -> Result<Self, UploadError> {
        let job = ctx.job().clone();
        let of_job = blocking(move || Bucket::from_job(&job)).await?;
        if let Some(bucket) = &of_job {
            bucket.check_host().await?;
        }
        Ok(Self {
            of_job,
            own: own.clone(),
        })
    }

    /// The worker's own bucket.
    pub(super) fn own(own: &OwnBucket) -> Self {
        Self {
            of_job: None,
            own: own.clone(),
        }
    }

    #[cfg(test)]
    pub(super) fn for_test(of_job: Option<Bucket>, own: &OwnBucket) -> Self {
        Self {
            of_job,
            own: own.clone(),
        }
    }

    /// The bucket.
    ///
    /// # Errors
    ///
    /// [`UploadError::Missing`] if there is none.
    pub(super) async fn bucket(&self) -> Result<Bucket, UploadError> {
        if let Some(bucket) = &self.of_job {
            return Ok(bucket.clone());
        }
        let own = &self.own.0;
        // A job without an s3Config uses the worker's bucket.
        let find = || blocking(|| Bucket::for_job(&Job::new("any", RawJson::null())));
        own.get_or_try_init(find).await.cloned()
    }
}
