//! What is uploaded, and what becomes of it.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::Url;

use super::UploadError;
use crate::storage::ShownUrl;

/// Something to upload: a name, what it holds, and what that is.
#[derive(Clone, Debug)]
#[must_use = "an object is not stored until it is put into a bucket"]
pub struct Object {
    pub(super) key: String,
    pub(super) content: Content,
    pub(super) media_type: Option<String>,
}

#[derive(Clone)]
pub(super) enum Content {
    Bytes(Bytes),
    File(PathBuf),
}

/// What an object holds may be anybody's picture.
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

    /// An object of what a file holds. It is read while it is uploaded, 8 MiB at a time.
    pub fn file(key: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        Self {
            key: key.into(),
            content: Content::File(path.into()),
            media_type: None,
        }
    }

    /// Its `Content-Type`. By default what the extension of its key says, such as `image/jpeg` for `.jpg`,
    /// else `application/octet-stream`.
    pub fn content_type(mut self, media_type: impl Into<String>) -> Self {
        self.media_type = Some(media_type.into());
        self
    }
}

impl Content {
    /// Opens what can be read piece by piece.
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
                    // A file that has shrunk since is an error, not an object with a hole.
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

pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|lost| Err(io::Error::other(lost)))
}

/// Which link an upload gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Link {
    /// A link that anybody may follow for so long: at least a second, at most 604800 s (a week), which is
    /// the longest that its signature allows and the default.
    Presigned(Duration),
    /// A link without a signature, for buckets that everybody may read or whose readers have keys.
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
    /// Its name in the bucket.
    pub key: String,
    /// The [`Link`] to it. One that is presigned lets whoever has it read the object: hand it to the
    /// caller, not to a log. Of a [directory](super::Bucket::directory), the file's path.
    pub url: String,
    /// Its size.
    pub bytes: u64,
    /// Its `Content-Type`.
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
