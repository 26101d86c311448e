//! Why pictures cannot be delivered.

use std::fmt;

use runpod_sdk::storage::UploadError;
use serde_json::{Value, json};

use crate::code::{Code, Explain};

/// Why a job's pictures cannot be delivered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OutputError {
    #[error("input.worker.quality: {0}")]
    Quality(&'static str),
    #[error("input.worker.reencode: nothing is re-encoded unless the output is \"auto\"")]
    Reencode,
    #[error("the pictures should be uploaded, and there is no bucket: {}", .asked.text())]
    NoBucket { asked: UploadRequestedBy },
    #[error("the pictures cannot be uploaded: {0}")]
    Storage(#[from] UploadError),
    #[error("picture {index} could not be uploaded: {source}")]
    Upload { index: usize, source: UploadError },
    #[error("picture {index} of the WebUI's answer is not base64")]
    NotBase64 { index: usize },
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
}

/// The origin of an upload's request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UploadRequestedBy {
    Job,
    Owner,
}

impl UploadRequestedBy {
    fn text(self) -> &'static str {
        match self {
            Self::Job => "the job has no s3Config, and the worker has no bucket of its own",
            Self::Owner => "BUCKET_ENDPOINT_URL is not set, and the job has no s3Config",
        }
    }
}

/// An output or a picture is larger than the limit.
#[derive(Debug, thiserror::Error)]
#[error("{what} takes {bytes} bytes, more than the {limit} that {}{}", .what.limited_by(), also(*.reencoded, *.auto))]
pub(crate) struct TooLarge {
    pub(super) what: OversizedItem,
    pub(super) bytes: usize,
    pub(super) limit: usize,
    /// The bytes after re-encoding, where that was allowed.
    pub(super) reencoded: Option<usize>,
    /// Re-encoding and uploading were tried, as far as the job allows.
    pub(super) auto: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OversizedItem {
    Output,
    Picture(usize),
    /// A picture that would fit without the chunks before it in the list of all chunks.
    Listed(usize),
}

impl OversizedItem {
    fn limited_by(self) -> &'static str {
        match self {
            Self::Output | Self::Picture(_) => "the platform takes",
            Self::Listed(_) => "are left of what the platform takes of the list of all chunks",
        }
    }
}

impl OutputError {
    /// This error for a picture whose limit is the room left in the list of all chunks.
    pub(crate) fn of_a_list(mut self) -> Self {
        if let Self::TooLarge(too_large) = &mut self
            && let OversizedItem::Picture(index) = too_large.what
        {
            too_large.what = OversizedItem::Listed(index);
        }
        self
    }
}

impl fmt::Display for OversizedItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Output => f.write_str("the output"),
            Self::Picture(index) | Self::Listed(index) => write!(f, "picture {index}"),
        }
    }
}

/// The attempts to make it smaller, in words.
fn also(reencoded: Option<usize>, auto: bool) -> String {
    let smaller = reencoded.map(|bytes| format!(", and re-encoded still {bytes}"));
    let bucket = if auto {
        "; there is no bucket to upload to"
    } else {
        ""
    };
    smaller.unwrap_or_default() + bucket
}

impl TooLarge {
    fn hint(&self) -> Option<&'static str> {
        match (self.auto, self.reencoded) {
            (false, _) if matches!(self.what, OversizedItem::Listed(_)) => Some(
                "set worker.output to \"auto\" or \"upload\", or leave worker.aggregate away: the chunks are in the stream",
            ),
            (false, _) => None,
            (true, None) => Some(
                "send an s3Config with the job, allow re-encoding (worker.reencode: \"webp\" or \"jpeg\"), or ask for \
                 fewer or smaller pictures; the worker's owner can set BUCKET_ENDPOINT_URL, BUCKET_ACCESS_KEY_ID and \
                 BUCKET_SECRET_ACCESS_KEY",
            ),
            (true, Some(_)) => Some(
                "send an s3Config with the job, or ask for fewer or smaller pictures or less JPEG quality; the worker's \
                 owner can set BUCKET_ENDPOINT_URL, BUCKET_ACCESS_KEY_ID and BUCKET_SECRET_ACCESS_KEY",
            ),
        }
    }
}

impl Explain for OutputError {
    fn code(&self) -> Code {
        match self {
            Self::Quality(_) | Self::Reencode => Code::InvalidInput,
            Self::NoBucket {
                asked: UploadRequestedBy::Job,
            } => Code::NoBucketForJob,
            // The conversion to the job's error takes the code of the upload itself.
            Self::NoBucket { .. } | Self::Storage(_) | Self::Upload { .. } => Code::NoBucket,
            Self::NotBase64 { .. } => Code::BadAnswer,
            Self::TooLarge(_) => Code::OutputTooLarge,
        }
    }

    fn own_hint(&self) -> Option<&'static str> {
        match self {
            Self::Quality(_) => {
                Some("send a number from 1 to 100 with worker.reencode: \"jpeg\", or leave it away")
            }
            Self::Reencode => Some("send worker.output: \"auto\" with it, or leave it away"),
            Self::TooLarge(too_large) => too_large.hint(),
            // Errors of the SDK explain themselves.
            Self::NoBucket { .. } | Self::Storage(_) | Self::Upload { .. } | Self::NotBase64 { .. } => None,
        }
    }

    fn details(&self) -> Option<Value> {
        let Self::TooLarge(TooLarge {
            bytes,
            limit,
            reencoded,
            ..
        }) = self
        else {
            return None;
        };
        let mut details = json!({ "bytes": bytes, "limit": limit });
        if let Some(bytes) = reencoded {
            details["reencoded_bytes"] = json!(bytes);
        }
        Some(details)
    }
}
