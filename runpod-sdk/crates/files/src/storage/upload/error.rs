//! Why an upload failed, and whose mistake that is.

use std::borrow::Cow;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::settings::Origin;
use super::transport::said;
use runpod_worker::{ErrorClass, ErrorCode, IntoJobError};

/// Why an upload failed.
///
/// Converts to a [`JobError`](runpod_worker::JobError) with the code
/// [`UPLOAD_NOT_CONFIGURED`](ErrorCode::UPLOAD_NOT_CONFIGURED),
/// [`UPLOAD_REFUSED`](ErrorCode::UPLOAD_REFUSED) or [`UPLOAD_FAILED`](ErrorCode::UPLOAD_FAILED). None of
/// them holds a key or a secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UploadError {
    /// Neither the job nor the environment says where to.
    #[error("there is nowhere to upload to: the job has no s3Config, and BUCKET_ENDPOINT_URL is not set")]
    Missing,
    /// What says where to is wrong.
    #[error("the storage is not configured well: {problem}")]
    Config {
        /// Where it was said.
        origin: Origin,
        /// What is wrong.
        problem: String,
    },
    /// An object cannot have this name.
    #[error("{key:?} is not a name for an object: {problem}")]
    BadKey {
        /// The name.
        key: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The storage refused.
    #[error("{key}: {said}", said = said(*status, code, message))]
    Refused {
        /// The object's name.
        key: String,
        /// The HTTP status.
        status: u16,
        /// S3's code, such as `NoSuchBucket`; empty if there was none.
        code: String,
        /// S3's message, or the beginning of what was answered.
        message: String,
        /// Whose credentials and bucket they are.
        origin: Origin,
    },
    /// The storage has trouble, could not be reached, or the connection broke, at the last try too.
    #[error("{key}: {reason} (tried {attempts} times)")]
    Broken {
        /// The object's name.
        key: String,
        /// The cause of the last failure.
        reason: String,
        /// How often it was tried.
        attempts: u32,
        /// Whether another try may go better. A certificate, for one, stays wrong.
        passing: bool,
        /// Where the endpoint was named.
        origin: Origin,
    },
    /// No answer in time, at the last try too.
    #[error("{key}: no answer from the storage within {limit:?} (tried {attempts} times)")]
    TimedOut {
        /// The object's name.
        key: String,
        /// The time for one request.
        limit: Duration,
        /// How often it was tried.
        attempts: u32,
    },
    /// What is stored is not as long as what was sent.
    #[error("{key}: {sent} bytes were sent, and the storage has {stored}")]
    Mismatch {
        /// The object's name.
        key: String,
        /// Bytes sent.
        sent: u64,
        /// Bytes stored.
        stored: u64,
    },
    /// A file of this worker could not be read or written.
    #[error("{path}: the file could not be used", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl UploadError {
    /// Whether another try may go better. The upload has made its own tries by then.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Broken { passing, .. } => *passing,
            Self::TimedOut { .. } | Self::Mismatch { .. } => true,
            _ => false,
        }
    }
}

impl IntoJobError for UploadError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Missing | Self::Config { .. } => ErrorCode::UPLOAD_NOT_CONFIGURED,
            Self::Refused { .. } => ErrorCode::UPLOAD_REFUSED,
            _ => ErrorCode::UPLOAD_FAILED,
        }
    }

    fn class(&self) -> ErrorClass {
        match self {
            Self::Config {
                origin: Origin::Job, ..
            }
            | Self::Refused {
                origin: Origin::Job, ..
            } => ErrorClass::User,
            Self::Broken { .. } | Self::TimedOut { .. } | Self::Mismatch { .. } => ErrorClass::Backend,
            _ => ErrorClass::Worker,
        }
    }

    fn is_retryable(&self) -> bool {
        self.is_transient()
    }

    fn hint(&self) -> Option<Cow<'static, str>> {
        Some(match self {
            Self::Missing => {
                "send an s3Config with the job, or set BUCKET_ENDPOINT_URL, BUCKET_ACCESS_KEY_ID and \
                 BUCKET_SECRET_ACCESS_KEY on the endpoint"
                    .into()
            }
            Self::Refused { code, origin, .. } if code == "NoSuchBucket" => {
                format!("check {}, and that the bucket exists", origin.bucket()).into()
            }
            Self::Refused { code, .. } if code == "RequestTimeTooSkewed" => {
                "this worker's clock is wrong".into()
            }
            Self::Refused {
                status: 301 | 307 | 400,
                origin,
                ..
            } => format!("check {} and the region", origin.endpoint()).into(),
            Self::Refused {
                status: 401 | 403,
                origin,
                ..
            } => format!("check {}, and what they may do", origin.credentials()).into(),
            Self::Broken { origin, .. } => format!("check {}", origin.endpoint()).into(),
            Self::File { .. } => "see that the worker's disk has space and may be read and written".into(),
            _ => return None,
        })
    }
}
