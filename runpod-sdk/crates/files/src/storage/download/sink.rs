//! Where a download's bytes go: memory, or a file that is there only when it is whole.

use std::io;
use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HeaderMap};
use reqwest::Url;
use tokio::fs::File;
use tokio::io::{AsyncWriteExt as _, BufWriter};

use super::DownloadedFile;
use super::error::DownloadError;
use super::fetch::Sink;
use super::filename;

/// The most that is reserved because a server announces it.
const MOST_RESERVED: usize = 16 << 20;
/// Bytes that are written at once.
const WRITE: usize = 1 << 20;
/// Names tried for one file. Past it, somebody makes them faster than we do.
const MOST_NAMES: u32 = 10_000;

pub(super) struct Memory {
    limit: u64,
    bytes: BytesMut,
}

impl Memory {
    pub(super) fn new(limit: u64) -> Self {
        Self {
            limit,
            bytes: BytesMut::new(),
        }
    }

    pub(super) fn into_bytes(self) -> Bytes {
        self.bytes.freeze()
    }
}

impl Sink for Memory {
    fn limit(&self) -> u64 {
        self.limit
    }

    async fn begin(&mut self, _: &Url, _: &HeaderMap, announced: Option<u64>) -> Result<(), DownloadError> {
        let announced = announced
            .and_then(|length| usize::try_from(length).ok())
            .unwrap_or(0);
        self.bytes = BytesMut::with_capacity(announced.min(MOST_RESERVED));
        Ok(())
    }

    async fn write(&mut self, piece: Bytes) -> Result<(), DownloadError> {
        self.bytes.extend_from_slice(&piece);
        Ok(())
    }

    async fn finish(&mut self) -> Result<(), DownloadError> {
        Ok(())
    }
}

pub(super) struct Disk {
    limit: u64,
    directory: PathBuf,
    part: Option<Part>,
}

/// A file that is being written, and is removed unless it becomes whole.
struct Part {
    file: BufWriter<File>,
    unfinished: Unfinished,
    whole: DownloadedFile,
}

struct Unfinished(Option<PathBuf>);

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            // Nobody is left to be told.
            let _ = std::fs::remove_file(path);
        }
    }
}

impl Disk {
    pub(super) fn new(limit: u64, directory: PathBuf) -> Self {
        Self {
            limit,
            directory,
            part: None,
        }
    }

    /// The file, after the download has succeeded.
    pub(super) fn into_file(self) -> Option<DownloadedFile> {
        let mut part = self.part?;
        part.unfinished.0 = None;
        Some(part.whole)
    }
}

impl Sink for Disk {
    fn limit(&self) -> u64 {
        self.limit
    }

    async fn begin(&mut self, url: &Url, headers: &HeaderMap, _: Option<u64>) -> Result<(), DownloadError> {
        // What an earlier try has left goes first, so that its name is free.
        self.part = None;
        let (original, name) = filename::of(url, headers);
        let path = self.directory.join(&name);
        let directory = self.directory.clone();
        // The file comes with its end: nobody may be left to take it when it has been made.
        let created = tokio::task::spawn_blocking(move || create(&directory, &name))
            .await
            .unwrap_or_else(|lost| Err(io::Error::other(lost)));
        let (file, unfinished) = created.map_err(|source| not_stored(&path, source))?;
        self.part = Some(Part {
            file: BufWriter::with_capacity(WRITE, File::from_std(file)),
            whole: DownloadedFile {
                path: unfinished.0.clone().unwrap_or(path),
                original_name: original,
                media_type: media_type(headers),
                bytes: 0,
            },
            unfinished,
        });
        Ok(())
    }

    async fn write(&mut self, piece: Bytes) -> Result<(), DownloadError> {
        if let Some(part) = &mut self.part {
            let written = part.file.write_all(&piece).await;
            written.map_err(|source| not_stored(&part.whole.path, source))?;
            part.whole.bytes += piece.len() as u64;
        }
        Ok(())
    }

    async fn finish(&mut self) -> Result<(), DownloadError> {
        if let Some(part) = &mut self.part {
            let flushed = part.file.flush().await;
            flushed.map_err(|source| not_stored(&part.whole.path, source))?;
        }
        Ok(())
    }
}

fn not_stored(path: &Path, source: io::Error) -> DownloadError {
    DownloadError::NotStored {
        path: path.to_owned(),
        source,
    }
}

/// Makes a new file, under another name if this one is taken: `a.png`, `a-2.png` and so on.
fn create(directory: &Path, name: &str) -> io::Result<(std::fs::File, Unfinished)> {
    let mut path = directory.join(name);
    for number in 2..=MOST_NAMES {
        // Opens nothing that is there already, not even at the end of a link.
        match std::fs::File::create_new(&path) {
            Ok(file) => return Ok((file, Unfinished(Some(path)))),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                path = directory.join(filename::numbered(name, number));
            }
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let media_type = value.split(';').next()?.trim().to_ascii_lowercase();
    (!media_type.is_empty()).then_some(media_type)
}
