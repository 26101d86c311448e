//! Where the body of a download goes: into memory, or into a file that is removed unless it is complete.

use std::io;
use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HeaderMap};
use reqwest::Url;
use tokio::fs::File;
use tokio::io::{AsyncWriteExt as _, BufWriter};

use super::downloaded_file::DownloadedFile;
use super::error::DownloadError;
use super::filename;

/// The most memory, in bytes, that is reserved because a server announces it.
const MOST_RESERVED: usize = 16 << 20;
/// Bytes that are written at once.
const WRITE: usize = 1 << 20;
/// The most names that are tried for one file.
const MOST_NAMES: u32 = 10_000;

/// Takes the body of a download. Each try begins again.
pub(super) trait BodySink: Send {
    /// The most bytes that it takes.
    fn limit(&self) -> u64;

    /// Begins a body, and discards what an earlier try has left. `announced` is the server's `Content-Length`.
    fn begin(
        &mut self,
        url: &Url,
        headers: &HeaderMap,
        announced: Option<u64>,
    ) -> impl Future<Output = Result<(), DownloadError>> + Send;

    fn write(&mut self, piece: Bytes) -> impl Future<Output = Result<(), DownloadError>> + Send;

    fn finish(&mut self) -> impl Future<Output = Result<(), DownloadError>> + Send;
}

/// A body in memory.
pub(super) struct MemorySink {
    limit: u64,
    bytes: BytesMut,
}

impl MemorySink {
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

impl BodySink for MemorySink {
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

/// A body in a new file of a directory.
pub(super) struct FileSink {
    limit: u64,
    directory: PathBuf,
    partial: Option<PartialFile>,
}

/// A file that is being written.
struct PartialFile {
    file: BufWriter<File>,
    cleanup: RemoveOnDrop,
    downloaded: DownloadedFile,
}

/// Removes an incomplete file. `None` when the file is complete.
struct RemoveOnDrop(Option<PathBuf>);

impl Drop for RemoveOnDrop {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            // The download has already failed, so a second error has no reader.
            let _ = std::fs::remove_file(path);
        }
    }
}

impl FileSink {
    pub(super) fn new(limit: u64, directory: PathBuf) -> Self {
        Self {
            limit,
            directory,
            partial: None,
        }
    }

    /// The complete file. Call it after the download has succeeded.
    pub(super) fn into_file(self) -> Option<DownloadedFile> {
        let mut partial = self.partial?;
        partial.cleanup.0 = None;
        Some(partial.downloaded)
    }
}

impl BodySink for FileSink {
    fn limit(&self) -> u64 {
        self.limit
    }

    async fn begin(&mut self, url: &Url, headers: &HeaderMap, _: Option<u64>) -> Result<(), DownloadError> {
        // The file of an earlier try goes first, so that its name is free.
        self.partial = None;
        let (original, name) = filename::of(url, headers);
        let path = self.directory.join(&name);
        let directory = self.directory.clone();
        // The file comes with its clean-up: this future may be dropped before the thread has made the file.
        let created = tokio::task::spawn_blocking(move || create(&directory, &name))
            .await
            .unwrap_or_else(|lost| Err(io::Error::other(lost)));
        let (file, cleanup) = created.map_err(|source| not_stored(&path, source))?;
        self.partial = Some(PartialFile {
            file: BufWriter::with_capacity(WRITE, File::from_std(file)),
            downloaded: DownloadedFile {
                path: cleanup.0.clone().unwrap_or(path),
                original_name: original,
                media_type: media_type(headers),
                bytes: 0,
            },
            cleanup,
        });
        Ok(())
    }

    async fn write(&mut self, piece: Bytes) -> Result<(), DownloadError> {
        if let Some(partial) = &mut self.partial {
            let written = partial.file.write_all(&piece).await;
            written.map_err(|source| not_stored(&partial.downloaded.path, source))?;
            partial.downloaded.bytes += piece.len() as u64;
        }
        Ok(())
    }

    async fn finish(&mut self) -> Result<(), DownloadError> {
        if let Some(partial) = &mut self.partial {
            let flushed = partial.file.flush().await;
            flushed.map_err(|source| not_stored(&partial.downloaded.path, source))?;
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
fn create(directory: &Path, name: &str) -> io::Result<(std::fs::File, RemoveOnDrop)> {
    let mut path = directory.join(name);
    for number in 2..=MOST_NAMES {
        // It opens nothing that exists, not even at the end of a link.
        match std::fs::File::create_new(&path) {
            Ok(file) => return Ok((file, RemoveOnDrop(Some(path)))),
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
