//! The settings of a client.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use http::HeaderValue;
use reqwest::Url;
use runpod_protocol::variable;
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
    endpoint_id: String,
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
        EndpointClientBuilder::from_lookup(endpoint_id, |name| std::env::var(name).ok()).build()
    }

    /// A client to be set up by hand.
    pub fn builder(endpoint_id: impl Into<String>) -> EndpointClientBuilder {
        EndpointClientBuilder::new(endpoint_id)
    }
}

impl EndpointClientBuilder {
    pub(crate) fn new(endpoint_id: impl Into<String>) -> Self {
        Self {
            endpoint_id: endpoint_id.into(),
            base_url: DEFAULT_BASE_URL.to_owned(),
            api_key: None,
            retry: RetryPolicy::DEFAULT,
            timeouts: Timeouts::default(),
        }
    }

    /// Settings from a lookup of `RUNPOD_API_KEY` and `RUNPOD_ENDPOINT_BASE_URL`. Empty values count as unset.
    pub fn from_lookup(endpoint_id: impl Into<String>, lookup: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name| lookup(name).filter(|value| !value.is_empty());
        let mut builder = Self::new(endpoint_id);
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

    /// How long one long poll asks the platform to wait. Default 60 s; the platform takes 1 to 300 s.
    pub fn poll_wait(mut self, wait: Duration) -> Self {
        self.timeouts.poll = wait;
        self
    }

    /// How often a followed job is asked for its progress. Default 1 s.
    ///
    /// From one second on, these are long polls that end with the job; the platform holds no shorter ones, so a
    /// shorter interval means plain questions.
    pub fn progress_interval(mut self, interval: Duration) -> Self {
        self.timeouts.progress = interval;
        self
    }

    /// Builds the client. Nothing is sent.
    ///
    /// # Errors
    ///
    /// [`ClientError::Config`]: no key, an endpoint id or base URL that cannot be used, or no certificates to check
    /// an `https` server with.
    pub fn build(self) -> Result<EndpointClient, ClientError> {
        let key = self.api_key.ok_or(ConfigError::NoApiKey)?;
        let mut authorization =
            HeaderValue::from_str(&format!("Bearer {}", key.expose_secret())).map_err(ConfigError::ApiKey)?;
        authorization.set_sensitive(true);
        if matches!(self.endpoint_id.as_str(), "" | "." | "..") {
            return Err(ConfigError::NoEndpointId.into());
        }
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
    fn empty_variables_count_as_unset() {
        let builder = EndpointClientBuilder::from_lookup("ep", |_| Some(String::new()));
        assert_eq!(builder.base_url, DEFAULT_BASE_URL);
        assert!(builder.api_key.is_none());
    }
}
