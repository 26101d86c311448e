//! A running mock.

use std::net::SocketAddr;

use tokio::task::JoinHandle;
use wiremock::MockServer;

use super::builder::MockWebUiBuilder;
use crate::faults::Fault;
use crate::gpu::SimGpu;
use crate::phase::Phase;
use crate::server::Server;

/// A running imitation of the WebUI. It stops when dropped, and wiremock then checks the expectations of
/// the stubs that the test has mounted.
#[derive(Debug)]
pub struct MockWebUi {
    pub(crate) url: String,
    pub(crate) address: SocketAddr,
    pub(crate) server: Server,
    pub(crate) tasks: Vec<JoinHandle<()>>,
    pub(crate) inner: MockServer,
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
    /// # let _ = rustls::crypto::ring::default_provider().install_default();
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
        self.server.gpu()
    }

    /// Arms a fault from now on.
    pub fn inject(&self, fault: Fault) {
        self.server.inject(fault);
    }

    /// Takes all faults away. A card that is full stays full, and a held phase stays.
    pub fn clear_faults(&self) {
        self.server.fault_plan().clear();
    }

    /// How far the server has come since its start.
    pub fn phase(&self) -> Phase {
        self.server.process().borrow().phase
    }

    /// Waits until the port is open. Returns at once when it is.
    pub async fn listening(&self) {
        self.server.port_follows(Phase::Ready).await;
    }

    /// Puts the server into a phase and returns once its port is open or closed accordingly. Timed phases
    /// of a start end with this.
    ///
    /// ```
    /// # use mock_webui::{MockWebUi, Phase};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let _ = rustls::crypto::ring::default_provider().install_default();
    /// let webui = MockWebUi::builder().phase(Phase::Refusing).start().await;
    /// let url = format!("{}/sdapi/v1/sd-models", webui.url());
    /// assert!(reqwest::get(&url).await.is_err_and(|error| error.is_connect()));
    /// webui.set_phase(Phase::Ready).await;
    /// assert!(reqwest::get(&url).await?.status().is_success());
    /// # Ok(()) }
    /// ```
    pub async fn set_phase(&self, phase: Phase) {
        self.server.set_phase(phase).await;
    }

    /// Ends the imitated process: renders are lost, connections end, the port closes.
    pub async fn die(&self) {
        self.server.die();
        self.server.port_follows(Phase::Refusing).await;
    }

    /// Waits until the imitated process has died, by [`die`](Self::die), a fault or `server-kill`.
    pub async fn death(&self) {
        self.server.death().await;
    }

    /// Starts a process that has died, or ends and starts a living one. What was only in its memory is
    /// gone: renders, leaks, settings that were not saved.
    pub async fn restart(&self) {
        self.die().await;
        self.set_phase(Phase::Ready).await;
    }
}

impl Drop for MockWebUi {
    fn drop(&mut self) {
        // Renders are tasks of their own, and one on a manual clock would wait for ever.
        self.server.die();
        for task in &self.tasks {
            task.abort();
        }
    }
}
