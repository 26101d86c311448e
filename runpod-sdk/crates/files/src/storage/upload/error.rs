//! Why an upload fails, and whose mistake that is.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use runpod_worker::{ErrorClass, ErrorCode, IntoJobError};

use super::origin::Origin;
use super::transport::describe_answer;

/// Why an upload failed.
///
/// Converts to a [`JobError`](runpod_worker::JobError) with the code
/// [`UPLOAD_NOT_CONFIGURED`](ErrorCode::UPLOAD_NOT_CONFIGURED),
/// [`UPLOAD_REFUSED`](ErrorCode::UPLOAD_REFUSED) or [`UPLOAD_FAILED`](ErrorCode::UPLOAD_FAILED). No message
/// contains a key or a secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UploadError {
    /// Neither the job nor the environment configures a storage.
    #[error("there is nowhere to upload to: the job has no s3Config, and BUCKET_ENDPOINT_URL is not set")]
    Missing,
    /// The configuration of the storage is wrong.
    #[error("the storage is not configured well: {problem}")]
    Config {
        /// Which part of the deployment has to correct it.
        origin: Origin,
        /// What is wrong, in words.
        problem: String,
    },
    /// An object cannot have this key.
    #[error("{key:?} is not a name for an object: {problem}")]
    BadKey {
        /// The key.
        key: String,
        /// The rule that it breaks.
        problem: String,
    },
    /// The storage refused the request.
    #[error("{key}: {said}", said = describe_answer(*status, code, message))]
    Refused {
        /// The object's key.
        key: String,
        /// The HTTP status.
        status: u16,
        /// S3's code, such as `NoSuchBucket`. Empty if there is none.
        code: String,
        /// S3's message, or the beginning of another answer.
        message: String,
        /// The bucket's region, if the answer names it: requests were signed for another.
        region: Option<String>,
        /// Which part of the deployment names credentials and bucket.
        origin: Origin,
    },
    /// At the last try, the storage failed or could not be reached, or the connection broke.
    #[error("{key}: {reason} (tried {attempts} times)")]
    Broken {
        /// The object's key.
        key: String,
        /// The causes in words.
        reason: String,
        /// The number of tries.
        attempts: u32,
        /// Whether another try may succeed. A wrong certificate, for example, stays wrong.
        transient: bool,
        /// Which part of the deployment names the endpoint.
        origin: Origin,
        /// The client's error.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// At the last try, the answer did not come in time.
    #[error("{key}: no answer from the storage within {limit:?} (tried {attempts} times)")]
    TimedOut {
        /// The object's key.
        key: String,
        /// The time limit of one request.
        limit: Duration,
        /// The number of tries.
        attempts: u32,
    },
    /// The stored object is not as long as the sent one.
    #[error("{key}: {sent} bytes were sent, and the storage has {stored}")]
    Mismatch {
        /// The object's key.
        key: String,
        /// Bytes sent.
        sent: u64,
        /// Bytes stored.
        stored: u64,
    },
    /// A file of this worker cannot be read or written.
    #[error("{path}: the file could not be used", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

impl UploadError {
    /// The region that the storage has named in a refusal.
    pub(super) fn region(&self) -> Option<&str> {
        match self {
            Self::Refused {
                status: 301 | 307 | 400,
                region,
                ..
            } => region.as_deref(),
            _ => None,
        }
    }

    /// Whether another upload may succeed. This one has already been tried several times.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Broken { transient, .. } => *transient,
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
                region: Some(region),
                origin,
                ..
            } => format!(
                "the bucket is in the region {region}: {}",
                origin.set_region(region)
            )
            .into(),
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
