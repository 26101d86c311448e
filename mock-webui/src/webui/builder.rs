//! Starting a mock: its options.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use wiremock::MockServer;

use super::running::MockWebUi;
use crate::catalogue::{Installed, Lora, Model, Style};
use crate::deferred::DeferredAnswers;
use crate::faults::{Fault, FaultPlan, Scenario};
use crate::gate::{self, Relay, ReservedPort};
use crate::gpu::{Clock, SimGpu};
use crate::phase::{Phase, Startup};
use crate::profile::Profile;
use crate::server::{Server, Setup};
use crate::stubs;

/// Options for a [`MockWebUi`]. Each setter says its default.
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until it is started"]
pub struct MockWebUiBuilder {
    setup: Setup,
    clock: Clock,
    batch_costs: Vec<f64>,
    faults: Vec<Fault>,
    phase: Option<Phase>,
    prefix: String,
    recording: bool,
    keep_alive: Duration,
    address: SocketAddr,
}

impl Default for MockWebUiBuilder {
    fn default() -> Self {
        Self {
            setup: Setup {
                profile: Profile::default(),
                installed: Installed::default(),
                credentials: Vec::new(),
                root: "/stable-diffusion-webui".to_owned(),
                settings_file: false,
                frozen_settings: false,
                web_page: false,
                stop_routes: false,
                repeatable_img2img: false,
                error_log: false,
                controlnet_maps: false,
                batch_extension: None,
                startup: Startup::default(),
                seed: None,
                threads: None,
                save_to: None,
            },
            clock: Clock::Real { step: Duration::ZERO },
            batch_costs: Vec::new(),
            faults: Vec::new(),
            phase: None,
            prefix: String::new(),
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
        self.setup.profile = profile;
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
        self.setup.installed.models = models.into_iter().collect();
        self
    }

    /// File names of VAE weights. Default: none.
    pub fn vaes(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.setup.installed.vaes = names.into_iter().map(Into::into).collect();
        self
    }

    /// `LoRA` files. Default: none. A prompt that names another is rendered without it, as in the original.
    pub fn loras(mut self, loras: impl IntoIterator<Item = Lora>) -> Self {
        self.setup.installed.loras = loras.into_iter().collect();
        self
    }

    /// Saved styles. Default: none.
    pub fn styles(mut self, styles: impl IntoIterator<Item = Style>) -> Self {
        self.setup.installed.styles = styles.into_iter().collect();
        self
    }

    /// Names of textual inversion embeddings. Default: none.
    pub fn embeddings(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.setup.installed.embeddings = names.into_iter().map(Into::into).collect();
        self
    }

    /// Names of textual inversions that are there and not loaded, because they were made for another kind of model.
    /// Default: none.
    pub fn skipped_embeddings(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.setup.installed.skipped_embeddings = names.into_iter().map(Into::into).collect();
        self
    }

    /// Names of hypernetworks. Default: none.
    pub fn hypernetworks(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.setup.installed.hypernetworks = names.into_iter().map(Into::into).collect();
        self
    }

    /// Names of ControlNet models. With at least one, the extension counts as installed: its routes and its
    /// always-on script exist. Default: none.
    pub fn controlnet_models(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.setup.installed.controlnets = names.into_iter().map(Into::into).collect();
        self
    }

    /// Asks for these credentials, as `--api-auth` does. May be given several times. Default: none.
    pub fn credentials(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.setup.credentials.push((user.into(), password.into()));
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
        self.setup.root = directory.into();
        self
    }

    /// Whether the server has a complete settings file. Default: false, as on a fresh image, where an
    /// override of one request stays for all later ones (`docs/protocol/webui-api.md` §9).
    pub fn settings_file(mut self, exists: bool) -> Self {
        self.setup.settings_file = exists;
        self
    }

    /// Refuses changes of settings, as `--freeze-settings` does. Default: false.
    pub fn frozen_settings(mut self, frozen: bool) -> Self {
        self.setup.frozen_settings = frozen;
        self
    }

    /// Serves the web page as well, as without `--nowebui`: `/`, `/internal/…`, and a start-up phase in which
    /// the API's routes are missing. Default: false.
    pub fn web_page(mut self, served: bool) -> Self {
        self.setup.web_page = served;
        self
    }

    /// Has the routes `server-kill`, `server-restart` and `server-stop`, as with `--api-server-stop`.
    /// Default: false.
    pub fn stop_routes(mut self, exist: bool) -> Self {
        self.setup.stop_routes = exist;
        self
    }

    /// Writes each unexpected exception to standard error, with a traceback, as the real servers do. Default: false; the
    /// program does it.
    pub fn error_log(mut self, written: bool) -> Self {
        self.setup.error_log = written;
        self
    }

    /// Renders the same picture for the same img2img request. The real server does not: its VAE's encoder draws noise
    /// without a seed. Default: false.
    pub fn repeatable_img2img(mut self, repeatable: bool) -> Self {
        self.setup.repeatable_img2img = repeatable;
        self
    }

    /// Answers with the maps of ControlNet's units behind the pictures, as the real extension does unless its settings
    /// say otherwise. Default: false.
    pub fn controlnet_maps(mut self, shown: bool) -> Self {
        self.setup.controlnet_maps = shown;
        self
    }

    /// Has sd-worker's extension, which renders pictures of different jobs in one batch, in this version. Default: it is
    /// not installed.
    pub fn batch_extension(mut self, version: u32) -> Self {
        self.setup.batch_extension = Some(version);
        self
    }

    /// How long a step of a batch of 1, 2, 4, 8 … pictures takes, by that of one picture. Between two of these sizes, and
    /// beyond the last, the time grows by the straight line. Default: a batch takes as long as one picture. For a real
    /// clock only. Measured on an H200, 512×512: 1, 1.1, 1.58, 2.9.
    pub fn batch_costs(mut self, costs: impl IntoIterator<Item = f64>) -> Self {
        self.batch_costs = costs.into_iter().collect();
        self
    }

    /// Refuses connections for this long after the start. Default: not at all.
    pub fn opens_after(mut self, time: Duration) -> Self {
        self.setup.startup.refusing = time;
        self
    }

    /// In web-page mode: answers 404 on the API's routes for this long once the port is open. Default: not
    /// at all.
    pub fn routes_after(mut self, time: Duration) -> Self {
        self.setup.startup.page_only = time;
        self
    }

    /// Loads the model for this long once the routes are there: lists answer, generations wait. Default: not
    /// at all.
    pub fn model_loads_in(mut self, time: Duration) -> Self {
        self.setup.startup.loading = time;
        self
    }

    /// Starts in this phase and stays there until [`MockWebUi::set_phase`]. Default: the timed phases, then
    /// [`Phase::Ready`].
    pub fn phase(mut self, phase: Phase) -> Self {
        self.phase = Some(phase);
        self
    }

    /// Arms a fault. May be given several times. Default: none.
    pub fn fault(mut self, fault: Fault) -> Self {
        self.faults.push(fault);
        self
    }

    /// Arms the faults of a scenario and takes over its seed.
    pub fn scenario(mut self, scenario: Scenario) -> Self {
        self.faults.extend(scenario.faults);
        self.setup.seed = scenario.seed.or(self.setup.seed);
        self
    }

    /// Makes "random" seeds, and the chances of faults, repeatable. Default: different ones at every start.
    pub fn random_from(mut self, seed: u64) -> Self {
        self.setup.seed = Some(seed);
        self
    }

    /// Works on at most this many requests at once and lets the others wait, progress and interrupt
    /// included. The real server has 40 threads. Default: no limit.
    pub fn worker_threads(mut self, count: usize) -> Self {
        self.setup.threads = Some(count.max(1));
        self
    }

    /// Where a request with `save_images` has its pictures saved: in `txt2img-images/<day>/` and the like, as
    /// by the real server. Default: nowhere; `save_images` changes the answer and writes nothing.
    pub fn save_to(mut self, directory: impl Into<std::path::PathBuf>) -> Self {
        self.setup.save_to = Some(directory.into());
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

    /// Starts the server. Unless it begins by refusing connections, it can be called when this returns.
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

    /// Starts the server. Unless it begins by refusing connections, it can be called when this returns.
    ///
    /// # Errors
    ///
    /// When the address cannot be listened on.
    pub async fn try_start(self) -> Result<MockWebUi, StartError> {
        let refused = |source| StartError {
            address: self.address,
            source,
        };
        let reserved = ReservedPort::reserve(self.address).map_err(refused)?;
        let address = reserved.address();
        let faults = FaultPlan::new(self.faults, self.setup.seed);
        let held = faults.held_phase().or(self.phase);
        let startup = self.setup.startup;
        let first = held.unwrap_or_else(|| startup.first());
        let server = Server::new(
            self.setup,
            SimGpu::new(self.clock, self.batch_costs),
            faults,
            first,
        );

        let inner = MockServer::builder();
        let inner = if self.recording {
            inner
        } else {
            inner.disable_request_recording()
        };
        let inner = inner.start().await;
        let deferred = DeferredAnswers::default();
        stubs::mount_all(&inner, &server, &deferred).await;

        let relay = Relay::new(
            *inner.address(),
            server.clone(),
            deferred,
            self.prefix.clone(),
            self.keep_alive,
        );
        let (listener, reserved) = if first == Phase::Refusing {
            (None, Some(reserved))
        } else {
            server.set_port_open(true);
            (Some(reserved.open().map_err(refused)?), None)
        };
        let mut tasks = vec![tokio::spawn(gate::keep_port(
            listener,
            reserved,
            address,
            Arc::new(relay),
        ))];
        if held.is_none() {
            tasks.push(tokio::spawn(startup.run(server.process().clone())));
        }
        let url = format!("http://{address}{}", self.prefix);
        Ok(MockWebUi {
            url,
            address,
            server,
            tasks,
            inner,
        })
    }

    /// Starts several servers with the same options, each with a card of its own, as one runs a WebUI per
    /// GPU. With a fixed port they take that one and the following.
    ///
    /// # Errors
    ///
    /// When one of the addresses cannot be listened on; the servers started before are stopped.
    pub async fn start_many(self, count: u16) -> Result<Vec<MockWebUi>, StartError> {
        let mut fleet = Vec::new();
        for index in 0..count {
            let mut address = self.address;
            if address.port() != 0 {
                address.set_port(address.port().saturating_add(index));
            }
            fleet.push(self.clone().listen(address).try_start().await?);
        }
        Ok(fleet)
    }
}
