//! The settings of a client.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use http::HeaderValue;
use reqwest::Url;
use runpod_protocol::{query, route, variable};
use secrecy::{ExposeSecret, SecretString};

use crate::endpoint_client::EndpointClient;
use crate::error::{ClientError, ConfigError};
use crate::retry::RetryPolicy;
use crate::transport::{Timeouts, Transport};

/// Where RunPod's endpoints are (§1).
pub const DEFAULT_BASE_URL: &str = "https://api.runpod.ai/v2";

/// Settings of an [`EndpointClient`].
#[derive(Clone, Debug)]
#[must_use]
pub struct EndpointClientBuilder {
    /// `None` for a server that has no ids.
    endpoint_id: Option<String>,
    base_url: String,
    api_key: Option<SecretString>,
    retry: RetryPolicy,
    timeouts: Timeouts,
}

impl EndpointClient {
    /// A client set up by `RUNPOD_API_KEY` and, if it is set, `RUNPOD_ENDPOINT_BASE_URL`.
    ///
    /// # Errors
    ///
    /// [`ClientError::Config`] if a variable is missing or unusable.
    pub fn from_env(endpoint_id: impl Into<String>) -> Result<Self, ClientError> {
        EndpointClientBuilder::from_lookup(endpoint_id, variable::from_environment).build()
    }

    /// A client to be set up by hand.
    pub fn builder(endpoint_id: impl Into<String>) -> EndpointClientBuilder {
        EndpointClientBuilder::new(Some(endpoint_id.into()))
    }

    /// A client of a server with one endpoint and no ids: its operations stand directly under `url`.
    ///
    /// A worker that was started with `--rp_serve_api` is such a server. It needs no API key unless it was given one.
    ///
    /// ```
    /// use runpod_sdk::client::EndpointClient;
    ///
    /// let client = EndpointClient::at("http://127.0.0.1:8000").build()?;
    /// # Ok::<_, runpod_sdk::client::ClientError>(())
    /// ```
    pub fn at(url: impl Into<String>) -> EndpointClientBuilder {
        EndpointClientBuilder::new(None).base_url(url)
    }
}

impl EndpointClientBuilder {
    pub(crate) fn new(endpoint_id: Option<String>) -> Self {
        Self {
            endpoint_id,
            base_url: DEFAULT_BASE_URL.to_owned(),
            api_key: None,
            retry: RetryPolicy::DEFAULT,
            timeouts: Timeouts::default(),
        }
    }

    /// Settings from a lookup of `RUNPOD_API_KEY` and `RUNPOD_ENDPOINT_BASE_URL`. Empty values count as unset.
    pub fn from_lookup(endpoint_id: impl Into<String>, lookup: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name| variable::unless_blank(lookup(name));
        let mut builder = Self::new(Some(endpoint_id.into()));
        builder.api_key = set(variable::CLIENT_KEY).map(SecretString::from);
        if let Some(url) = set(variable::CLIENT_BASE_URL) {
            builder.base_url = url;
        }
        builder
    }

    /// The URL before the endpoint id. Default [`DEFAULT_BASE_URL`]; slashes at the end do not matter.
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = url.into();
        self
    }

    /// The API key, sent as `Authorization: Bearer …`. It is never shown or logged.
    pub fn api_key(mut self, key: impl Into<String>) -> Self {
        self.api_key = Some(SecretString::from(key.into()));
        self
    }

    /// When requests are repeated. Default [`RetryPolicy::DEFAULT`].
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// How long a request that is not held open may take. Default 60 s.
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.request = timeout;
        self
    }

    /// How long one long poll asks the platform to wait. Default 60 s. A time outside of 1 s to 300 s, which the platform
    /// refuses, counts as the nearer of the two.
    pub fn poll_wait(mut self, wait: Duration) -> Self {
        self.timeouts.poll = wait.clamp(query::SHORTEST_WAIT, query::LONGEST_WAIT);
        self
    }

    /// How often a followed job is asked for its progress. Default 1 s.
    ///
    /// From one second on, these are long polls that end with the job; the platform holds no shorter ones, so a
    /// shorter interval means plain questions. It holds none for more than 300 s, which is the longest interval.
    pub fn progress_interval(mut self, interval: Duration) -> Self {
        self.timeouts.progress = interval.min(query::LONGEST_WAIT);
        self
    }

    /// Builds the client. Nothing is sent.
    ///
    /// # Errors
    ///
    /// [`ClientError::Config`]: no key, an endpoint id or base URL that cannot be used, or no certificates to check
    /// an `https` server with.
    pub fn build(self) -> Result<EndpointClient, ClientError> {
        if let Some(id) = &self.endpoint_id {
            check_endpoint_id(id)?;
        }
        let authorization = match &self.api_key {
            Some(key) => Some(authorization(key)?),
            None if self.endpoint_id.is_none() => None,
            None => return Err(ConfigError::NoApiKey.into()),
        };
        let base = match Url::parse(self.base_url.trim_end_matches('/')) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.query().is_none() => url,
            _ => return Err(ConfigError::BaseUrl(self.base_url).into()),
        };
        let http = http_client(&base).map_err(|problem| ConfigError::HttpClient(problem.into()))?;
        Ok(EndpointClient {
            transport: Arc::new(Transport {
                http,
                base,
                endpoint_id: self.endpoint_id,
                authorization,
                retry: self.retry,
                timeouts: self.timeouts,
                without_status_sync: AtomicBool::new(false),
            }),
        })
    }
}

fn authorization(key: &SecretString) -> Result<HeaderValue, ConfigError> {
    let bearer = format!("Bearer {}", key.expose_secret());
    let mut value = HeaderValue::from_str(&bearer).map_err(ConfigError::ApiKey)?;
    value.set_sensitive(true);
    Ok(value)
}

/// An id is a segment of a path: letters, digits, `-`, `_` and `.`.
fn check_endpoint_id(id: &str) -> Result<(), ConfigError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    match id {
        "" | "." | ".." => Err(ConfigError::NoEndpointId),
        id if id.bytes().all(plain) => Ok(()),
        _ => Err(ConfigError::EndpointId {
            given: id.to_owned(),
            alone: id_in(id).filter(|id| id.bytes().all(plain)).map(str::to_owned),
        }),
    }
}

/// The id in the URL or path of an endpoint or of one of its operations; `None` if there is none.
fn id_in(text: &str) -> Option<&str> {
    let text = text.trim();
    let path = text.split_once("://").map_or(text, |(_, rest)| rest);
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let is_url = path.len() < text.len() && text.contains("://");
    let mut segments = path
        .split('/')
        .filter(|segment| !segment.is_empty())
        .skip(usize::from(is_url));
    let id = match path.split_once(&format!("{}/", route::VERSION)) {
        Some((_, after)) => after.split('/').next(),
        None => segments.next(),
    };
    id.filter(|id| !id.is_empty())
}

fn http_client(base: &Url) -> Result<reqwest::Client, reqwest::Error> {
    runpod_protocol::tls::install_provider();
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("runpod-sdk-rust/", env!("CARGO_PKG_VERSION")))
        // A success is exactly 200 (§1), and the key goes to no other server.
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(Duration::from_secs(10))
        // Shorter than servers keep idle connections: a submission on a dying one could not be sent again.
        .pool_idle_timeout(Duration::from_secs(20));
    if base.scheme() == "http" {
        // No certificates to load, which takes longer than the rest of the start.
        builder = builder.tls_certs_only([]);
    }
    if is_loopback(base) {
        builder = builder.no_proxy();
    }
    builder.build()
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || address
            .parse()
            .is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn builder() -> EndpointClientBuilder {
        EndpointClient::builder("ep")
            .api_key("secret-key")
            .base_url("http://127.0.0.1:1/v2")
    }

    #[test]
    fn the_key_is_not_in_any_debug_output() {
        let builder = builder();
        let client = builder.clone().build().unwrap();
        let shown = format!("{builder:?} {client:?} {:?}", client.handle("j"));
        assert!(!shown.contains("secret-key"), "{shown}");
    }

    #[test]
    fn unusable_settings_are_named() {
        let refused = |builder: EndpointClientBuilder| builder.build().unwrap_err().to_string();
        assert!(refused(EndpointClient::builder("ep")).contains("RUNPOD_API_KEY"));
        assert!(refused(builder().base_url("api.runpod.ai/v2")).contains("api.runpod.ai/v2"));
        assert!(refused(builder().base_url("ftp://x/v2")).contains("ftp://x/v2"));
        assert!(refused(EndpointClient::builder("").api_key("k")).contains("endpoint id"));
        assert!(refused(builder().api_key("a\nb")).contains("RUNPOD_API_KEY"));
    }

    #[test]
    fn an_endpoint_id_is_given_alone() {
        for (given, alone) in [
            ("https://api.runpod.ai/v2/abc123/run", Some("abc123")),
            ("https://api.runpod.ai/v2/abc123", Some("abc123")),
            ("https://abc123.api.runpod.ai/", None),
            ("http://127.0.0.1:8000/abc123/runsync?wait=1", Some("abc123")),
            ("v2/abc123", Some("abc123")),
            ("abc123/run", Some("abc123")),
            ("abc123/", Some("abc123")),
            ("/abc123", Some("abc123")),
            (" abc123\n", Some("abc123")),
            ("/", None),
            ("a b", None),
            ("abc123?x", Some("abc123")),
        ] {
            let error = EndpointClient::builder(given)
                .api_key("k")
                .build()
                .unwrap_err()
                .to_string();
            assert!(error.contains("give the id alone"), "{given}: {error}");
            match alone {
                Some(id) => assert!(error.ends_with(&format!(": `{id}`")), "{given}: {error}"),
                None => assert!(error.ends_with("alone"), "{given}: {error}"),
            }
        }
        for id in ["abc123", "my-endpoint_2.x"] {
            EndpointClient::builder(id).api_key("k").build().unwrap();
        }
    }

    #[test]
    fn waits_are_brought_into_the_range_that_the_platform_takes() {
        let timeouts = |wait| builder().poll_wait(wait).progress_interval(wait).timeouts;
        let (short, long) = (
            timeouts(Duration::from_millis(29)),
            timeouts(Duration::from_hours(1)),
        );
        assert_eq!(
            (short.poll, short.progress),
            (Duration::from_secs(1), Duration::from_millis(29))
        );
        assert_eq!(
            (long.poll, long.progress),
            (Duration::from_mins(5), Duration::from_mins(5))
        );
    }

    #[test]
    fn blank_variables_count_as_unset() {
        for blank in ["", " \n"] {
            let builder = EndpointClientBuilder::from_lookup("ep", |_| Some(blank.to_owned()));
            assert_eq!(builder.base_url, DEFAULT_BASE_URL);
            assert!(builder.api_key.is_none());
        }
    }
}
