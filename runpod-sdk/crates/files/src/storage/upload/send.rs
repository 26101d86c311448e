//! One object on its way: at once or in parts, and a look at what has arrived.

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use object_store::path::Path;
use object_store::{
    Attribute, Attributes, MultipartUpload, ObjectStore as _, ObjectStoreExt as _, PutMultipartOptions,
    PutOptions,
};
use tokio::runtime::Handle;
use tracing::debug;

use super::object::Source;
use super::transport::Failure;
use super::{S3, UploadError};
use crate::storage::causes::cause;
use crate::storage::reach::NotPublic;

/// Below it an object is sent at once, and else in parts of that size.
pub(super) const PART: u64 = 8 << 20;
/// Parts that one object may have.
const MOST_PARTS: u64 = 10_000;
/// Parts that are on their way at once.
const PARTS_AT_ONCE: usize = 4;

impl S3 {
    /// Sends an object, and makes sure that it has arrived whole.
    pub(super) async fn send(
        &self,
        path: &Path,
        source: &Source,
        media_type: &str,
    ) -> Result<(), UploadError> {
        let attributes = Attributes::from_iter([(Attribute::ContentType, media_type.to_owned())]);
        if source.len() < PART {
            let bytes = source.piece(0, PART).await?;
            let options = PutOptions {
                attributes,
                ..PutOptions::default()
            };
            let put = self.store.put_opts(path, bytes.into(), options).await;
            put.map_err(|error| self.failed(path, &error))?;
        } else {
            self.send_in_parts(path, source, attributes).await?;
        }
        self.verify(path, source.len()).await
    }

    async fn send_in_parts(
        &self,
        path: &Path,
        source: &Source,
        attributes: Attributes,
    ) -> Result<(), UploadError> {
        let length = source.len();
        // Parts of one size, as some storages want them.
        let size = PART.max(length.div_ceil(MOST_PARTS));
        let options = PutMultipartOptions {
            attributes,
            ..PutMultipartOptions::default()
        };
        let upload = self.store.put_multipart_opts(path, options).await;
        let mut upload = Unfinished(Some(upload.map_err(|error| self.failed(path, &error))?));
        let parts = (0..length.div_ceil(size)).map(|number| {
            let source = source.clone();
            async move { source.piece(number * size, size).await }
        });
        // The parts are numbered as they are begun, so they are read in order, and sent side by side.
        let mut pieces = stream::iter(parts).buffered(1);
        let mut on_their_way = stream::FuturesUnordered::new();
        let sent = async {
            while let Some(piece) = pieces.try_next().await? {
                if on_their_way.len() >= PARTS_AT_ONCE
                    && let Some(sent) = on_their_way.next().await
                {
                    let sent: object_store::Result<()> = sent;
                    sent.map_err(|error| self.failed(path, &error))?;
                }
                on_their_way.push(upload.get().put_part(piece.into()));
            }
            while let Some(sent) = on_their_way.next().await {
                sent.map_err(|error| self.failed(path, &error))?;
            }
            let completed = upload.get().complete().await;
            completed.map_err(|error| self.failed(path, &error))
        };
        sent.await?;
        upload.0 = None;
        Ok(())
    }

    /// The storage has checked every byte against the signature; this checks that it kept them all.
    async fn verify(&self, path: &Path, sent: u64) -> Result<(), UploadError> {
        match self.store.head(path).await {
            Ok(found) if found.size == sent => Ok(()),
            Ok(found) => Err(UploadError::Mismatch {
                key: path.to_string(),
                sent,
                stored: found.size,
            }),
            Err(error) => match self.failed(path, &error) {
                // Credentials that may write and not read are a good idea.
                UploadError::Refused {
                    status: 401 | 403, ..
                } => {
                    debug!(key = %path, "the credentials may not look at what they have stored");
                    Ok(())
                }
                error => Err(error),
            },
        }
    }

    pub(super) fn failed(&self, path: &Path, error: &object_store::Error) -> UploadError {
        let (key, origin) = (path.to_string(), self.origin);
        match cause::<Failure>(error).cloned() {
            Some(Failure::Refused {
                status,
                code,
                message,
            }) => UploadError::Refused {
                key,
                status,
                code,
                message,
                origin,
            },
            Some(Failure::Broken {
                reason,
                attempts,
                passing,
            }) => UploadError::Broken {
                key,
                reason,
                attempts,
                passing,
                origin,
            },
            Some(Failure::TimedOut { attempts }) => UploadError::TimedOut {
                key,
                limit: self.request_timeout,
                attempts,
            },
            Some(Failure::Blocked(NotPublic(meaning))) => UploadError::Config {
                origin,
                problem: format!("the endpoint's host has an address that is not public ({meaning})"),
            },
            None => UploadError::Broken {
                key,
                reason: error.to_string(),
                attempts: 1,
                passing: false,
                origin,
            },
        }
    }
}

/// An upload in parts. Parts of one that does not end would stay, unseen and paid for, so it is called off.
struct Unfinished(Option<Box<dyn MultipartUpload>>);

impl Unfinished {
    fn get(&mut self) -> &mut dyn MultipartUpload {
        self.0.as_deref_mut().expect("it is taken only at its end")
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let (Some(mut upload), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            runtime.spawn(async move {
                if let Err(error) = upload.abort().await {
                    debug!(%error, "an upload in parts could not be called off");
                }
            });
        }
    }
}

impl std::fmt::Debug for S3 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The store knows the secret.
        f.debug_struct("S3")
            .field("bucket", &self.bucket)
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}
