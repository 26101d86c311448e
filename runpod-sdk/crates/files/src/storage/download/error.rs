//! Why a download fails, and whose mistake that is.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use runpod_worker::{ErrorClass, ErrorCode, IntoJobError};

use crate::storage::egress::{NotPublic, remedy};
use crate::storage::shown::ShownUrl;

/// The rule that forbids a request or a redirect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Blocked {
    /// The scheme is neither `http` nor `https`.
    #[error("{0} is not a scheme that is fetched; use https")]
    Scheme(String),
    /// The URL holds a user name or a password.
    #[error("it holds a user name or a password; use a signed URL")]
    Credentials,
    /// The host is, or has among its addresses, one that the public internet cannot reach. The text is its meaning.
    #[error("its host has an address that is not public ({meaning}){}", remedy(.0), meaning = .0)]
    Address(&'static str),
    /// The request would have to take a proxy, behind which addresses cannot be checked.
    #[error("this worker has a proxy configured, and behind that its address cannot be checked")]
    Proxy,
    /// A redirect leads from `https` to `http`.
    #[error("it redirects from https to http")]
    Downgrade,
    /// A redirect leads to something that is no URL.
    #[error("it redirects to something that is no URL")]
    Redirect,
    /// There are more redirects than are followed.
    #[error("it redirects more than {0} times")]
    TooManyRedirects(usize),
}

impl From<NotPublic> for Blocked {
    fn from(NotPublic(meaning): NotPublic) -> Self {
        Self::Address(meaning)
    }
}

/// Why a download failed.
///
/// Converts to a [`JobError`](runpod_worker::JobError) with one of the codes
/// [`DOWNLOAD_BLOCKED`](ErrorCode::DOWNLOAD_BLOCKED), [`DOWNLOAD_FAILED`](ErrorCode::DOWNLOAD_FAILED),
/// [`DOWNLOAD_TOO_LARGE`](ErrorCode::DOWNLOAD_TOO_LARGE),
/// [`DOWNLOAD_NOT_STORED`](ErrorCode::DOWNLOAD_NOT_STORED) or, for text that is no URL,
/// [`INVALID_INPUT`](ErrorCode::INVALID_INPUT).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DownloadError {
    /// The text is no URL.
    #[error("not a URL: {0}")]
    NotAUrl(#[source] url::ParseError),
    /// The URL must not be fetched. This is never tried again.
    #[error("{url} is not fetched: {reason}")]
    Blocked {
        /// The URL of the download.
        url: ShownUrl,
        /// The rule that forbids it.
        reason: Blocked,
    },
    /// The file is larger than the limit.
    #[error("{url} is larger than the {limit} bytes that a download may have")]
    TooLarge {
        /// The URL of the download.
        url: ShownUrl,
        /// The limit in bytes.
        limit: u64,
    },
    /// The server answered with another status than 200.
    #[error("{url}: the server answered {status}")]
    Status {
        /// The URL of the download.
        url: ShownUrl,
        /// The HTTP status.
        status: u16,
        /// The wait that the server asks for.
        retry_after: Option<Duration>,
    },
    /// The file came compressed, although the request asked for a plain one.
    #[error("{url}: the server sent it with Content-Encoding {encoding}, though plain was asked for")]
    Encoded {
        /// The URL of the download.
        url: ShownUrl,
        /// The encoding.
        encoding: String,
    },
    /// There was no connection, or it broke.
    #[error("{url}: {reason}")]
    Broken {
        /// The URL of the download.
        url: ShownUrl,
        /// The causes in words.
        reason: String,
        /// Whether another try may succeed. A wrong certificate, for example, stays wrong.
        transient: bool,
        /// The HTTP client's error, without the URL.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// A time limit passed.
    #[error("{url}: no complete answer within {limit:?}")]
    TimedOut {
        /// The URL of the download.
        url: ShownUrl,
        /// The limit: for the silence of the server, or for the download with all its tries.
        limit: Duration,
    },
    /// The file could not be written.
    #[error("{path}: the download could not be stored", path = path.display())]
    NotStored {
        /// The file or its directory.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// There is no HTTP client, in most cases because the image has no certificates.
    #[error("no HTTP client: {0}")]
    NoClient(#[source] Box<dyn StdError + Send + Sync>),
}

impl DownloadError {
    /// Whether another try may succeed: after a broken connection, a timeout, or an answer 408, 429 or 5xx.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Broken { transient, .. } => *transient,
            Self::TimedOut { .. } => true,
            Self::Status { status, .. } => matches!(status, 408 | 429 | 500..),
            _ => false,
        }
    }

    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

impl IntoJobError for DownloadError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::NotAUrl(_) => ErrorCode::INVALID_INPUT,
            Self::Blocked { .. } => ErrorCode::DOWNLOAD_BLOCKED,
            Self::TooLarge { .. } => ErrorCode::DOWNLOAD_TOO_LARGE,
            Self::NotStored { .. } => ErrorCode::DOWNLOAD_NOT_STORED,
            Self::Status { .. }
            | Self::Encoded { .. }
            | Self::Broken { .. }
            | Self::TimedOut { .. }
            | Self::NoClient(_) => ErrorCode::DOWNLOAD_FAILED,
        }
    }

    fn class(&self) -> ErrorClass {
        match self {
            Self::Blocked {
                reason: Blocked::Proxy,
                ..
            }
            | Self::NotStored { .. }
            | Self::NoClient(_) => ErrorClass::Worker,
            _ if self.is_transient() => ErrorClass::Backend,
            _ => ErrorClass::User,
        }
    }

    fn is_retryable(&self) -> bool {
        self.is_transient()
    }

    fn hint(&self) -> Option<Cow<'static, str>> {
        Some(Cow::Borrowed(match self {
            Self::NotAUrl(_) => "send a whole URL: https://host/path",
            Self::Blocked {
                reason: Blocked::Proxy,
                ..
            } => "add the host to the worker's NO_PROXY, or remove the proxy variables",
            Self::Blocked {
                reason: Blocked::Address(_),
                ..
            } => "put the file where the public internet can reach it",
            Self::TooLarge { .. } => {
                "send a smaller file, or raise the worker's limit, for files RUNPOD_MAX_DOWNLOAD_BYTES"
            }
            Self::Status {
                status: 401 | 403, ..
            } => "the URL needs access; a signed one may have expired",
            Self::Status {
                status: 404 | 410, ..
            } => "check the URL; nothing is there",
            Self::NotStored { .. } => "see that the worker's disk has space and may be written",
            _ => return None,
        }))
    }
}
