//! Uploads to S3-compatible storage (`docs/protocol/worker-protocol.md` §15).

mod builder;
mod endpoint;
mod error;
mod key;
mod media_type;
mod object;
mod probe;
mod send;
mod settings;
#[cfg(test)]
mod tests;
mod transport;

use std::num::NonZeroUsize;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::Method;
use object_store::aws::AmazonS3;
use object_store::path::Path;
use object_store::signer::Signer as _;
use secrecy::SecretString;
use tracing::{info, warn};

use crate::storage::reach::SystemLookup;
pub use builder::BucketBuilder;
pub use error::UploadError;
pub use object::{Link, Object, Uploaded};
use object::{Source, blocking};
pub use probe::{ProbeFailed, ProbeStep};
use runpod_worker::{Job, JobId};
pub use settings::Origin;
use settings::Settings;

/// Uploads of a list that are on their way at once.
const AT_ONCE: NonZeroUsize = NonZeroUsize::MIN.saturating_add(3);
/// Names the directory that stands in for storage where none is configured.
const STAND_IN: &str = "RUNPOD_WORKER_LOCAL_UPLOADS";

/// A bucket of S3-compatible storage, for what jobs make.
///
/// ```no_run
/// use runpod_sdk::prelude::*;
/// use runpod_sdk::storage::Bucket;
///
/// #[handler]
/// async fn paint(prompt: String, ctx: Context) -> JobResult<String> {
///     let bucket = Bucket::for_job(ctx.job())?;
///     let picture = b"what the model has painted".to_vec();
///     let key = Bucket::key(ctx.job_id(), "picture.png");
///     let uploaded = bucket.put(&key, picture, "image/png").await?;
///     Ok(uploaded.url)
/// }
/// ```
///
/// # Where to
///
/// [`for_job`](Self::for_job) takes the first of these that is there:
///
/// 1. the job's `s3Config`: `endpointUrl`, `accessId`, `accessSecret`, and perhaps `bucketName` and
///    `objectPath`, which becomes the prefix of all keys. Its endpoint comes from whoever may send jobs, so
///    it must be one that the public internet can reach, unless `RUNPOD_ALLOW_PRIVATE_DOWNLOAD_URLS` is set;
/// 2. the environment: `BUCKET_ENDPOINT_URL`, `BUCKET_ACCESS_KEY_ID`, `BUCKET_SECRET_ACCESS_KEY`, and
///    perhaps `BUCKET_NAME` and `BUCKET_REGION`;
/// 3. the directory in `RUNPOD_WORKER_LOCAL_UPLOADS`, for work on a laptop: files are copied there, and
///    links are their paths. Nothing does that unasked: a deployed worker without storage fails its jobs
///    instead of handing out links that lead nowhere.
///
/// The bucket is the one that is named, else the one in the endpoint's URL (`https://pics.s3.…` or
/// `https://….r2.cloudflarestorage.com/pics`), else the current month as `MM-YY`, as in Python's SDK.
/// The region comes from the endpoint's URL.
///
/// # How
///
/// Objects of less than 8 MiB go in one request, larger ones in parts, four at a time; an upload that is
/// dropped is called off. Every request is signed with a checksum of what it carries (`SigV4`), tried three
/// times where another try may go better, and at the end the stored size is compared. Bytes are not copied.
#[derive(Debug, Clone)]
pub struct Bucket {
    place: Arc<Place>,
    prefix: Arc<str>,
    link: Link,
    parallel: NonZeroUsize,
}

#[derive(Debug)]
enum Place {
    S3(S3),
    Directory(PathBuf),
}

/// A bucket somewhere else.
struct S3 {
    store: AmazonS3,
    bucket: String,
    origin: Origin,
    request_timeout: Duration,
}

impl Bucket {
    /// Storage that the worker's program names itself.
    ///
    /// ```
    /// use runpod_sdk::storage::Bucket;
    ///
    /// let secret = "from somewhere safe".to_owned();
    /// let bucket = Bucket::explicit("https://s3.eu-west-1.amazonaws.com", "AKIA…", secret)
    ///     .bucket("pictures")
    ///     .build()?;
    /// # Ok::<_, runpod_sdk::storage::UploadError>(())
    /// ```
    pub fn explicit(
        endpoint: &str,
        access_id: &str,
        access_secret: impl Into<SecretString>,
    ) -> BucketBuilder {
        BucketBuilder::explicit(endpoint, access_id, access_secret.into())
    }

    /// The storage that the environment names; `None` if it names none.
    pub fn from_env() -> Result<Option<Self>, UploadError> {
        super::keep_codes();
        let settings = Settings::from_lookup(|name| std::env::var(name).ok())?;
        settings
            .map(|settings| BucketBuilder::new(settings).build())
            .transpose()
    }

    /// The storage that the job's `s3Config` names; `None` if it has none.
    pub fn from_job(job: &Job) -> Result<Option<Self>, UploadError> {
        super::keep_codes();
        let settings = Settings::from_job(job)?;
        settings
            .map(|settings| BucketBuilder::new(settings).build())
            .transpose()
    }

    /// The storage for what this job makes: see [where to](Self#where-to).
    ///
    /// # Errors
    ///
    /// [`UploadError::Missing`] if there is none.
    pub fn for_job(job: &Job) -> Result<Self, UploadError> {
        Self::for_job_with(job, |name| std::env::var(name).ok())
    }

    fn for_job_with(job: &Job, lookup: impl Fn(&str) -> Option<String>) -> Result<Self, UploadError> {
        super::keep_codes();
        let settings = match Settings::from_job(job)? {
            Some(settings) => Some(settings),
            None => Settings::from_lookup(&lookup)?,
        };
        if let Some(settings) = settings {
            return BucketBuilder::new(settings).build_with(lookup, Arc::new(SystemLookup));
        }
        let directory = lookup(STAND_IN).filter(|directory| !directory.is_empty());
        let directory = directory.ok_or(UploadError::Missing)?;
        warn!(
            directory,
            "no storage is configured; uploads are copied to {STAND_IN}"
        );
        Ok(Self::directory(directory))
    }

    /// A directory that stands in for storage: objects become files below it, links their paths.
    pub fn directory(directory: impl Into<PathBuf>) -> Self {
        Self::in_directory(directory.into())
    }

    /// `<job id>/<name>`, made safe: whatever the two hold, the key stays under the job's. Slashes in the
    /// name are kept, other odd characters become `_`.
    pub fn key(job: &JobId, name: &str) -> String {
        key::of_job(job, name)
    }

    /// The links that uploads give. Default: presigned, valid for a week.
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

    /// How many objects of a list are uploaded at once. Default 4, or `RUNPOD_WORKER_UPLOAD_PARALLEL`; zero counts
    /// as 1.
    #[must_use]
    pub fn parallel(mut self, uploads: usize) -> Self {
        self.parallel = NonZeroUsize::new(uploads).unwrap_or(NonZeroUsize::MIN);
        self
    }

    /// Stores `bytes` under `key`, in the place of what was there.
    ///
    /// Without a content type it is what the extension of the key says: see [`Object::content_type`].
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

    /// Stores an object, in the place of what was there.
    pub async fn put_object(&self, object: Object) -> Result<Uploaded, UploadError> {
        let Object {
            key,
            content,
            media_type,
        } = object;
        let path = key::parse(&format!("{}{key}", self.prefix))?;
        let media_type = media_type.unwrap_or_else(|| media_type::of(&key).to_owned());
        let source = content.open().await?;
        let url = match &*self.place {
            Place::S3(s3) => {
                s3.send(&path, &source, &media_type).await?;
                s3.link(&path, self.link).await?
            }
            Place::Directory(directory) => store_file(directory, &path, source.clone()).await?,
        };
        info!(key = %path, bytes = source.len(), "uploaded");
        Ok(Uploaded {
            key: path.into(),
            url,
            bytes: source.len(),
            media_type,
        })
    }

    /// Stores several objects, a few at a time. The results are in the order of the objects; one that fails
    /// does not hurt the others.
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
}

impl S3 {
    async fn link(&self, path: &Path, link: Link) -> Result<String, UploadError> {
        let time = match link {
            Link::Presigned(time) => time,
            Link::Plain => Link::LONGEST,
        };
        let signed = self.store.signed_url(Method::GET, path, time).await;
        let mut url = signed.map_err(|error| self.failed(path, &error))?;
        if link == Link::Plain {
            url.set_query(None);
        }
        Ok(url.into())
    }
}

/// Writes an object into a file below `directory`, and gives its absolute path.
async fn store_file(directory: &FilePath, key: &Path, source: Source) -> Result<String, UploadError> {
    let path = directory.join(key.as_ref());
    let failed = |source| UploadError::File {
        path: path.clone(),
        source,
    };
    let target = path.clone();
    let create = move || {
        if let Some(parent) = target.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::File::create(&target)
    };
    let file = Arc::new(blocking(create).await.map_err(failed)?);
    let mut offset = 0;
    while offset < source.len() {
        let piece = source.piece(offset, send::PART).await?;
        offset += piece.len() as u64;
        let file = file.clone();
        blocking(move || std::io::Write::write_all(&mut &*file, &piece))
            .await
            .map_err(failed)?;
    }
    let absolute = std::path::absolute(&path).map_err(failed)?;
    Ok(absolute.to_string_lossy().into_owned())
}
