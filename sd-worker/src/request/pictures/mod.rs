//! Fetches the pictures that a request names by URL, and writes them into the request as base64.
//!
//! Only texts under keys of pictures count, and only those that are an `http://` or `https://` URL. The SDK's downloader
//! refuses inner addresses.

mod urls;

use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use runpod_sdk::Context;
use runpod_sdk::storage::{DownloadError, Downloader};
use tracing::info;

use self::urls::{Unreadable, picture_urls};
use crate::cancelled::{Cancelled, unless_cancelled};
use crate::code::{Code, Explain};
use crate::picture::{PictureKind, describe};
use crate::splice::Edits;
use crate::webui::Call;

/// The most URLs that a job may name.
const MOST: usize = 16;

/// Fetches pictures. Its client is made when the first picture is needed.
#[derive(Debug)]
pub(crate) struct PictureFetcher {
    downloader: OnceLock<Downloader>,
    largest: u64,
}

/// Why a picture could not be fetched.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PictureError {
    #[error("input.{path}: {source}")]
    Download { path: String, source: DownloadError },
    #[error("input.{path}: what the URL leads to is not a picture: found {found}")]
    NotAPicture { path: String, found: String },
    #[error("input: {count} pictures by URL are more than the {MOST} that a job may name")]
    TooMany { count: usize },
    #[error(
        "input{}{path}: cannot be read: it has half of a surrogate pair, or is a list in the place of an object",
        if .path.is_empty() { "" } else { "." }
    )]
    Unreadable { path: String },
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

impl PictureFetcher {
    /// A picture may have `largest` bytes.
    pub(crate) fn new(largest: u64) -> Self {
        Self {
            downloader: OnceLock::new(),
            largest,
        }
    }

    /// The request with its URLs replaced by their pictures.
    pub(crate) async fn fetch(&self, call: Call, ctx: &Context) -> Result<Call, PictureError> {
        let Some(body) = call.body.as_ref() else {
            return Ok(call);
        };
        let text = body.as_str();
        let found = picture_urls(text).map_err(|Unreadable { path }| PictureError::Unreadable { path })?;
        if found.is_empty() {
            return Ok(call);
        }
        if found.len() > MOST {
            return Err(PictureError::TooMany { count: found.len() });
        }
        let downloader = self.downloader().map_err(|source| PictureError::Download {
            path: found[0].path.clone(),
            source,
        })?;
        let urls: Vec<String> = found.iter().map(|picture| picture.url.clone()).collect();
        let fetched = unless_cancelled(ctx, downloader.bytes_of_all(urls)).await?;

        let mut edits = Edits::of(text);
        let mut bytes = 0;
        for (url, fetched) in found.iter().zip(fetched) {
            let path = || url.path.clone();
            let picture = fetched.map_err(|source| PictureError::Download { path: path(), source })?;
            if !PictureKind::of(&picture).is_some_and(PictureKind::is_picture) {
                let found = describe(&picture, picture.len());
                return Err(PictureError::NotAPicture { path: path(), found });
            }
            bytes += picture.len();
            edits.replace(url.value, format!("\"{}\"", STANDARD.encode(&picture)));
        }
        info!(pictures = found.len(), bytes, "pictures of the request fetched");
        match edits.apply() {
            Some(body) => Ok(call.with_body(body)),
            None => Ok(call),
        }
    }

    fn downloader(&self) -> Result<&Downloader, DownloadError> {
        if self.downloader.get().is_none() {
            let made = Downloader::builder().max_in_memory(self.largest).build()?;
            // Another job may have been faster; one of the two is dropped.
            let _ = self.downloader.set(made);
        }
        Ok(self.downloader.get().expect("it was set above"))
    }
}

impl Explain for PictureError {
    fn code(&self) -> Code {
        match self {
            // The conversion to the job's error takes the code of the download itself.
            Self::NotAPicture { .. } | Self::Download { .. } => Code::InvalidPicture,
            Self::TooMany { .. } | Self::Unreadable { .. } => Code::InvalidInput,
            Self::Cancelled(error) => error.code(),
        }
    }

    fn own_hint(&self) -> Option<&'static str> {
        match self {
            Self::Cancelled(error) => error.own_hint(),
            Self::Unreadable { .. } => Some(
                "write both halves of a pair of \\ud800 to \\udfff, or neither; and pairs of key and value as an object",
            ),
            Self::TooMany { .. } => Some("send fewer, or send some as base64"),
            _ => {
                Some("send a URL that leads to a PNG, JPEG or WebP file itself, not to a page that shows it")
            }
        }
    }
}
