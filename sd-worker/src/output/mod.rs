//! Output policy: where the pictures of an answer go.
//!
//! By default nowhere: the answer is passed on byte for byte, and not even looked at. With `--output upload` or
//! `auto`, or where a job wishes it, the pictures are put into a bucket and their URLs stand in their place, or they
//! are re-encoded; a list `pictures` then says of each what a caller would have read from the file: seed, infotext,
//! kind, size. Every other byte stays.

mod delivery;
mod encode;
mod error;
mod picture;
mod storage;

use runpod_sdk::Context;
use runpod_sdk::json::RawJson;
use runpod_sdk::storage::{Bucket, UploadError};

use self::encode::Encoding;
use self::error::{Asked, TooLarge, What};
use self::storage::{OwnBucket, Storage};
use crate::monitor::{UPLOAD_FINISHED, UPLOAD_STARTED};
use crate::request::Wishes;
use crate::settings::{OutputMode, OutputSettings, Reencode};
use crate::splice::Edits;

pub(crate) use delivery::{Delivered, Delivery};
pub(crate) use error::OutputError;
pub(crate) use picture::{Entry, Picture};

/// What the worker's owner has set, and the worker's bucket.
#[derive(Debug)]
pub(crate) struct Output {
    settings: OutputSettings,
    own: OwnBucket,
}

impl Output {
    pub(crate) fn new(settings: OutputSettings) -> Self {
        Self {
            settings,
            own: OwnBucket::default(),
        }
    }

    /// How the pictures of a job's answer are delivered. To be asked before the render: what cannot work after it
    /// is refused here. `expected`: the answer will have pictures, so that a bucket is needed for an upload.
    pub(crate) async fn plan(
        &self,
        wishes: &Wishes,
        expected: bool,
        ctx: &Context,
    ) -> Result<Delivery, OutputError> {
        let mode = wishes.output.unwrap_or(self.settings.output);
        let encoding = self.encoding(wishes)?;
        // A job that goes the plain way is not looked at.
        let storage = match mode {
            OutputMode::Inline => Storage::own(&self.own),
            OutputMode::Upload | OutputMode::Auto => Storage::of(ctx, &self.own).await?,
        };
        if mode == OutputMode::Upload && expected {
            storage.bucket().await.map_err(|error| match error {
                UploadError::Missing => OutputError::NoBucket {
                    asked: match wishes.output {
                        Some(_) => Asked::Job,
                        None => Asked::Owner,
                    },
                },
                error => error.into(),
            })?;
        }
        Ok(Delivery {
            mode,
            encoding,
            storage,
            job: ctx.job_id().clone(),
        })
    }

    fn encoding(&self, wishes: &Wishes) -> Result<Option<Encoding>, OutputError> {
        let reencode = wishes.reencode.unwrap_or(self.settings.reencode);
        match wishes.quality {
            Some(quality) if !(1..=100).contains(&quality) => {
                return Err(OutputError::Quality("expected a number from 1 to 100"));
            }
            Some(_) if reencode != Reencode::Jpeg => {
                return Err(OutputError::Quality(
                    "only JPEG has one, and nothing is re-encoded to JPEG",
                ));
            }
            _ => {}
        }
        Ok(match reencode {
            Reencode::Off => None,
            Reencode::WebP => Some(Encoding::WebP),
            Reencode::Jpeg => Some(Encoding::Jpeg {
                quality: wishes.quality.unwrap_or(self.settings.jpeg_quality),
            }),
        })
    }
}

impl Delivery {
    /// Delivers an answer: all its pictures, or none and an error.
    pub(crate) async fn answer(&self, answer: RawJson, ctx: &Context) -> Result<RawJson, OutputError> {
        match self.mode {
            OutputMode::Inline => Ok(answer),
            OutputMode::Upload => {
                let pictures = Picture::all_of(&answer);
                if pictures.is_empty() {
                    return Ok(answer);
                }
                let bucket = self.storage.bucket().await?;
                self.uploaded(&bucket, answer, &pictures, ctx).await
            }
            OutputMode::Auto => self.small_enough(answer, ctx).await,
        }
    }

    async fn uploaded(
        &self,
        bucket: &Bucket,
        answer: RawJson,
        pictures: &[Picture],
        ctx: &Context,
    ) -> Result<RawJson, OutputError> {
        ctx.mark(UPLOAD_STARTED);
        let delivered = self.upload_all(bucket, pictures).await?;
        ctx.mark(UPLOAD_FINISHED);
        Ok(rewrite(answer, pictures, &delivered))
    }

    async fn small_enough(&self, answer: RawJson, ctx: &Context) -> Result<RawJson, OutputError> {
        let limit = ctx.job_id().result_limit();
        let bytes = answer.len_as_output();
        if bytes <= limit {
            return Ok(answer);
        }
        let pictures = Picture::all_of(&answer);
        if pictures.is_empty() {
            // Nothing here can be made smaller. Whether it is taken is for the platform to say.
            return Ok(answer);
        }
        let mut reencoded = None;
        if let Some(encoding) = self.encoding {
            let smaller = self.reencode_all(&pictures, encoding).await;
            let smaller = rewrite(answer.clone(), &pictures, &smaller);
            let bytes = smaller.len_as_output();
            if bytes <= limit {
                return Ok(smaller);
            }
            reencoded = Some(bytes);
        }
        match self.storage.bucket().await {
            Ok(bucket) => self.uploaded(&bucket, answer, &pictures, ctx).await,
            Err(UploadError::Missing) => Err(TooLarge {
                what: What::Output,
                bytes,
                limit,
                reencoded,
                auto: true,
            }
            .into()),
            Err(error) => Err(error.into()),
        }
    }
}

/// The answer with what was delivered in the place of its pictures, and the list `pictures` at its end.
fn rewrite(answer: RawJson, pictures: &[Picture], delivered: &[Delivered]) -> RawJson {
    let text = answer.as_str();
    let mut edits = Edits::of(text);
    let mut entries = Vec::new();
    for (picture, delivered) in pictures.iter().zip(delivered) {
        edits.replace_at(picture.place.clone(), delivered.json());
        entries.push(picture.entry(delivered));
    }
    let Ok(entries) = serde_json::to_string(&entries) else {
        // Numbers and texts can always be written.
        return answer;
    };
    edits.append(text, "pictures", &entries);
    edits.apply().unwrap_or(answer)
}
