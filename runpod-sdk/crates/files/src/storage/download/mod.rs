//! Downloads of URLs that jobs name (`docs/protocol/worker-protocol.md` §15).

mod builder;
mod error;
mod fetch;
mod filename;
mod sink;
mod target;
#[cfg(test)]
mod tests;
mod unzip;

use std::fmt;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream;

pub use builder::DownloaderBuilder;
pub use error::{Blocked, DownloadError};
use fetch::Fetcher;
use sink::{Disk, Memory};
pub use unzip::{UnzipError, ZipLimits};

/// Fetches URLs that jobs name.
///
/// Make one when the worker starts and clone it: clones share their connections. A URL comes from
/// whoever may send jobs, so it must not become a way to services that only this machine can reach.
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
/// - schemes but `http` and `https`, and URLs that hold a user name or password;
/// - hosts with even one address that the public internet cannot reach: loopback, link-local (cloud
///   metadata), private, shared, multicast, reserved, for documentation or benchmarks, and IPv4 addresses
///   dressed as IPv6. The connection is made to the very addresses that were checked, one after the other;
/// - more than 5 redirects, a redirect from `https` to `http`, and a redirect to anything in this list;
/// - any host that would have to be reached through a proxy (`HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY`),
///   unless `NO_PROXY` excludes it: a proxy looks names up by itself.
///
/// `RUNPOD_ALLOW_PRIVATE_DOWNLOAD_URLS=1` lifts the rules about addresses and proxies, and no other.
///
/// # What is sent
///
/// The URL, and nothing about this worker: no cookie, no key, no `Referer`. Answers are asked for
/// uncompressed; one that comes compressed all the same is an error, because its real size is unknown.
///
/// # Limits
///
/// Each is an option of the [builder](Downloader::builder). A file: 5 GiB; into memory: 64 MiB. One
/// download: 10 minutes with all tries; 30 s without a byte, or 10 s without a connection, end a try.
/// Three tries, but only where another may go better: a broken connection, a time that ran out, and the
/// answers 408, 429 and 5xx. `Retry-After` is kept.
#[derive(Clone)]
pub struct Downloader {
    fetcher: Arc<Fetcher>,
    max_bytes: u64,
    max_in_memory: u64,
    parallel: NonZeroUsize,
}

/// A file that was downloaded.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DownloadedFile {
    /// Where it is.
    pub path: PathBuf,
    /// The name that the server gave, or the last part of the URL, as it came. Not to be used as a path:
    /// [`DownloadedFile::path`] has a safe form of it.
    pub original_name: Option<String>,
    /// The server's `Content-Type` without parameters, in lower case. A claim, no more.
    pub media_type: Option<String>,
    /// Its size.
    pub bytes: u64,
}

impl Downloader {
    /// A downloader with the defaults and what the environment says:
    ///
    /// | variable | default | |
    /// |---|---|---|
    /// | `RUNPOD_MAX_DOWNLOAD_BYTES` | 5 GiB | the largest file |
    /// | `RUNPOD_ALLOW_PRIVATE_DOWNLOAD_URLS` | off | `1`, `true` or `yes`: any address, and proxies |
    /// | `RUNPOD_WORKER_DOWNLOAD_TIMEOUT` | `10m` | for one download |
    /// | `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY` | unset | see [what is refused](Self#what-is-refused) |
    ///
    /// # Errors
    ///
    /// No HTTP client can be made, most often because the image has no certificates (install the package
    /// `ca-certificates`).
    pub fn from_env() -> Result<Self, DownloadError> {
        Self::builder().build()
    }

    /// A builder that begins with what [`from_env`](Self::from_env) gives.
    pub fn builder() -> DownloaderBuilder {
        DownloaderBuilder::from_lookup(|name| std::env::var(name).ok())
    }

    /// Fetches a URL into memory.
    pub async fn bytes(&self, url: &str) -> Result<Bytes, DownloadError> {
        let mut memory = Memory::new(self.max_in_memory);
        self.fetcher.fetch(url, &mut memory).await?;
        Ok(memory.into_bytes())
    }

    /// Fetches several URLs into memory, a few at a time. The results are in the order of the URLs; one
    /// that fails does not hurt the others.
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
    /// The file's name comes from the server (`Content-Disposition`) or the URL, made safe: no directories,
    /// no hidden file, at most 120 bytes. If it is taken, a number is added. A download that fails or is
    /// dropped leaves no file.
    pub async fn file(
        &self,
        url: &str,
        directory: impl AsRef<Path>,
    ) -> Result<DownloadedFile, DownloadError> {
        let directory = directory.as_ref();
        let mut disk = Disk::new(self.max_bytes, directory.to_owned());
        self.fetcher.fetch(url, &mut disk).await?;
        disk.into_file().ok_or_else(|| DownloadError::NotStored {
            path: directory.to_owned(),
            source: std::io::ErrorKind::NotFound.into(),
        })
    }

    /// Fetches several URLs into files in `directory`, a few at a time. The results are in the order of the
    /// URLs; one that fails does not hurt the others.
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
