//! What is uploaded, and the result.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::Url;

use super::error::UploadError;
use crate::storage::shown::ShownUrl;

/// The size in bytes from which an object is sent in parts, and of one part. Four parts at once take 32 MiB of memory.
pub(super) const PIECE: u64 = 8 << 20;

/// An object to upload: key, content and content type.
#[derive(Clone, Debug)]
#[must_use = "an object is not stored until it is put into a bucket"]
pub struct Object {
    pub(super) key: String,
    pub(super) content: Content,
    pub(super) media_type: Option<String>,
}

/// The content of an object.
#[derive(Clone)]
pub(super) enum Content {
    Bytes(Bytes),
    File(PathBuf),
}

/// Leaves the bytes out: they may be a private picture.
impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "{} bytes", bytes.len()),
            Self::File(path) => fmt::Debug::fmt(path, f),
        }
    }
}

impl Object {
    /// An object of these bytes, which are not copied.
    pub fn new(key: impl Into<String>, bytes: impl Into<Bytes>) -> Self {
        Self {
            key: key.into(),
            content: Content::Bytes(bytes.into()),
            media_type: None,
        }
    }

    /// An object with the content of a file. The file is read while it is uploaded, 8 MiB at a time.
    pub fn file(key: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        Self {
            key: key.into(),
            content: Content::File(path.into()),
            media_type: None,
        }
    }

    /// Sets the `Content-Type`. By default the extension of the key decides, such as `image/jpeg` for `.jpg`. For an
    /// unknown extension it is `application/octet-stream`.
    pub fn content_type(mut self, media_type: impl Into<String>) -> Self {
        self.media_type = Some(media_type.into());
        self
    }
}

impl Content {
    /// Opens the content for reading.
    pub(super) async fn open(self) -> Result<Source, UploadError> {
        let path = match self {
            Self::Bytes(bytes) => return Ok(Source::Bytes(bytes)),
            Self::File(path) => path,
        };
        let opened = path.clone();
        blocking(move || {
            let file = File::open(&opened)?;
            let length = file.metadata()?.len();
            Ok((file, length))
        })
        .await
        .map(|(file, length)| Source::File {
            file: Arc::new(file),
            length,
            path: path.clone(),
        })
        .map_err(|source| UploadError::File { path, source })
    }
}

/// Content that can be read piece by piece.
#[derive(Clone)]
pub(super) enum Source {
    Bytes(Bytes),
    File {
        file: Arc<File>,
        length: u64,
        path: PathBuf,
    },
}

impl Source {
    pub(super) fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File { length, .. } => *length,
        }
    }

    /// The piece of at most `length` bytes from `offset` on.
    pub(super) async fn piece(&self, offset: u64, length: u64) -> Result<Bytes, UploadError> {
        let length = length.min(self.len().saturating_sub(offset));
        let too_large = |_| io::Error::from(io::ErrorKind::OutOfMemory);
        match self {
            Self::Bytes(bytes) => {
                let offset = usize::try_from(offset).unwrap_or(bytes.len());
                let length = usize::try_from(length).unwrap_or(0);
                Ok(bytes.slice(offset..offset + length))
            }
            Self::File { file, path, .. } => {
                let file = file.clone();
                let read = blocking(move || {
                    let mut piece = BytesMut::zeroed(usize::try_from(length).map_err(too_large)?);
                    // If the file has shrunk since, this is an error, and no object with a hole arises.
                    file.read_exact_at(&mut piece, offset)?;
                    Ok(piece.freeze())
                });
                read.await.map_err(|source| UploadError::File {
                    path: path.clone(),
                    source,
                })
            }
        }
    }
}

/// Runs blocking file work on a thread of its own.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|lost| Err(io::Error::other(lost)))
}

/// The kind of link that an upload gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Link {
    /// A link that needs no credentials and expires after this time: at least 1 s, at most 604800 s (a week), which is
    /// the longest that the signature allows and the default.
    Presigned(Duration),
    /// A link without a signature, for public buckets and for readers with credentials of their own.
    Plain,
}

impl Link {
    /// The longest time that a signature allows.
    pub const LONGEST: Duration = Duration::from_hours(7 * 24);
}

impl Default for Link {
    fn default() -> Self {
        Self::Presigned(Self::LONGEST)
    }
}

/// An object that is stored.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Uploaded {
    /// The key in the bucket.
    pub key: String,
    /// The [`Link`] to the object. A presigned one is enough to read the object, so it belongs in the answer and not in
    /// a log. In a [directory](super::Bucket::directory), the file's path.
    pub url: String,
    /// The size in bytes.
    pub bytes: u64,
    /// The `Content-Type`.
    pub media_type: String,
}

/// Shows the link without its signature.
impl fmt::Debug for Uploaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url =
            Url::parse(&self.url).map_or_else(|_| self.url.clone(), |url| ShownUrl::of(&url).to_string());
        f.debug_struct("Uploaded")
            .field("key", &self.key)
            .field("url", &url)
            .field("bytes", &self.bytes)
            .field("media_type", &self.media_type)
            .finish()
    }
}
