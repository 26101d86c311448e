//! A bucket of S3-compatible storage: upload at once or in parts, the check of what has arrived, links.

use std::fmt;
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use http::Method;
use object_store::aws::AmazonS3;
use object_store::path::Path as Key;
use object_store::signer::Signer as _;
use object_store::{
    Attribute, Attributes, MultipartUpload, ObjectStore as _, ObjectStoreExt as _, PutMultipartOptions,
    PutOptions,
};
use runpod_protocol::causes;
use tokio::runtime::Handle;
use tracing::{debug, info};

use super::error::UploadError;
use super::jobs_host::{JobsHost, not_public};
use super::object::{Link, PIECE, Source};
use super::origin::Origin;
use super::region::Stores;
use super::transport::RequestFailure;

/// The most parts of one object, as S3 has it.
const MOST_PARTS: u64 = 10_000;
/// Parts that are sent at once.
const PARTS_AT_ONCE: usize = 4;

/// A bucket of S3-compatible storage.
pub(super) struct S3Bucket {
    pub(super) stores: Stores,
    pub(super) bucket: String,
    /// The host, if a job names it.
    pub(super) jobs_host: Option<JobsHost>,
    pub(super) origin: Origin,
    pub(super) request_timeout: Duration,
}

impl S3Bucket {
    /// Uploads an object, and checks that it has arrived whole. Where the storage says that the bucket is in another
    /// region, it is uploaded there.
    pub(super) async fn put(&self, key: &Key, source: &Source, media_type: &str) -> Result<(), UploadError> {
        let tried = self.stores.current();
        let Err(error) = self.put_in(&tried.store, key, source, media_type).await else {
            return Ok(());
        };
        let right = error
            .region()
            .and_then(|region| self.stores.in_region(region, &tried));
        let Some(right) = right else { return Err(error) };
        info!(%error, "the bucket is in another region; trying again there");
        self.put_in(&right.store, key, source, media_type).await?;
        self.stores.keep(right);
        Ok(())
    }

    async fn put_in(
        &self,
        store: &AmazonS3,
        key: &Key,
        source: &Source,
        media_type: &str,
    ) -> Result<(), UploadError> {
        let attributes = Attributes::from_iter([(Attribute::ContentType, media_type.to_owned())]);
        if source.len() < PIECE {
            let bytes = source.piece(0, PIECE).await?;
            let options = PutOptions {
                attributes,
                ..PutOptions::default()
            };
            let put = store.put_opts(key, bytes.into(), options).await;
            put.map_err(|error| self.failed(key, error))?;
        } else {
            self.put_in_parts(store, key, source, attributes).await?;
        }
        self.verify(store, key, source.len()).await
    }

    async fn put_in_parts(
        &self,
        store: &AmazonS3,
        key: &Key,
        source: &Source,
        attributes: Attributes,
    ) -> Result<(), UploadError> {
        let length = source.len();
        // Some storages want all parts of one size.
        let size = PIECE.max(length.div_ceil(MOST_PARTS));
        let options = PutMultipartOptions {
            attributes,
            ..PutMultipartOptions::default()
        };
        let upload = store.put_multipart_opts(key, options).await;
        let mut upload = AbortOnDrop(Some(upload.map_err(|error| self.failed(key, error))?));
        let parts = (0..length.div_ceil(size)).map(|number| {
            let source = source.clone();
            async move { source.piece(number * size, size).await }
        });
        // A part gets its number when it is begun, so parts are read in order and sent side by side.
        let mut pieces = stream::iter(parts).buffered(1);
        let mut in_flight = stream::FuturesUnordered::new();
        while let Some(piece) = pieces.try_next().await? {
            if in_flight.len() >= PARTS_AT_ONCE
                && let Some(sent) = in_flight.next().await
            {
                let sent: object_store::Result<()> = sent;
                sent.map_err(|error| self.failed(key, error))?;
            }
            in_flight.push(upload.get().put_part(piece.into()));
        }
        while let Some(sent) = in_flight.next().await {
            sent.map_err(|error| self.failed(key, error))?;
        }
        let completed = upload.get().complete().await;
        completed.map_err(|error| self.failed(key, error))?;
        upload.0 = None;
        Ok(())
    }

    /// Compares the stored size. The storage has already checked every byte against the signature.
    async fn verify(&self, store: &AmazonS3, key: &Key, sent: u64) -> Result<(), UploadError> {
        match store.head(key).await {
            Ok(found) if found.size == sent => Ok(()),
            Ok(found) => Err(UploadError::Mismatch {
                key: key.to_string(),
                sent,
                stored: found.size,
            }),
            Err(error) => match self.failed(key, error) {
                // Credentials that may write and not read are a sensible choice.
                UploadError::Refused {
                    status: 401 | 403, ..
                } => {
                    debug!(key = %key, "the credentials may not read what they have stored");
                    Ok(())
                }
                error => Err(error),
            },
        }
    }

    /// The link to an object.
    pub(super) async fn link(&self, key: &Key, link: Link) -> Result<String, UploadError> {
        let time = match link {
            Link::Presigned(time) => time,
            Link::Plain => Link::LONGEST,
        };
        let signed = self
            .stores
            .current()
            .store
            .signed_url(Method::GET, key, time)
            .await;
        let mut url = signed.map_err(|error| self.failed(key, error))?;
        if link == Link::Plain {
            url.set_query(None);
        }
        Ok(url.into())
    }

    pub(super) async fn get(&self, key: &Key) -> Result<Vec<u8>, UploadError> {
        let got = async { self.stores.current().store.get(key).await?.bytes().await };
        let bytes = got.await.map_err(|error| self.failed(key, error))?;
        Ok(bytes.into())
    }

    pub(super) async fn delete(&self, key: &Key) -> Result<(), UploadError> {
        let deleted = self.stores.current().store.delete(key).await;
        deleted.map_err(|error| self.failed(key, error))
    }

    /// The error of a request, by what the transport says about it.
    fn failed(&self, key: &Key, error: object_store::Error) -> UploadError {
        let (key, origin) = (key.to_string(), self.origin);
        match causes::find::<RequestFailure>(&error).cloned() {
            Some(RequestFailure::Refused {
                status,
                code,
                message,
                region,
            }) => UploadError::Refused {
                key,
                status,
                code,
                message,
                region,
                origin,
            },
            Some(RequestFailure::Broken {
                reason,
                attempts,
                transient,
            }) => UploadError::Broken {
                key,
                reason,
                attempts,
                transient,
                origin,
                source: error.into(),
            },
            Some(RequestFailure::TimedOut { attempts }) => UploadError::TimedOut {
                key,
                limit: self.request_timeout,
                attempts,
            },
            Some(RequestFailure::Blocked(address)) => not_public(origin, address),
            None => UploadError::Broken {
                key,
                reason: error.to_string(),
                attempts: 1,
                transient: false,
                origin,
                source: error.into(),
            },
        }
    }
}

impl fmt::Debug for S3Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Bucket")
            .field("bucket", &self.bucket)
            .field("stores", &self.stores)
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}

/// Aborts an upload in parts that does not complete. Its parts would stay in the storage, invisible and billed.
struct AbortOnDrop(Option<Box<dyn MultipartUpload>>);

impl AbortOnDrop {
    fn get(&mut self) -> &mut dyn MultipartUpload {
        self.0.as_deref_mut().expect("it is taken only at its end")
    }
}

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        if let (Some(mut upload), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            runtime.spawn(async move {
                if let Err(error) = upload.abort().await {
                    debug!(%error, "an upload in parts could not be aborted");
                }
            });
        }
    }
}
