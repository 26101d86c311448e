//! Output policy: how the pictures of an answer are delivered.
//!
//! By default the answer is passed on byte for byte, without being parsed. With `--output upload` or `auto`, or by a job's
//! own option, pictures are uploaded and replaced by their URLs, or re-encoded. A list `pictures` then has the facts that a
//! caller would read from each file: seed, infotext, kind, size. Every other byte stays.

mod blocking;
mod delivery;
mod encode;
mod error;
mod picture;
mod storage;

use std::sync::Arc;

use runpod_sdk::Context;
use runpod_sdk::json::RawJson;
use runpod_sdk::storage::{Bucket, UploadError};
use tracing::warn;

use self::encode::Encoding;
use self::error::{OversizedItem, TooLarge, UploadRequestedBy};
use self::storage::{OwnBucket, Storage};
use crate::request::JobOptions;
use crate::settings::{OutputMode, OutputSettings, Reencode};
use crate::splice::Edits;

pub(crate) use blocking::blocking;
pub(crate) use delivery::{Delivered, Delivery};
pub(crate) use error::OutputError;
pub(crate) use picture::{NotAPicture, Picture, PictureEntry, info};

/// The quality of a JPEG whose job names none. Above it files grow faster than pictures improve.
const JPEG_QUALITY: u8 = 90;

/// The worker's settings for deliveries, and its bucket.
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

    /// Plans the delivery of a job's pictures, and fails before the render if it cannot work. `expected` says that the
    /// answer will have pictures, so that an upload needs a bucket.
    pub(crate) async fn plan(
        &self,
        options: &JobOptions,
        expected: bool,
        ctx: &Context,
    ) -> Result<Delivery, OutputError> {
        let mode = options.output.unwrap_or(self.settings.output);
        let encoding = self.encoding(options, mode)?;
        // An inline answer needs no bucket, so the job's s3Config is not read.
        let storage = match mode {
            OutputMode::Inline => Storage::own(&self.own),
            OutputMode::Upload | OutputMode::Auto => Storage::of(ctx, &self.own).await?,
        };
        if mode == OutputMode::Upload && expected {
            storage.bucket().await.map_err(|error| match error {
                UploadError::Missing => OutputError::NoBucket {
                    asked: match options.output {
                        Some(_) => UploadRequestedBy::Job,
                        None => UploadRequestedBy::Owner,
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
            limit: ctx.result_limit(),
            ctx: Some(ctx.clone()),
        })
    }

    fn encoding(&self, options: &JobOptions, mode: OutputMode) -> Result<Option<Encoding>, OutputError> {
        let is_auto = mode == OutputMode::Auto;
        if !is_auto && options.reencode.is_some_and(|reencode| reencode != Reencode::Off) {
            return Err(OutputError::Reencode);
        }
        let reencode = options.reencode.unwrap_or(self.settings.reencode);
        match options.quality {
            Some(quality) if !(1..=100).contains(&quality) => {
                return Err(OutputError::Quality("expected a number from 1 to 100"));
            }
            Some(_) if !is_auto || reencode != Reencode::Jpeg => {
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
                quality: options.quality.unwrap_or(JPEG_QUALITY),
            }),
        })
    }
}

impl Delivery {
    /// Delivers an answer: all its pictures, or an error.
    pub(crate) async fn answer(&self, answer: RawJson) -> Result<RawJson, OutputError> {
        match self.mode {
            OutputMode::Inline => Ok(answer),
            OutputMode::Upload => {
                let pictures = all_of(&answer).await;
                if pictures.is_empty() {
                    return Ok(blocking(move || with_what_was_not_uploaded(answer, &[])).await);
                }
                let bucket = self.storage.bucket().await?;
                self.uploaded(&bucket, answer, pictures).await
            }
            OutputMode::Auto => self.small_enough(answer).await,
        }
    }

    async fn uploaded(
        &self,
        bucket: &Bucket,
        answer: RawJson,
        pictures: Arc<[Picture]>,
    ) -> Result<RawJson, OutputError> {
        let delivered = self.upload_all(bucket, &pictures).await?;
        let rewritten = blocking(move || {
            let answer = with_what_was_not_uploaded(answer, &pictures);
            rewrite(answer, &pictures, &delivered)
        });
        Ok(rewritten.await)
    }

    async fn small_enough(&self, answer: RawJson) -> Result<RawJson, OutputError> {
        let limit = self.limit;
        let bytes = answer.len_as_output();
        if bytes <= limit {
            return Ok(answer);
        }
        let pictures = all_of(&answer).await;
        if pictures.is_empty() {
            // Nothing can be made smaller. The platform decides whether it takes the answer.
            return Ok(answer);
        }
        let mut reencoded = None;
        if let Some(encoding) = self.encoding {
            let smaller = self.reencode_all(&pictures, encoding).await;
            let (answer, pictures) = (answer.clone(), pictures.clone());
            let smaller = blocking(move || rewrite(answer, &pictures, &smaller)).await;
            let bytes = smaller.len_as_output();
            if bytes <= limit {
                return Ok(smaller);
            }
            reencoded = Some(bytes);
        }
        match self.storage.bucket().await {
            Ok(bucket) => self.uploaded(&bucket, answer, pictures).await,
            Err(UploadError::Missing) => Err(TooLarge {
                what: OversizedItem::Output,
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

/// The answer's pictures.
async fn all_of(answer: &RawJson) -> Arc<[Picture]> {
    let answer = answer.clone();
    blocking(move || Picture::all_of(&answer).into()).await
}

/// The answer with a list of what stands in the place of pictures and is none, if there is such a thing.
fn with_what_was_not_uploaded(answer: RawJson, pictures: &[Picture]) -> RawJson {
    let others = NotAPicture::all_of(&answer, pictures);
    let Some(others) = (!others.is_empty())
        .then(|| serde_json::to_string(&others).ok())
        .flatten()
    else {
        return answer;
    };
    warn!("the answer has something in the place of pictures that cannot be uploaded");
    let text = answer.as_str();
    let mut edits = Edits::of(text);
    edits.append(text, "not_uploaded", &others);
    edits.apply().unwrap_or(answer)
}

/// The answer with its pictures replaced by the delivered ones, and with the list `pictures` at its end.
fn rewrite(answer: RawJson, pictures: &[Picture], delivered: &[Delivered]) -> RawJson {
    let text = answer.as_str();
    let mut edits = Edits::of(text);
    let mut entries = Vec::new();
    for (picture, delivered) in pictures.iter().zip(delivered) {
        if !delivered.is_as_it_was() {
            edits.replace_at(picture.place.clone(), delivered.in_place_of(picture));
        }
        entries.push(delivered.entry(picture));
    }
    let Ok(entries) = serde_json::to_string(&entries) else {
        // Numbers and texts can always be written.
        return answer;
    };
    edits.append(text, "pictures", &entries);
    edits.apply().unwrap_or(answer)
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    const PNG: &[u8] = include_bytes!("../../../tests/fixtures/webui/v1.10.1/txt2img-minimal.png");

    #[tokio::test]
    async fn only_what_was_delivered_otherwise_is_written_anew() {
        let png = STANDARD.encode(PNG);
        // What begins like a picture and is none can't be re-encoded.
        let broken = STANDARD.encode(b"\x89PNG\r\n\x1a\n and no more than that, I am afraid");
        let text = format!(
            "{{ \"n\" : 1.0e0,\n\"images\": [ \"{png}\" ,\"data:image/png;base64,{broken}\", null, \
             \"data:image/png;base64,{png}\" ] }}"
        );
        let answer = RawJson::parse(text.clone()).unwrap();
        let delivery = Delivery {
            mode: OutputMode::Auto,
            encoding: None,
            storage: Storage::own(&OwnBucket::default()),
            job: "job-1".into(),
            limit: 10_000_000,
            ctx: None,
        };
        let pictures = Picture::all_of(&answer);
        let jpeg = Encoding::Jpeg { quality: 50 };
        let delivered = delivery.reencode_all(&pictures, jpeg).await;
        let written = rewrite(answer, &pictures, &delivered);
        let jpeg = STANDARD.encode(jpeg.encode(PNG).unwrap());
        let (before, after) = written.as_str().split_once(",\"pictures\":").unwrap();
        // A data URL names the new kind.
        let expected = text
            .replace(
                &format!("image/png;base64,{png}"),
                &format!("image/jpeg;base64,{jpeg}"),
            )
            .replace(&png, &jpeg);
        assert!(before == expected.strip_suffix('}').unwrap());
        let kinds: Vec<_> = after
            .match_indices("image/")
            .map(|(at, _)| &after[at..at + 10])
            .collect();
        assert_eq!(kinds, ["image/jpeg", "image/png\"", "image/jpeg"]);
    }
}
