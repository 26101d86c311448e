//! A downloader's options, and the environment variables behind them.

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use tracing::warn;

use super::Downloader;
use super::error::DownloadError;
use super::fetch::Fetcher;
use super::target::Rules;
use crate::storage::reach::{self, CheckedLookup, Lookup, Proxies, Reach, SystemLookup};
use runpod_protocol::http::causes;
use runpod_worker::settings::Variables;

/// The largest file, unless told otherwise: 5 GiB, as in Python.
const MAX_BYTES: u64 = 5 << 30;
const MAX_IN_MEMORY: u64 = 64 << 20;
const USER_AGENT: &str = concat!("runpod-sdk-rust/", env!("CARGO_PKG_VERSION"));

/// Options of a [`Downloader`].
#[must_use = "a builder does nothing until it is built"]
pub struct DownloaderBuilder {
    max_bytes: u64,
    max_in_memory: u64,
    timeout: Duration,
    connect_timeout: Duration,
    stall_timeout: Duration,
    attempts: u32,
    first_pause: Duration,
    parallel: NonZeroUsize,
    reach: Reach,
    proxies: Proxies,
    names: Arc<dyn Lookup>,
}

impl DownloaderBuilder {
    pub(super) fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let get = |name: &str| {
            let value = lookup(name)?;
            let value = value.trim();
            (!value.is_empty()).then(|| value.to_owned())
        };
        let max_bytes = get("RUNPOD_MAX_DOWNLOAD_BYTES").and_then(|text| {
            let bytes = text.parse().ok().filter(|bytes| *bytes > 0);
            if bytes.is_none() {
                warn!("RUNPOD_MAX_DOWNLOAD_BYTES={text} is not a number of bytes from 1; using {MAX_BYTES}");
            }
            bytes
        });
        let mut variables = Variables::new(get);
        let mut time = |name, default| variables.time(name).unwrap_or(default);
        let timeout = time("RUNPOD_WORKER_DOWNLOAD_TIMEOUT", Duration::from_mins(10));
        let connect_timeout = time("RUNPOD_WORKER_DOWNLOAD_CONNECT_TIMEOUT", Duration::from_secs(10));
        let stall_timeout = time("RUNPOD_WORKER_DOWNLOAD_STALL_TIMEOUT", Duration::from_secs(30));
        let max_in_memory = variables.parsed("RUNPOD_WORKER_DOWNLOAD_MEMORY");
        let attempts = variables.parsed("RUNPOD_WORKER_DOWNLOAD_ATTEMPTS");
        let parallel = variables.count("RUNPOD_WORKER_DOWNLOAD_PARALLEL");
        for problem in &variables.problems {
            warn!("{problem}; using the default");
        }
        Self {
            max_bytes: max_bytes.unwrap_or(MAX_BYTES),
            max_in_memory: max_in_memory.unwrap_or(MAX_IN_MEMORY),
            timeout,
            connect_timeout,
            stall_timeout,
            attempts: attempts.map_or(3, NonZeroU32::get),
            first_pause: Duration::from_millis(500),
            parallel: parallel.unwrap_or(NonZeroUsize::MIN.saturating_add(3)),
            reach: reach::from_lookup(&lookup),
            proxies: Proxies::from_lookup(lookup),
            names: Arc::new(SystemLookup),
        }
    }

    /// The largest file in bytes. Default 5 GiB, or `RUNPOD_MAX_DOWNLOAD_BYTES`.
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// The most that one download into memory may hold, in bytes. Default 64 MiB, or
    /// `RUNPOD_WORKER_DOWNLOAD_MEMORY`. The limit for files holds as well, if it is lower.
    pub fn max_in_memory(mut self, bytes: u64) -> Self {
        self.max_in_memory = bytes;
        self
    }

    /// How long one download may take, with all its tries. Default 10 minutes, or
    /// `RUNPOD_WORKER_DOWNLOAD_TIMEOUT`.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }

    /// How long looking a name up and connecting may take. Default 10 s, or
    /// `RUNPOD_WORKER_DOWNLOAD_CONNECT_TIMEOUT`.
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.connect_timeout = limit;
        self
    }

    /// How long a server may be silent before its answer or within it. Default 30 s, or
    /// `RUNPOD_WORKER_DOWNLOAD_STALL_TIMEOUT`.
    pub fn stall_timeout(mut self, limit: Duration) -> Self {
        self.stall_timeout = limit;
        self
    }

    /// How often one download is tried, the first try included. Default 3, or
    /// `RUNPOD_WORKER_DOWNLOAD_ATTEMPTS`; zero counts as 1.
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts.max(1);
        self
    }

    /// How many URLs of a list are fetched at once. Default 4, or `RUNPOD_WORKER_DOWNLOAD_PARALLEL`; zero
    /// counts as 1.
    pub fn parallel(mut self, downloads: usize) -> Self {
        self.parallel = NonZeroUsize::new(downloads).unwrap_or(NonZeroUsize::MIN);
        self
    }

    /// Lets URLs lead to any address, and through proxies. Default off, or
    /// `RUNPOD_ALLOW_PRIVATE_DOWNLOAD_URLS`.
    ///
    /// Only where everybody who may send jobs may also reach everything that this machine can reach.
    pub fn allow_private_addresses(mut self, allow: bool) -> Self {
        self.reach = if allow { Reach::Everything } else { Reach::Public };
        self
    }

    /// Names and reach of a test, which does not wait either.
    #[cfg(test)]
    pub(super) fn inside(mut self, names: Arc<dyn Lookup>, reach: Reach) -> Self {
        (self.names, self.reach) = (names, reach);
        self.first_pause = Duration::from_millis(1);
        self
    }

    /// The downloader.
    ///
    /// # Errors
    ///
    /// No HTTP client can be made: see [`Downloader::from_env`].
    pub fn build(self) -> Result<Downloader, DownloadError> {
        runpod_protocol::tls::install_provider();
        crate::storage::keep_codes();
        let no_client = |error: reqwest::Error| {
            DownloadError::NoClient(format!(
                "{}; if the image has no certificates, install the package ca-certificates",
                causes(&error)
            ))
        };
        let mut client = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .no_proxy()
            .http1_only()
            .connect_timeout(self.connect_timeout)
            .read_timeout(self.stall_timeout)
            .dns_resolver(Arc::new(CheckedLookup {
                names: self.names,
                reach: self.reach.clone(),
            }));
        if self.reach == Reach::Everything {
            for proxy in self.proxies.for_client().map_err(no_client)? {
                client = client.proxy(proxy);
            }
        }
        let fetcher = Fetcher {
            client: client.build().map_err(no_client)?,
            rules: Rules {
                reach: self.reach,
                proxies: self.proxies,
            },
            attempts: self.attempts,
            first_pause: self.first_pause,
            timeout: self.timeout,
            stall: self.stall_timeout,
        };
        Ok(Downloader {
            fetcher: Arc::new(fetcher),
            max_bytes: self.max_bytes,
            max_in_memory: self.max_in_memory.min(self.max_bytes),
            parallel: self.parallel,
        })
    }
}

impl std::fmt::Debug for DownloaderBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DownloaderBuilder")
            .field("max_bytes", &self.max_bytes)
            .field("reach", &self.reach)
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
    fn every_limit_has_its_variable() {
        let builder = built(&[
            ("RUNPOD_WORKER_DOWNLOAD_TIMEOUT", "1m"),
            ("RUNPOD_WORKER_DOWNLOAD_CONNECT_TIMEOUT", "2s"),
            ("RUNPOD_WORKER_DOWNLOAD_STALL_TIMEOUT", "3s"),
            ("RUNPOD_WORKER_DOWNLOAD_MEMORY", "4"),
            ("RUNPOD_WORKER_DOWNLOAD_ATTEMPTS", "5"),
            ("RUNPOD_WORKER_DOWNLOAD_PARALLEL", "6"),
        ]);
        let times = [builder.timeout, builder.connect_timeout, builder.stall_timeout];
        assert_eq!(times, [60, 2, 3].map(Duration::from_secs));
        let numbers = (builder.max_in_memory, builder.attempts, builder.parallel.get());
        assert_eq!(numbers, (4, 5, 6));
    }
}
