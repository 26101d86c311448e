//! Pictures that a request names by URL: fetched, and written into the request as base64.
//!
//! Only texts under keys that hold pictures are looked at, and only those that begin with `http://` or
//! `https://`. The SDK's downloader keeps them from leading to inner addresses.

mod places;

use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use runpod_sdk::Context;
use runpod_sdk::storage::{DownloadError, Downloader};
use tracing::info;

use crate::code::{Code, Explain};
use crate::failure::Failure;
use crate::picture::Kind;
use crate::splice::Edits;
use crate::webui::{Call, unless_cancelled};

/// A job may name so many URLs.
const MOST: usize = 16;

/// Fetches the pictures that requests name. The client is made when the first is needed.
#[derive(Debug)]
pub(crate) struct Pictures {
    downloader: OnceLock<Downloader>,
    largest: u64,
}

/// Why a picture could not be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PictureError {
    #[error("input.{path}: {source}")]
    Download { path: String, source: DownloadError },
    #[error("input.{path}: what the URL leads to is not a picture")]
    NotAPicture { path: String },
    #[error("input: {count} pictures by URL are more than the {MOST} that a job may name")]
    TooMany { count: usize },
}

impl Pictures {
    /// Each picture may have so many bytes.
    pub(crate) fn new(largest: u64) -> Self {
        Self {
            downloader: OnceLock::new(),
            largest,
        }
    }

    /// The request with its URLs replaced by what they lead to.
    pub(crate) async fn fetch(&self, call: Call, ctx: &Context) -> Result<Call, Failure> {
        let Some(body) = call.body.as_ref() else {
            return Ok(call);
        };
        let text = body.as_str();
        let places = places::with_urls(text);
        if places.is_empty() {
            return Ok(call);
        }
        if places.len() > MOST {
            return Err(PictureError::TooMany { count: places.len() }.into());
        }
        let downloader = self.downloader().map_err(|source| PictureError::Download {
            path: places[0].path.clone(),
            source,
        })?;
        let urls: Vec<String> = places.iter().map(|place| place.url.clone()).collect();
        let fetched = unless_cancelled(ctx, downloader.bytes_of_all(urls)).await?;

        let mut edits = Edits::of(text);
        let mut bytes = 0;
        for (place, fetched) in places.iter().zip(fetched) {
            let path = || place.path.clone();
            let picture = fetched.map_err(|source| PictureError::Download { path: path(), source })?;
            if Kind::of(&picture).is_none() {
                return Err(PictureError::NotAPicture { path: path() }.into());
            }
            bytes += picture.len();
            edits.replace(place.value, format!("\"{}\"", STANDARD.encode(&picture)));
        }
        info!(pictures = places.len(), bytes, "pictures of the request fetched");
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
            // The code of a download is its own.
            Self::NotAPicture { .. } | Self::Download { .. } => Code::InvalidPicture,
            Self::TooMany { .. } => Code::InvalidInput,
        }
    }

    fn own_hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::TooMany { .. } => "send fewer, or send some as base64",
            _ => "send a URL that leads to a PNG, JPEG or WebP file itself, not to a page that shows it",
        })
    }
}
