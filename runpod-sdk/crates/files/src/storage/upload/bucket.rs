//! The bucket as programs see it.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use object_store::path::Path as Key;
use runpod_worker::JobId;
use tracing::info;

use super::directory::DirectoryStorage;
use super::error::UploadError;
use super::object::{Link, Object, Uploaded};
use super::origin::Origin;
use super::s3::S3Bucket;
use super::{key, media_type};

/// Uploads of a list that run at once.
const PARALLEL: NonZeroUsize = NonZeroUsize::MIN.saturating_add(3);

/// A bucket of S3-compatible storage, for what jobs make.
///
/// ```no_run
/// use runpod_sdk::prelude::*;
/// use runpod_sdk::storage::Bucket;
///
/// #[handler]
/// async fn paint(prompt: String, ctx: Context) -> JobResult<String> {
///     let bucket = Bucket::for_job(ctx.job())?;
///     bucket.check_host().await?;
///     let picture = b"what the model has painted".to_vec();
///     let key = Bucket::key(ctx.job_id(), "picture.png");
///     let uploaded = bucket.put(&key, picture, "image/png").await?;
///     Ok(uploaded.url)
/// }
/// ```
///
/// # Which storage
///
/// [`for_job`](Self::for_job) takes the first of these that is configured:
///
/// 1. the job's `s3Config`: `endpointUrl`, `accessId`, `accessSecret`, and optionally `bucketName` and `objectPath`,
///    which becomes the prefix of all keys. The endpoint comes from the caller, so it must be one that the public
///    internet can reach, unless `RUNPOD_ALLOW_PRIVATE_DOWNLOAD_URLS` is set;
/// 2. the environment: `BUCKET_ENDPOINT_URL`, `BUCKET_ACCESS_KEY_ID`, `BUCKET_SECRET_ACCESS_KEY`, and optionally
///    `BUCKET_NAME`, `BUCKET_REGION` and `BUCKET_PREFIX`, which stands before all keys. Where those are absent, AWS's
///    names are used: `AWS_ENDPOINT_URL_S3` or `AWS_ENDPOINT_URL`, `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and
///    `AWS_SESSION_TOKEN`, `AWS_REGION` or `AWS_DEFAULT_REGION`. Without an endpoint they need `BUCKET_NAME` and a
///    region, and mean AWS; keys alone name no storage;
/// 3. the directory in `RUNPOD_WORKER_LOCAL_UPLOADS`, for work on a laptop: files are copied there, and links are their
///    paths. It is never a default: a deployed worker without storage fails its jobs, and gives no links that lead
///    nowhere.
///
/// The bucket is the one that is named, else the one in the endpoint's URL (`https://pics.s3.…` or
/// `https://….r2.cloudflarestorage.com/pics`), else the current month as `MM-YY`, as in Python's SDK.
/// The region is the one in `BUCKET_REGION`, else the one in the endpoint's URL. Storage that answers with the name of
/// another region gets the object there.
///
/// # Requests and limits
///
/// An object of less than 8 MiB takes one request. A larger one is sent in parts, four at a time; an upload that is
/// dropped is aborted. Each request is signed with a checksum of its content (`SigV4`). It may take 5 minutes
/// (`RUNPOD_WORKER_UPLOAD_TIMEOUT`) and is tried three times where another try may succeed. At the end the stored size
/// is compared. Bytes are not copied.
#[doc(alias = "rp_upload")]
#[derive(Debug, Clone)]
pub struct Bucket {
    pub(super) backend: Arc<StorageBackend>,
    pub(super) prefix: Arc<str>,
    link: Link,
    pub(super) parallel: NonZeroUsize,
}

/// Where a bucket keeps its objects.
#[derive(Debug)]
pub(super) enum StorageBackend {
    S3(Box<S3Bucket>),
    Directory(DirectoryStorage),
}

impl Bucket {
    /// A bucket with the default link. `prefix` stands before each key.
    pub(super) fn new(backend: StorageBackend, prefix: &str) -> Self {
        Self {
            backend: Arc::new(backend),
            prefix: prefix.into(),
            link: Link::default(),
            parallel: PARALLEL,
        }
    }

    /// What names the storage; `None` for a directory.
    pub fn origin(&self) -> Option<Origin> {
        match &*self.backend {
            StorageBackend::S3(s3) => Some(s3.origin),
            StorageBackend::Directory(_) => None,
        }
    }

    /// `<job id>/<name>`, made safe: whatever the two contain, the key stays below the job's. Slashes in the name are
    /// kept, other unusual characters become `_`.
    pub fn key(job: &JobId, name: &str) -> String {
        key::of_job(job, name)
    }

    /// Looks up the host of the endpoint that a job names, so that a wrong one is found before the work whose result is
    /// uploaded. Other storage, which the worker's owner names, is not looked up.
    ///
    /// # Errors
    ///
    /// [`UploadError::Config`]: the host has an address that is not public. [`UploadError::Broken`]: its name cannot be
    /// looked up, in three tries.
    pub async fn check_host(&self) -> Result<(), UploadError> {
        match &*self.backend {
            StorageBackend::S3(s3) => match &s3.jobs_host {
                Some(host) => host.check().await,
                None => Ok(()),
            },
            StorageBackend::Directory(_) => Ok(()),
        }
    }

    /// Sets the links that uploads give. Default: presigned, valid for a week.
    ///
    /// A time outside of 1 s to [`Link::LONGEST`] counts as the nearer of the two.
    #[must_use]
    pub fn link(mut self, link: Link) -> Self {
        self.link = match link {
            Link::Presigned(time) => Link::Presigned(time.clamp(Duration::from_secs(1), Link::LONGEST)),
            Link::Plain => Link::Plain,
        };
        self
    }

    /// Sets how many objects of a list are uploaded at once. Default 4; zero counts as 1.
    ///
    /// Raise it for many small objects and distant storage.
    #[must_use]
    pub fn parallel(mut self, uploads: usize) -> Self {
        self.parallel = NonZeroUsize::new(uploads).unwrap_or(NonZeroUsize::MIN);
        self
    }

    /// Stores `bytes` under `key` and replaces an object that is there.
    ///
    /// Without a content type, the extension of the key decides: see [`Object::content_type`].
    #[doc(alias = "upload_image")]
    #[doc(alias = "upload_in_memory_object")]
    pub async fn put<'a>(
        &self,
        key: &str,
        bytes: impl Into<Bytes>,
        content_type: impl Into<Option<&'a str>>,
    ) -> Result<Uploaded, UploadError> {
        let mut object = Object::new(key, bytes);
        object.media_type = content_type.into().map(str::to_owned);
        self.put_object(object).await
    }

    /// Stores an object and replaces one that is there.
    #[doc(alias = "upload_file_to_bucket")]
    pub async fn put_object(&self, object: Object) -> Result<Uploaded, UploadError> {
        let Object {
            key,
            content,
            media_type,
        } = object;
        let full_key = self.full_key(&key)?;
        let media_type = media_type.unwrap_or_else(|| media_type::of(&key).to_owned());
        let source = content.open().await?;
        let url = match &*self.backend {
            StorageBackend::S3(s3) => {
                s3.put(&full_key, &source, &media_type).await?;
                s3.link(&full_key, self.link).await?
            }
            StorageBackend::Directory(directory) => directory.put(&full_key, &source).await?,
        };
        info!(key = %full_key, bytes = source.len(), "uploaded");
        Ok(Uploaded {
            key: full_key.into(),
            url,
            bytes: source.len(),
            media_type,
        })
    }

    /// Stores several objects, a few at a time.
    ///
    /// The results are in the order of the objects. One that fails does not stop the others.
    ///
    /// ```no_run
    /// # use runpod_sdk::storage::{Bucket, Object, UploadError};
    /// # async fn example(bucket: Bucket) -> Result<(), UploadError> {
    /// let pictures = (0..4).map(|n| Object::new(format!("job-1/{n}.png"), vec![0; 100]));
    /// let uploaded: Vec<_> = bucket.put_all(pictures).await.into_iter().collect::<Result<_, _>>()?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn put_all(
        &self,
        objects: impl IntoIterator<Item = Object>,
    ) -> Vec<Result<Uploaded, UploadError>> {
        let each = objects.into_iter().map(|object| self.put_object(object));
        stream::iter(each).buffered(self.parallel.get()).collect().await
    }

    /// The key with the bucket's prefix.
    pub(super) fn full_key(&self, key: &str) -> Result<Key, UploadError> {
        key::parse(&format!("{}{key}", self.prefix))
    }
}
