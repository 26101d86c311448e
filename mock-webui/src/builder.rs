//! Starting a mock: options, and the handle to the running server.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use wiremock::MockServer;

use crate::catalogue::Model;
use crate::gate::{self, Door, Relay};
use crate::gpu::{Clock, SimGpu};
use crate::profile::Profile;
use crate::server::{Server, Setup};
use crate::stubs;
use crate::ticket::Desk;

/// A running imitation of the WebUI. It stops when dropped, and wiremock then checks the expectations of
/// the stubs that the test has mounted.
#[derive(Debug)]
pub struct MockWebUi {
    url: String,
    address: SocketAddr,
    gpu: SimGpu,
    gate: JoinHandle<()>,
    inner: MockServer,
}

impl MockWebUi {
    /// Starts a server with the defaults: version 1.10.1, instant renders, a free loopback port.
    ///
    /// # Panics
    ///
    /// When the loopback interface has no free port.
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// Options for a server.
    pub fn builder() -> MockWebUiBuilder {
        MockWebUiBuilder::default()
    }

    /// The base URL, prefix included, without a slash at its end: `http://127.0.0.1:43210/webui`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The address that the server listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The wiremock server that decides what is answered.
    ///
    /// Mount stubs with a priority under 5 to answer in place of the mock. They see paths without the
    /// prefix, and are answered without the headers that the WebUI adds.
    ///
    /// ```
    /// # use mock_webui::MockWebUi;
    /// use wiremock::matchers::path;
    /// use wiremock::{Mock, ResponseTemplate};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let webui = MockWebUi::start().await;
    /// Mock::given(path("/sdapi/v1/sd-models"))
    ///     .respond_with(ResponseTemplate::new(503))
    ///     .up_to_n_times(2)
    ///     .with_priority(1)
    ///     .expect(2)
    ///     .mount(webui.stubs())
    ///     .await;
    /// let url = format!("{}/sdapi/v1/sd-models", webui.url());
    /// assert_eq!(reqwest::get(&url).await?.status(), 503);
    /// assert_eq!(reqwest::get(&url).await?.status(), 503);
    /// assert_eq!(reqwest::get(&url).await?.status(), 200);
    /// # Ok(()) }
    /// ```
    pub fn stubs(&self) -> &MockServer {
        &self.inner
    }

    /// The simulated GPU.
    pub fn gpu(&self) -> &SimGpu {
        &self.gpu
    }
}

impl Drop for MockWebUi {
    fn drop(&mut self) {
        self.gate.abort();
    }
}

/// Options for a [`MockWebUi`]. Each setter says its default.
#[derive(Debug)]
#[must_use = "a builder does nothing until it is started"]
pub struct MockWebUiBuilder {
    profile: Profile,
    clock: Clock,
    models: Vec<Model>,
    credentials: Vec<(String, String)>,
    prefix: String,
    root: String,
    settings_file: bool,
    seed: Option<u64>,
    recording: bool,
    keep_alive: Duration,
    address: SocketAddr,
}

impl Default for MockWebUiBuilder {
    fn default() -> Self {
        Self {
            profile: Profile::default(),
            clock: Clock::Real { step: Duration::ZERO },
            models: vec![Model::default()],
            credentials: Vec::new(),
            prefix: String::new(),
            root: "/stable-diffusion-webui".to_owned(),
            settings_file: false,
            seed: None,
            recording: true,
            keep_alive: Duration::from_secs(30),
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        }
    }
}

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}; choose another port, or 0 for a free one")]
#[non_exhaustive]
pub struct StartError {
    address: SocketAddr,
    source: io::Error,
}

impl MockWebUiBuilder {
    /// The version to imitate. Default: [`Profile::V1_10_1`].
    pub fn profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    /// How long one sampling step lasts. Default: [`Duration::ZERO`], as fast as the machine goes.
    pub fn step_time(mut self, step: Duration) -> Self {
        self.clock = Clock::Real { step };
        self
    }

    /// Renders move only by [`SimGpu::advance`]. An interrupt or skip takes effect at once.
    pub fn manual_clock(mut self) -> Self {
        self.clock = Clock::Manual;
        self
    }

    /// The checkpoints on the imitated disk; the first is loaded. Default: one, `v1-5-pruned-emaonly`.
    /// With none, the server starts and generations fail (`docs/protocol/webui-api.md` §1).
    pub fn models(mut self, models: impl IntoIterator<Item = Model>) -> Self {
        self.models = models.into_iter().collect();
        self
    }

    /// Asks for these credentials, as `--api-auth` does. May be given several times. Default: none.
    pub fn credentials(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.credentials.push((user.into(), password.into()));
        self
    }

    /// Serves under a path, as `--subpath` behind a reverse proxy does. Default: none.
    pub fn prefix(mut self, prefix: &str) -> Self {
        let trimmed = prefix.trim_matches('/');
        self.prefix = if trimmed.is_empty() {
            String::new()
        } else {
            format!("/{trimmed}")
        };
        self
    }

    /// Where the imitated program is installed, as answers show it. Default: `/stable-diffusion-webui`.
    pub fn root(mut self, directory: impl Into<String>) -> Self {
        self.root = directory.into();
        self
    }

    /// Whether the server has a complete settings file. Default: false, as on a fresh image, where an
    /// override of one request stays for all later ones (`docs/protocol/webui-api.md` §9).
    pub fn settings_file(mut self, exists: bool) -> Self {
        self.settings_file = exists;
        self
    }

    /// Makes "random" seeds repeatable. Default: different ones at every start.
    pub fn random_from(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Whether wiremock remembers every request. Default: true. Turn it off in a long-lived process.
    pub fn recording(mut self, on: bool) -> Self {
        self.recording = on;
        self
    }

    /// How long an idle connection stays open. Default: 30 s, as `--timeout-keep-alive`.
    pub fn keep_alive(mut self, limit: Duration) -> Self {
        self.keep_alive = limit;
        self
    }

    /// The address to listen on. Default: a free port on 127.0.0.1.
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.address = address;
        self
    }

    /// Takes over the address of a listener that is bound already.
    ///
    /// # Panics
    ///
    /// When the listener has no address, which the operating system does not let happen.
    pub fn listener(self, listener: TcpListener) -> Self {
        let address = listener.local_addr().expect("a bound listener has an address");
        // The gate opens the port itself, because a start-up phase may have to refuse connections first.
        drop(listener);
        self.listen(address)
    }

    /// Starts the server and waits until it can be called.
    ///
    /// # Panics
    ///
    /// When the address cannot be listened on. [`try_start`](Self::try_start) returns the error instead.
    pub async fn start(self) -> MockWebUi {
        match self.try_start().await {
            Ok(webui) => webui,
            Err(error) => panic!("{error}"),
        }
    }

    /// Starts the server and waits until it can be called.
    ///
    /// # Errors
    ///
    /// When the address cannot be listened on.
    pub async fn try_start(self) -> Result<MockWebUi, StartError> {
        let refused = |source| StartError {
            address: self.address,
            source,
        };
        let door = Door::reserve(self.address).map_err(refused)?;
        let address = door.address();
        let setup = Setup {
            profile: self.profile,
            models: self.models,
            credentials: self.credentials,
            root: self.root,
            settings_file: self.settings_file,
        };
        let gpu = SimGpu::new(self.clock);
        let server = Server::new(setup, gpu.clone(), self.seed);

        let inner = MockServer::builder();
        let inner = if self.recording {
            inner
        } else {
            inner.disable_request_recording()
        };
        let inner = inner.start().await;
        let desk = Desk::default();
        stubs::mount_all(&inner, &server, &desk).await;

        let relay = Relay::new(*inner.address(), desk, self.prefix.clone(), self.keep_alive);
        let listener = door.open().map_err(refused)?;
        let gate = tokio::spawn(gate::serve(listener, Arc::new(relay)));
        let url = format!("http://{address}{}", self.prefix);
        Ok(MockWebUi {
            url,
            address,
            gpu,
            gate,
            inner,
        })
    }
}
