//! Pictures that cannot be delivered.

use std::fmt;

use runpod_sdk::storage::UploadError;
use serde_json::{Value, json};

use crate::code::{Code, Explain};

/// Why a job's pictures cannot be delivered as they should be.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OutputError {
    #[error("input.worker.quality: {0}")]
    Quality(&'static str),
    #[error("input.worker.reencode: nothing is re-encoded unless the output is \"auto\"")]
    Reencode,
    #[error("the pictures should be uploaded, and there is no bucket: {}", .asked.text())]
    NoBucket { asked: Asked },
    #[error("the pictures cannot be uploaded: {0}")]
    Storage(#[from] UploadError),
    #[error("picture {index} could not be uploaded: {source}")]
    Upload { index: usize, source: UploadError },
    #[error("picture {index} of the WebUI's answer is not base64")]
    NotBase64 { index: usize },
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
}

/// Who asked for an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    Job,
    Owner,
}

impl Asked {
    fn text(self) -> &'static str {
        match self {
            Self::Job => "the job has no s3Config, and the worker has no bucket of its own",
            Self::Owner => "BUCKET_ENDPOINT_URL is not set, and the job has no s3Config",
        }
    }
}

/// What is larger than it may be.
#[derive(Debug, thiserror::Error)]
#[error("{what} takes {bytes} bytes, more than the {limit} that {}{}", .what.limited_by(), also(*.reencoded, *.auto))]
pub(crate) struct TooLarge {
    pub(super) what: What,
    pub(super) bytes: usize,
    pub(super) limit: usize,
    /// What it would take re-encoded, where that was allowed.
    pub(super) reencoded: Option<usize>,
    /// Everything that the job allows has been tried.
    pub(super) auto: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    Output,
    Picture(usize),
    /// One that would fit, but for those before it in the list of all chunks.
    Listed(usize),
}

impl What {
    fn limited_by(self) -> &'static str {
        match self {
            Self::Output | Self::Picture(_) => "the platform takes",
            Self::Listed(_) => "are left of what the platform takes of the list of all chunks",
        }
    }
}

impl OutputError {
    /// What is too large is so because of what the list of all chunks has already.
    pub(crate) fn of_a_list(mut self) -> Self {
        if let Self::TooLarge(too_large) = &mut self
            && let What::Picture(index) = too_large.what
        {
            too_large.what = What::Listed(index);
        }
        self
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Output => f.write_str("the output"),
            Self::Picture(index) | Self::Listed(index) => write!(f, "picture {index}"),
        }
    }
}

/// What else was tried.
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
            (false, _) if matches!(self.what, What::Listed(_)) => Some(
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
            Self::NoBucket { asked: Asked::Job } => Code::NoBucketForJob,
            // The code of an upload is its own.
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
