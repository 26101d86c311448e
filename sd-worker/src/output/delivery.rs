//! Delivers the pictures of one job.
//!
//! ```text
//!           inline ──▶ as the WebUI gave it
//!  picture  upload ──▶ decoded ─▶ bucket ─▶ URL
//!           auto ────▶ it fits: inline │ re-encoding is allowed, and enough: that │ there is a bucket: upload │ error
//! ```

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use runpod_sdk::storage::{Bucket, UploadError};
use runpod_sdk::{Context, JobId};
use tracing::{debug, info};

use super::blocking::{blocking, unless_it_panics};
use super::encode::{EncodeError, Encoding};
use super::error::{OutputError, OversizedItem, TooLarge};
use super::picture::{Picture, PictureEntry};
use super::storage::Storage;
use crate::marks::{UPLOAD_FINISHED, UPLOAD_STARTED};
use crate::picture::PictureKind;
use crate::settings::OutputMode;
use crate::splice::quoted;

/// The most pictures of one job that are encoded or uploaded at once.
const AT_ONCE: usize = 4;

/// How the pictures of one job are delivered.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(super) mode: OutputMode,
    pub(super) encoding: Option<Encoding>,
    pub(super) storage: Storage,
    pub(super) job: JobId,
    /// The most bytes of a result.
    pub(super) limit: usize,
    /// The job on whose timeline uploads are marked; tests have none.
    pub(super) ctx: Option<Context>,
}

/// A delivered picture.
#[derive(Debug)]
pub(crate) struct Delivered {
    form: Form,
    kind: PictureKind,
    bytes: usize,
}

enum Form {
    /// The answer's own base64.
    AsItWas(Bytes),
    Base64(String),
    Url(String),
}

/// `Debug` hides links, because anyone with a link can read the picture.
impl std::fmt::Debug for Form {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::AsItWas(_) => "AsItWas",
            Self::Base64(_) => "Base64",
            Self::Url(_) => "Url",
        })
    }
}

impl Delivery {
    /// Delivers one picture of a streamed answer in at most `room` bytes of JSON, quotes included.
    ///
    /// # Errors
    ///
    /// It takes more and may not be made smaller or uploaded, or the upload fails.
    pub(crate) async fn picture(&self, picture: &Picture, room: usize) -> Result<Delivered, OutputError> {
        if self.mode == OutputMode::Upload {
            let bucket = self.storage.bucket().await?;
            return self.upload(&bucket, picture).await;
        }
        let as_it_was = Delivered::as_it_was(picture);
        let bytes = as_it_was.json_len();
        if bytes <= room {
            return Ok(as_it_was);
        }
        let mut too_large = TooLarge {
            what: OversizedItem::Picture(picture.index),
            bytes,
            limit: room,
            reencoded: None,
            auto: self.mode == OutputMode::Auto,
        };
        if self.mode == OutputMode::Auto {
            if let Some(encoding) = self.encoding {
                let smaller = reencode(encoding, picture.clone()).await;
                if smaller.json_len() <= room {
                    return Ok(smaller);
                }
                too_large.reencoded = Some(smaller.json_len());
            }
            match self.storage.bucket().await {
                Ok(bucket) => return self.upload(&bucket, picture).await,
                Err(UploadError::Missing) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(too_large.into())
    }

    /// The most bytes of the job's result, as [`RawJson::len_as_output`] counts them.
    ///
    /// [`RawJson::len_as_output`]: runpod_sdk::json::RawJson::len_as_output
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    async fn upload(&self, bucket: &Bucket, picture: &Picture) -> Result<Delivered, OutputError> {
        self.mark(UPLOAD_STARTED);
        let delivered = upload(bucket.clone(), self.job.clone(), picture.clone()).await?;
        self.mark(UPLOAD_FINISHED);
        Ok(delivered)
    }

    fn mark(&self, point: &'static str) {
        if let Some(ctx) = &self.ctx {
            ctx.mark(point);
        }
    }

    /// Re-encodes all pictures. A picture that does not become smaller stays as it is.
    pub(super) async fn reencode_all(&self, pictures: &[Picture], encoding: Encoding) -> Vec<Delivered> {
        let each: Vec<_> = pictures
            .iter()
            .map(|picture| reencode(encoding, picture.clone()))
            .collect();
        stream::iter(each).buffered(AT_ONCE).collect().await
    }

    /// Uploads all pictures, a few at a time. Fails if one cannot be uploaded.
    pub(super) async fn upload_all(
        &self,
        bucket: &Bucket,
        pictures: &[Picture],
    ) -> Result<Vec<Delivered>, OutputError> {
        self.mark(UPLOAD_STARTED);
        let each: Vec<_> = pictures
            .iter()
            .map(|picture| upload(bucket.clone(), self.job.clone(), picture.clone()))
            .collect();
        let delivered: Vec<Delivered> = stream::iter(each).buffered(AT_ONCE).try_collect().await?;
        self.mark(UPLOAD_FINISHED);
        let bytes: usize = delivered.iter().map(Delivered::bytes).sum();
        info!(pictures = delivered.len(), bytes, "pictures uploaded");
        Ok(delivered)
    }
}

impl Delivered {
    pub(super) fn as_it_was(picture: &Picture) -> Self {
        Self {
            form: Form::AsItWas(picture.base64().clone()),
            kind: picture.kind,
            bytes: picture.bytes(),
        }
    }

    /// Whether the picture is unchanged.
    pub(super) fn is_as_it_was(&self) -> bool {
        matches!(self.form, Form::AsItWas(_))
    }

    /// The JSON text that replaces the picture in the answer: a URL, or base64, as a data URL where it was one before.
    pub(super) fn in_place_of(&self, picture: &Picture) -> String {
        match &self.form {
            Form::Base64(text) if picture.is_data_url => {
                format!("\"data:{};base64,{text}\"", self.media_type())
            }
            // Nothing in base64 has to be escaped.
            Form::Base64(text) => format!("\"{text}\""),
            Form::AsItWas(_) | Form::Url(_) => quoted(self.text()),
        }
    }

    /// The picture as base64, unless it was uploaded.
    pub(crate) fn base64(&self) -> Option<&str> {
        self.url().is_none().then(|| self.text())
    }

    /// The link, if it was uploaded.
    /// The entry of `picture` in a list `pictures`, delivered as this.
    pub(crate) fn entry<'a>(&'a self, picture: &'a Picture) -> PictureEntry<'a> {
        picture.entry_of(self.url(), self.kind.media_type(), self.bytes)
    }

    pub(crate) fn url(&self) -> Option<&str> {
        match &self.form {
            Form::Url(url) => Some(url),
            _ => None,
        }
    }

    pub(crate) fn media_type(&self) -> &'static str {
        self.kind.media_type()
    }

    /// The size of the file.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    fn text(&self) -> &str {
        match &self.form {
            // It is a part of a JSON text.
            Form::AsItWas(base64) => std::str::from_utf8(base64).unwrap_or_default(),
            Form::Base64(text) | Form::Url(text) => text,
        }
    }

    /// The length as a JSON text. Nothing in base64 has to be escaped.
    fn json_len(&self) -> usize {
        self.text().len() + 2
    }
}

async fn reencode(encoding: Encoding, picture: Picture) -> Delivered {
    made_smaller(picture, encoding.kind(), move |file| encoding.encode(file)).await
}

/// The picture as `encode` writes it, if that is smaller and works.
async fn made_smaller(
    picture: Picture,
    kind: PictureKind,
    encode: impl FnOnce(&[u8]) -> Result<Vec<u8>, EncodeError> + Send + 'static,
) -> Delivered {
    let as_it_was = Delivered::as_it_was(&picture);
    let smaller = unless_it_panics(move || {
        let file = picture.file()?;
        match encode(&file) {
            Ok(smaller) if smaller.len() < file.len() => Some(Delivered {
                form: Form::Base64(base64::Engine::encode(
                    &base64::engine::general_purpose::STANDARD,
                    &smaller,
                )),
                kind,
                bytes: smaller.len(),
            }),
            Ok(_) => None,
            Err(error) => {
                debug!(index = picture.index, %error, "a picture is not re-encoded");
                None
            }
        }
    });
    smaller.await.flatten().unwrap_or(as_it_was)
}

async fn upload(bucket: Bucket, job: JobId, picture: Picture) -> Result<Delivered, OutputError> {
    let (index, kind) = (picture.index, picture.kind);
    let file = blocking(move || picture.file()).await;
    let file = file.ok_or(OutputError::NotBase64 { index })?;
    let bytes = file.len();
    let key = Bucket::key(&job, &format!("{index}.{}", kind.extension()));
    let uploaded = bucket
        .put(&key, file, kind.media_type())
        .await
        .map_err(|source| OutputError::Upload { index, source })?;
    Ok(Delivered {
        form: Form::Url(uploaded.url),
        kind,
        bytes,
    })
}

#[cfg(test)]
mod tests;
