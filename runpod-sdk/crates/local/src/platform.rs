//! Starting the platform, asking it things from the same process, stopping it.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::serve::ListenerExt as _;
use secrecy::{ExposeSecret, SecretString};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::activity::Activity;
use super::clock::Clock;
use super::endpoint::Endpoint;
use super::http::access::Access;
use super::http::record::{RecordedCall, Recorder};
use super::http::{App, router};
use super::settings::EndpointSettings;
use super::snapshot::EndpointSnapshot;
use super::violation::Violation;
use super::webhook::Courier;

/// The id of the endpoint a platform has when none was named.
const DEFAULT_ENDPOINT: &str = "local";
/// The key workers are given when the platform has none of its own.
const ANY_KEY: &str = "local-key";
/// How long [`LocalPlatform::shutdown`] waits for open connections, in real time.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);

/// A running platform. It stops when it is dropped.
#[derive(Debug)]
pub struct LocalPlatform {
    app: Arc<App>,
    address: SocketAddr,
    closing: CancellationToken,
    server: JoinHandle<io::Result<()>>,
    background: TaskTracker,
}

/// Settings of a [`LocalPlatform`] before it starts.
#[derive(Debug)]
#[must_use]
pub struct LocalPlatformBuilder {
    endpoints: BTreeMap<String, EndpointSettings>,
    address: SocketAddr,
    key: Option<SecretString>,
    strict_auth: bool,
    hosts: Vec<String>,
    clock: Clock,
    recording: bool,
}

/// Why a platform did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}; choose another port, or port 0 for any free one")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// Other machines could reach the platform and nothing would keep them out.
    #[error(
        "{0} can be reached from other machines, so an API key is required; set one, or listen on 127.0.0.1"
    )]
    KeyRequired(SocketAddr),
    /// An endpoint id has no place in a URL path.
    #[error("endpoint id {0:?} is not usable; use letters, digits, `-`, `_` and `.`")]
    EndpointId(String),
}

impl LocalPlatformBuilder {
    /// Adds an endpoint with default settings. Without any, there is one called `local`.
    pub fn endpoint(self, id: impl Into<String>) -> Self {
        self.endpoint_with(id, EndpointSettings::default())
    }

    /// Adds an endpoint. An id given twice keeps the later settings.
    pub fn endpoint_with(mut self, id: impl Into<String>, settings: EndpointSettings) -> Self {
        self.endpoints.insert(id.into(), settings);
        self
    }

    /// The address to listen on. Default `127.0.0.1:0`: loopback, any free port.
    ///
    /// An address that other machines can reach needs an [`api_key`](Self::api_key).
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.address = address;
        self
    }

    /// The key that clients and workers must send. Without one, any key or none will do.
    pub fn api_key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(SecretString::from(key.into()));
        self
    }

    /// Whether some key must be sent even though none is set. Default no.
    pub fn strict_auth(mut self, on: bool) -> Self {
        self.strict_auth = on;
        self
    }

    /// Another name this machine is called by, such as a container's. Default: only loopback names.
    ///
    /// Requests for other hosts are refused on loopback, because a web page could send them by DNS rebinding.
    pub fn allow_host(mut self, name: impl Into<String>) -> Self {
        self.hosts.push(name.into());
        self
    }

    /// The clock behind every timer. Default [`Clock::real`].
    pub fn clock(mut self, clock: impl Into<Clock>) -> Self {
        self.clock = clock.into();
        self
    }

    /// Whether [`LocalPlatform::recorded_calls`] keeps what is called. Default no.
    pub fn record_calls(mut self, on: bool) -> Self {
        self.recording = on;
        self
    }

    /// Binds the address and begins to serve.
    ///
    /// # Errors
    ///
    /// [`StartError`]: an unusable address or endpoint id, or no key where one is required.
    pub async fn start(mut self) -> Result<LocalPlatform, StartError> {
        if self.endpoints.is_empty() {
            self = self.endpoint(DEFAULT_ENDPOINT);
        }
        if let Some(id) = self.endpoints.keys().find(|id| !is_path_segment(id)) {
            return Err(StartError::EndpointId(id.clone()));
        }
        let loopback = self.address.ip().is_loopback();
        if !loopback && self.key.is_none() {
            return Err(StartError::KeyRequired(self.address));
        }
        let listen_error = |source| StartError::Listen {
            address: self.address,
            source,
        };
        let listener = TcpListener::bind(self.address).await.map_err(listen_error)?;
        let address = listener.local_addr().map_err(listen_error)?;

        let closing = CancellationToken::new();
        let background = TaskTracker::new();
        let mut endpoints = BTreeMap::new();
        for (id, settings) in self.endpoints {
            let (outbox, courier) = Courier::new(self.clock.clone(), &settings.webhook_waits);
            background.spawn(courier.run(closing.clone()));
            let endpoint = Arc::new(Endpoint::new(
                settings,
                self.clock.clone(),
                closing.clone(),
                outbox,
            ));
            let timekeeper = Arc::clone(&endpoint);
            background.spawn(async move { timekeeper.keep_time().await });
            endpoints.insert(id, endpoint);
        }
        let access = Access {
            key: self.key,
            strict: self.strict_auth,
            loopback_only: loopback,
            hosts: self.hosts,
        };
        let recorder = self.recording.then(Recorder::default);
        let app = Arc::new(App {
            endpoints,
            access,
            clock: self.clock,
            recorder,
        });
        // Answers are written in several pieces; none of them should wait for the client's acknowledgement.
        let listener = listener.tap_io(|connection| {
            let _ = connection.set_nodelay(true);
        });
        let server = axum::serve(listener, router(Arc::clone(&app)))
            .with_graceful_shutdown(closing.clone().cancelled_owned());
        let server = tokio::spawn(server.into_future());
        Ok(LocalPlatform {
            app,
            address,
            closing,
            server,
            background,
        })
    }
}

fn is_path_segment(id: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !id.is_empty() && id.bytes().all(good) && id.bytes().any(|byte| byte != b'.')
}

impl LocalPlatform {
    /// A platform to be set up and [started](LocalPlatformBuilder::start).
    pub fn builder() -> LocalPlatformBuilder {
        LocalPlatformBuilder {
            endpoints: BTreeMap::new(),
            address: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
            key: None,
            strict_auth: false,
            hosts: Vec::new(),
            clock: Clock::real(),
            recording: false,
        }
    }

    /// Where the platform listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:PORT`. A platform that listens on every address is named by loopback.
    pub fn url(&self) -> String {
        let ip = match self.address.ip() {
            ip if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            ip => ip,
        };
        format!("http://{}", SocketAddr::new(ip, self.address.port()))
    }

    /// The value for `RUNPOD_ENDPOINT_BASE_URL`: the URL with `/v2`, without a slash at the end.
    pub fn client_base_url(&self) -> String {
        format!("{}/v2", self.url())
    }

    /// The variables that point RunPod's Python client, or this crate's, at the platform.
    pub fn client_env(&self) -> Vec<(String, String)> {
        vec![
            ("RUNPOD_ENDPOINT_BASE_URL".to_owned(), self.client_base_url()),
            ("RUNPOD_API_KEY".to_owned(), self.key().to_owned()),
        ]
    }

    /// The key that opens the platform; any will do if it has none.
    pub fn key(&self) -> &str {
        self.app
            .access
            .key
            .as_ref()
            .map_or(ANY_KEY, SecretString::expose_secret)
    }

    /// The variables RunPod would set for a worker of an endpoint (`docs/protocol/worker-protocol.md` §2 and §3).
    ///
    /// The templates have RunPod's shape, the placeholders and the GPU's name in the query included. They are given
    /// for any id: a worker of an endpoint that does not exist is told so by its first take.
    pub fn worker_env(&self, endpoint: &str, worker_id: &str) -> Vec<(String, String)> {
        let base = format!("{}/{endpoint}", self.client_base_url());
        [
            (
                "RUNPOD_WEBHOOK_GET_JOB",
                format!("{base}/job-take/$ID?gpu=Local+GPU"),
            ),
            (
                "RUNPOD_WEBHOOK_POST_OUTPUT",
                format!("{base}/job-done/$RUNPOD_POD_ID/$ID?gpu=Local+GPU"),
            ),
            (
                "RUNPOD_WEBHOOK_POST_STREAM",
                format!("{base}/job-stream/$RUNPOD_POD_ID/$ID?gpu=Local+GPU"),
            ),
            (
                "RUNPOD_WEBHOOK_PING",
                format!("{base}/ping/$RUNPOD_POD_ID?gpu=Local+GPU"),
            ),
            ("RUNPOD_PING_INTERVAL", "10000".to_owned()),
            ("RUNPOD_AI_API_KEY", self.key().to_owned()),
            ("RUNPOD_POD_ID", worker_id.to_owned()),
            ("RUNPOD_ENDPOINT_ID", endpoint.to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }

    /// What workers did against the protocol, on all endpoints, oldest first. The last 1000 per endpoint are kept.
    pub fn violations(&self) -> Vec<Violation> {
        let endpoints = self.app.endpoints.values();
        let mut all: Vec<_> = endpoints
            .flat_map(|endpoint| endpoint.with(|store, _| store.violations()))
            .collect();
        all.sort_by_key(|violation| violation.at);
        all
    }

    /// What an endpoint holds now; `None` for an unknown endpoint.
    pub fn snapshot(&self, endpoint: &str) -> Option<EndpointSnapshot> {
        self.app
            .endpoints
            .get(endpoint)
            .map(|endpoint| endpoint.with(EndpointSnapshot::of))
    }

    /// Every call answered so far, of clients and workers, in the order of their answers.
    ///
    /// Empty unless [`record_calls`](LocalPlatformBuilder::record_calls) was on. The last 10 000 calls are kept, fewer
    /// if their bodies exceed 256 MiB.
    pub fn recorded_calls(&self) -> Vec<RecordedCall> {
        self.app
            .recorder
            .as_ref()
            .map(Recorder::calls)
            .unwrap_or_default()
    }

    /// Returns once what an endpoint is busy with is as `wanted`; `None`, at once, for an unknown endpoint.
    ///
    /// With a manual clock a test waits here, say for a poll to be held, before it advances the time.
    pub async fn until(&self, endpoint: &str, wanted: impl FnMut(&Activity) -> bool) -> Option<Activity> {
        let endpoint = self.app.endpoints.get(endpoint)?;
        Some(endpoint.activities.until(wanted).await)
    }

    /// Ends held requests, closes the address and waits for open connections, at most 5 s.
    pub async fn shutdown(mut self) {
        self.closing.cancel();
        self.background.close();
        let ended = async {
            let _ = (&mut self.server).await;
            self.background.wait().await;
        };
        if tokio::time::timeout(SHUTDOWN_GRACE, ended).await.is_err() {
            self.server.abort();
        }
    }
}

impl Drop for LocalPlatform {
    fn drop(&mut self) {
        self.closing.cancel();
    }
}
