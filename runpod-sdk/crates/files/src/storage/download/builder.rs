//! A downloader's options, and the environment variables behind them.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use runpod_protocol::variable;
use runpod_worker::settings::Environment;
use tracing::warn;

use super::downloader::Downloader;
use super::error::DownloadError;
use super::fetch::Fetcher;
use super::url_rules::UrlRules;
use crate::storage::egress::{CheckedResolver, EgressPolicy, NameLookup, Proxies, SystemLookup};
use crate::storage::http_client::{self, NoClient};
use crate::storage::retry::RetryPolicy;

/// The largest file: 5 GiB, as in Python.
const MAX_BYTES: u64 = 5 << 30;
/// The largest download into memory: 64 MiB, so that the jobs of one worker do not exhaust its memory.
const MAX_IN_MEMORY: u64 = 64 << 20;
/// The time for one download. It is the platform's default limit for a whole job.
const TIMEOUT: Duration = Duration::from_mins(10);
/// The longest silence of a server that still sends.
const STALL_TIMEOUT: Duration = Duration::from_secs(30);
/// Downloads of a list that run at once.
const PARALLEL: NonZeroUsize = NonZeroUsize::MIN.saturating_add(3);

/// Options of a [`Downloader`].
#[must_use = "a builder does nothing until it is built"]
pub struct DownloaderBuilder {
    max_bytes: u64,
    max_in_memory: u64,
    timeout: Duration,
    stall_timeout: Duration,
    retry: RetryPolicy,
    parallel: NonZeroUsize,
    egress: EgressPolicy,
    proxies: Proxies,
    names: Arc<dyn NameLookup>,
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
    /// No HTTP client can be made, in most cases because the image has no certificates (install the package
    /// `ca-certificates`).
    pub fn from_env() -> Result<Self, DownloadError> {
        Self::builder().build()
    }

    /// A builder that begins with what [`from_env`](Self::from_env) gives.
    pub fn builder() -> DownloaderBuilder {
        DownloaderBuilder::from_lookup(variable::from_environment)
    }
}

impl DownloaderBuilder {
    pub(super) fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Self {
        Self {
            max_bytes: max_bytes(&lookup),
            max_in_memory: MAX_IN_MEMORY,
            timeout: timeout(&lookup),
            stall_timeout: STALL_TIMEOUT,
            retry: RetryPolicy::default(),
            parallel: PARALLEL,
            egress: EgressPolicy::from_lookup(&lookup),
            proxies: Proxies::from_lookup(lookup),
            names: Arc::new(SystemLookup),
        }
    }

    /// Sets the largest file in bytes. Default 5 GiB, or `RUNPOD_MAX_DOWNLOAD_BYTES`.
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Sets the largest download into memory in bytes. Default 64 MiB. The limit for files holds as well, if it is
    /// lower.
    ///
    /// Set it to the largest input that the handler takes.
    pub fn max_in_memory(mut self, bytes: u64) -> Self {
        self.max_in_memory = bytes;
        self
    }

    /// Sets the time for one download, with all its tries. Default 10 minutes, or `RUNPOD_WORKER_DOWNLOAD_TIMEOUT`.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }

    /// Sets how long a server may be silent before its answer or within it. Default 30 s.
    ///
    /// Set it where servers make a file only when it is asked for.
    pub fn stall_timeout(mut self, limit: Duration) -> Self {
        self.stall_timeout = limit;
        self
    }

    /// Sets how many URLs of a list are fetched at once. Default 4; zero counts as 1.
    ///
    /// Raise it for many small files, lower it where memory is short: each download into memory may take
    /// [`max_in_memory`](Self::max_in_memory).
    pub fn parallel(mut self, downloads: usize) -> Self {
        self.parallel = NonZeroUsize::new(downloads).unwrap_or(NonZeroUsize::MIN);
        self
    }

    /// Sets whether URLs may lead to any address, and through proxies. Default off, or
    /// `RUNPOD_ALLOW_PRIVATE_DOWNLOAD_URLS`.
    ///
    /// Allow it only where all callers of the endpoint may also reach everything that this machine can reach.
    pub fn allow_private_addresses(mut self, allow: bool) -> Self {
        self.egress = if allow {
            EgressPolicy::Any
        } else {
            EgressPolicy::PublicOnly
        };
        self
    }

    /// Sets a test's names and policy. Tries follow each other without pauses.
    #[cfg(test)]
    pub(super) fn inside(mut self, names: Arc<dyn NameLookup>, egress: EgressPolicy) -> Self {
        (self.names, self.egress) = (names, egress);
        self.retry.first_pause = Duration::from_millis(1);
        self
    }

    /// Sets the number of tries, for tests.
    #[cfg(test)]
    pub(super) fn attempts(mut self, attempts: u32) -> Self {
        self.retry.attempts = attempts;
        self
    }

    /// Makes the downloader.
    ///
    /// # Errors
    ///
    /// No HTTP client can be made: see [`Downloader::from_env`].
    pub fn build(self) -> Result<Downloader, DownloadError> {
        runpod_worker::job::keep_code_of::<DownloadError>();
        let client = self
            .client()
            .map_err(|error| DownloadError::NoClient(Box::new(error)))?;
        let fetcher = Fetcher {
            client,
            rules: UrlRules {
                egress: self.egress,
                proxies: self.proxies,
            },
            retry: self.retry,
            timeout: self.timeout,
            stall_timeout: self.stall_timeout,
        };
        Ok(Downloader {
            fetcher: Arc::new(fetcher),
            max_bytes: self.max_bytes,
            max_in_memory: self.max_in_memory.min(self.max_bytes),
            parallel: self.parallel,
        })
    }

    fn client(&self) -> Result<reqwest::Client, NoClient> {
        let mut client = http_client::builder()
            .no_proxy()
            .read_timeout(self.stall_timeout)
            .dns_resolver(Arc::new(CheckedResolver {
                names: self.names.clone(),
                policy: self.egress.clone(),
            }));
        if self.egress == EgressPolicy::Any {
            for proxy in self.proxies.for_client()? {
                client = client.proxy(proxy);
            }
        }
        Ok(client.build()?)
    }
}

/// `RUNPOD_MAX_DOWNLOAD_BYTES`. As in Python, one that cannot be read leaves the default.
fn max_bytes(lookup: impl Fn(&str) -> Option<String>) -> u64 {
    const NAME: &str = "RUNPOD_MAX_DOWNLOAD_BYTES";
    let Some(text) = variable::unless_blank(lookup(NAME)) else {
        return MAX_BYTES;
    };
    let text = text.trim();
    text.parse().ok().filter(|bytes| *bytes > 0).unwrap_or_else(|| {
        warn!("{NAME}={text} is not a number of bytes from 1; using {MAX_BYTES}");
        MAX_BYTES
    })
}

/// `RUNPOD_WORKER_DOWNLOAD_TIMEOUT`. One that cannot be read leaves the default.
fn timeout(lookup: impl Fn(&str) -> Option<String>) -> Duration {
    let (environment, problems) = Environment::read(lookup);
    for problem in problems {
        if problem.variable == "RUNPOD_WORKER_DOWNLOAD_TIMEOUT" {
            warn!("{problem}; using the default");
        }
    }
    environment.download_timeout.unwrap_or(TIMEOUT)
}

impl fmt::Debug for DownloaderBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DownloaderBuilder")
            .field("max_bytes", &self.max_bytes)
            .field("egress", &self.egress)
            .field("proxies", &self.proxies)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built(pairs: &[(&str, &str)]) -> DownloaderBuilder {
        DownloaderBuilder::from_lookup(|name| {
            let found = pairs.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn a_bad_limit_leaves_the_default() {
        for (text, expected) in [
            ("1048576", 1 << 20),
            (" 7 ", 7),
            ("0", MAX_BYTES),
            ("-1", MAX_BYTES),
            ("5GB", MAX_BYTES),
            ("", MAX_BYTES),
        ] {
            assert_eq!(
                built(&[("RUNPOD_MAX_DOWNLOAD_BYTES", text)]).max_bytes,
                expected,
                "{text}"
            );
        }
        assert_eq!(built(&[]).max_bytes, 5 * 1024 * 1024 * 1024);
        let timeout = built(&[("RUNPOD_WORKER_DOWNLOAD_TIMEOUT", "soon")]).timeout;
        assert_eq!(timeout, Duration::from_mins(10));
    }

    #[test]
    fn the_time_for_a_download_has_a_variable() {
        let timeout = |text| built(&[("RUNPOD_WORKER_DOWNLOAD_TIMEOUT", text)]).timeout;
        assert_eq!(timeout("1m"), Duration::from_mins(1));
        assert_eq!(timeout(" 90s "), Duration::from_secs(90));
        assert_eq!(timeout(""), Duration::from_mins(10));
    }
}
