//! The downloader as programs see it.

use std::fmt;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};

use super::downloaded_file::DownloadedFile;
use super::error::DownloadError;
use super::fetch::Fetcher;
use super::sink::{FileSink, MemorySink};

/// Fetches URLs that jobs name.
///
/// Make one when the worker starts and clone it: clones share their connections. A URL comes from the caller of the
/// endpoint, so it must not lead to services that only this machine can reach.
///
/// ```no_run
/// use runpod_sdk::prelude::*;
/// use runpod_sdk::storage::Downloader;
///
/// #[handler]
/// async fn size(url: String, State(downloader): State<Downloader>) -> JobResult<usize> {
///     let picture = downloader.bytes(&url).await?;
///     Ok(picture.len())
/// }
///
/// fn main() -> std::process::ExitCode {
///     runpod_sdk::start(size::worker().state_with(async || Downloader::from_env()))
/// }
/// ```
///
/// # What is refused
///
/// With [`DownloadError::Blocked`], which is never tried again:
///
/// - schemes other than `http` and `https`, and URLs with a user name or password;
/// - hosts with even one address that the public internet cannot reach: loopback, link-local (cloud metadata),
///   private, shared, multicast, reserved, for documentation or benchmarks, and IPv4 addresses in IPv6 form. The
///   connection goes to the very addresses that were checked, one after the other;
/// - more than 5 redirects, a redirect from `https` to `http`, and a redirect to anything in this list;
/// - hosts that would have to be reached through a proxy (`HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY`), unless
///   `NO_PROXY` excludes them: a proxy looks names up by itself.
///
/// `RUNPOD_ALLOW_PRIVATE_DOWNLOAD_URLS=1` lifts the rules about addresses and proxies, and no other.
///
/// # What is sent
///
/// The URL, and nothing about this worker: no cookie, no key, no `Referer`. The request asks for an uncompressed
/// answer. A compressed one is an error, because its real size is unknown.
///
/// # Limits
///
/// | limit | default | changed by |
/// |---|---|---|
/// | a file | 5 GiB | [`max_bytes`](super::DownloaderBuilder::max_bytes) |
/// | a download into memory | 64 MiB | [`max_in_memory`](super::DownloaderBuilder::max_in_memory) |
/// | one download, with all tries | 10 min | [`timeout`](super::DownloaderBuilder::timeout) |
/// | silence of the server, which ends a try | 30 s | [`stall_timeout`](super::DownloaderBuilder::stall_timeout) |
/// | the connection, without which a try ends | 10 s | |
/// | tries | 3 | |
///
/// A download is tried again only where another try may succeed: after a broken connection, a timeout, and the answers
/// 408, 429 and 5xx. The pause is at least `Retry-After`.
#[doc(alias = "rp_download")]
#[derive(Clone)]
pub struct Downloader {
    pub(super) fetcher: Arc<Fetcher>,
    pub(super) max_bytes: u64,
    pub(super) max_in_memory: u64,
    pub(super) parallel: NonZeroUsize,
}

impl Downloader {
    /// Fetches a URL into memory.
    pub async fn bytes(&self, url: &str) -> Result<Bytes, DownloadError> {
        let mut memory = MemorySink::new(self.max_in_memory);
        self.fetcher.fetch(url, &mut memory).await?;
        Ok(memory.into_bytes())
    }

    /// Fetches several URLs into memory, a few at a time.
    ///
    /// The results are in the order of the URLs. One that fails does not stop the others.
    pub async fn bytes_of_all<U: AsRef<str>>(
        &self,
        urls: impl IntoIterator<Item = U>,
    ) -> Vec<Result<Bytes, DownloadError>> {
        let each = urls
            .into_iter()
            .map(|url| async move { self.bytes(url.as_ref()).await });
        stream::iter(each).buffered(self.parallel.get()).collect().await
    }

    /// Fetches a URL into a new file in `directory`, which must exist.
    ///
    /// The file's name comes from the server (`Content-Disposition`) or the URL, made safe: no directories, no hidden
    /// file, at most 120 bytes. If it is taken, a number is added. A download that fails or is dropped leaves no file.
    pub async fn file(
        &self,
        url: &str,
        directory: impl AsRef<Path>,
    ) -> Result<DownloadedFile, DownloadError> {
        let directory = directory.as_ref();
        let mut file = FileSink::new(self.max_bytes, directory.to_owned());
        self.fetcher.fetch(url, &mut file).await?;
        file.into_file().ok_or_else(|| DownloadError::NotStored {
            path: directory.to_owned(),
            source: std::io::ErrorKind::NotFound.into(),
        })
    }

    /// Fetches several URLs into files in `directory`, a few at a time.
    ///
    /// The results are in the order of the URLs. One that fails does not stop the others.
    #[doc(alias = "download_files_from_urls")]
    pub async fn files<U: AsRef<str>>(
        &self,
        urls: impl IntoIterator<Item = U>,
        directory: impl AsRef<Path>,
    ) -> Vec<Result<DownloadedFile, DownloadError>> {
        let directory = directory.as_ref();
        let each = urls
            .into_iter()
            .map(|url| async move { self.file(url.as_ref(), directory).await });
        stream::iter(each).buffered(self.parallel.get()).collect().await
    }
}

impl fmt::Debug for Downloader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Downloader")
            .field("rules", &self.fetcher.rules)
            .field("max_bytes", &self.max_bytes)
            .field("max_in_memory", &self.max_in_memory)
            .field("parallel", &self.parallel)
            .finish_non_exhaustive()
    }
}
