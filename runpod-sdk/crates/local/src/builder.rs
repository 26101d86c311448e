//! The settings of a platform, and its start.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use runpod_protocol::variable;
use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::endpoint::Endpoint;
use crate::http::access::Access;
use crate::http::record::Recorder;
use crate::http::{PlatformState, router};
use crate::observed::{Observed, Observer};
use crate::platform::LocalPlatform;
use crate::server;
use crate::settings::EndpointSettings;
use crate::webhook::WebhookSender;

/// The id of the endpoint of a platform for which none was named.
const DEFAULT_ENDPOINT: &str = "local";

/// Settings of a [`LocalPlatform`] before it starts.
#[derive(Debug)]
#[must_use]
pub struct LocalPlatformBuilder {
    endpoints: BTreeMap<String, EndpointSettings>,
    address: SocketAddr,
    key: Option<SecretString>,
    hosts: Vec<String>,
    clock: Clock,
    recording: bool,
    observer: Option<Observer>,
    pages: Option<Router>,
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

impl LocalPlatform {
    /// A platform to be set up and [started](LocalPlatformBuilder::start).
    pub fn builder() -> LocalPlatformBuilder {
        LocalPlatformBuilder {
            endpoints: BTreeMap::new(),
            address: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
            key: None,
            hosts: Vec::new(),
            clock: Clock::real(),
            recording: false,
            observer: None,
            pages: None,
        }
    }
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

    /// The key that clients and workers must send. Without one, the platform takes any key and requests without a key.
    /// A blank key is none.
    pub fn api_key(mut self, key: impl Into<String>) -> Self {
        self.key = variable::unless_blank(Some(key.into())).map(SecretString::from);
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

    /// Calls `observer` with the endpoint's id and everything that happens on it, in order.
    ///
    /// It is called under the endpoint's lock: it must neither wait nor call the platform, and is best a channel that
    /// another task reads.
    pub fn observe(mut self, observer: impl Fn(&str, Observed) + Send + Sync + 'static) -> Self {
        self.observer = Some(Observer::new(observer));
        self
    }

    /// Pages of a program's own at the platform's address: `/`, and what is below `/console/`. Default: an overview at `/`.
    ///
    /// Like every request, those for pages are refused for foreign hosts and sites. The API key, if there is one, is
    /// asked for below `/console/api/` alone: a browser has none when it loads a page.
    pub fn pages(mut self, pages: Router) -> Self {
        self.pages = Some(pages);
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
        self.check()?;
        let listen_error = |source| StartError::Listen {
            address: self.address,
            source,
        };
        let listener = TcpListener::bind(self.address).await.map_err(listen_error)?;
        let address = listener.local_addr().map_err(listen_error)?;

        let (closing, background) = (CancellationToken::new(), TaskTracker::new());
        let state = Arc::new(self.into_state(&closing, &background));
        let server = server::serve(
            listener,
            router(Arc::clone(&state)),
            closing.clone(),
            server::HEAD_LIMIT,
        );
        Ok(LocalPlatform {
            state,
            address,
            closing,
            server: tokio::spawn(server),
            background,
        })
    }

    fn check(&self) -> Result<(), StartError> {
        if let Some(id) = self.endpoints.keys().find(|id| !is_path_segment(id)) {
            return Err(StartError::EndpointId(id.clone()));
        }
        if !self.address.ip().is_loopback() && self.key.is_none() {
            return Err(StartError::KeyRequired(self.address));
        }
        Ok(())
    }

    /// Makes the endpoints and starts their timekeepers and webhook senders.
    fn into_state(self, closing: &CancellationToken, background: &TaskTracker) -> PlatformState {
        let clock = self.clock;
        let observer = self.observer;
        let endpoint = |id: &str, settings| {
            let (webhooks, sender) = WebhookSender::new(clock.clone());
            background.spawn(sender.run(closing.clone()));
            let observer = observer.clone().map(|observer| (id.to_owned(), observer));
            let (clock, closing) = (clock.clone(), closing.clone());
            let endpoint = Arc::new(Endpoint::new(settings, clock, closing, webhooks, observer));
            let timekeeper = Arc::clone(&endpoint);
            background.spawn(async move { timekeeper.keep_time().await });
            endpoint
        };
        PlatformState {
            endpoints: self
                .endpoints
                .into_iter()
                .map(|(id, settings)| {
                    let endpoint = endpoint(&id, settings);
                    (id, endpoint)
                })
                .collect(),
            access: Access {
                key: self.key,
                loopback_only: self.address.ip().is_loopback(),
                hosts: self.hosts,
            },
            pages: self.pages,
            recorder: self.recording.then(Recorder::default),
            clock,
        }
    }
}

fn is_path_segment(id: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !id.is_empty() && id.bytes().all(good) && id.bytes().any(|byte| byte != b'.')
}
