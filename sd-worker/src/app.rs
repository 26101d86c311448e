//! The parts that all jobs share, made once at the start.

mod options;

use std::sync::Arc;

use runpod_sdk::settings::{Intake, set_variables};
use tracing::warn;

use crate::batch::{BatchOptions, Batcher};
use crate::cache::Cache;
use crate::checks::Checks;
use crate::compat::Compat;
use crate::monitor::Monitor;
use crate::output::Output;
use crate::render::Renderer;
use crate::request::{Allowed, PictureFetcher};
use crate::settings::{self, Settings, StreamSettings};
use crate::supervisor::{Health, Process, StartError, Starter, Supervisor, WebUiProgram};
use crate::webui::{NoClient, Readiness, WebUi};

pub(crate) use options::{batch_options, client_options};

/// The worker's shared parts. A clone costs a few reference counts.
#[derive(Debug, Clone)]
pub(crate) struct App {
    pub(crate) renderer: Arc<Renderer>,
    pub(crate) health: Health,
    pub(crate) compat: Arc<Compat>,
    /// The client for requests that need no lease of the GPU.
    pub(crate) webui: WebUi,
    pub(crate) allowed: Arc<Allowed>,
    pub(crate) pictures: Option<Arc<PictureFetcher>>,
    pub(crate) checks: Arc<Checks>,
    /// Renders jobs in batches, if that is on and the server can do it.
    pub(crate) batcher: Option<Batcher>,
    /// The response cache, if it is on.
    pub(crate) cache: Option<Arc<Cache>>,
    pub(crate) output: Arc<Output>,
    pub(crate) stream: StreamSettings,
}

/// Why the worker cannot start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AppError {
    #[error(transparent)]
    NoClient(#[from] NoClient),
    #[error(transparent)]
    Start(#[from] StartError),
}

impl App {
    /// Starts the WebUI, if it is the worker's, and returns when it is ready.
    pub(crate) async fn start(
        settings: Settings,
        process: Option<Process>,
        intake: Intake,
        monitor: Monitor,
        batch_options: Option<BatchOptions>,
    ) -> Result<Self, AppError> {
        warn_of_unread_variables();
        let webui = WebUi::new(&client_options(&settings))?;
        let readiness = Readiness::new(webui.clone(), options::readiness_options(&settings));
        let starter = Starter::new(process, readiness, settings.backend.read_ahead.clone());
        if let Err(problem) = starter.start().await {
            starter.log_last_lines();
            return Err(problem.into());
        }
        let supervisor = Supervisor::new(
            webui.clone(),
            starter,
            options::supervisor_options(&settings),
            intake,
        );
        let health = supervisor.health().clone();
        monitor.know(&health);
        let gpu = supervisor.gpu().clone();
        let mut renderer = Renderer::new(
            webui.clone(),
            health.clone(),
            gpu,
            options::render_options(&settings),
        );
        let cache_bound = u64::from(settings.cache.response_cache) << 20;
        let cache =
            (cache_bound > 0).then(|| Cache::new(cache_bound, renderer.count_changes(), monitor.lookups()));
        tokio::spawn(supervisor.run());
        let renderer = Arc::new(renderer);
        let batcher = match batch_options {
            Some(options) => Batcher::start(webui.clone(), renderer.clone(), options).await,
            None => None,
        };
        let compat = Arc::new(Compat::new(webui.clone()));
        let learning = compat.clone();
        // It runs beside the first take, which must not wait for it.
        tokio::spawn(async move { learning.learn().await });
        let requests = &settings.requests;
        let largest = u64::from(requests.url_input_limit) << 20;
        let pictures = (!requests.no_url_inputs).then(|| PictureFetcher::new(largest));
        Ok(Self {
            renderer,
            batcher,
            health,
            compat,
            checks: Arc::new(Checks::new(webui.clone(), requests.checks)),
            pictures: pictures.map(Arc::new),
            cache: cache.map(Arc::new),
            output: Arc::new(Output::new(settings.output)),
            stream: settings.stream,
            allowed: Arc::new(Allowed::new(&requests.allowed_routes, &requests.allowed_settings)),
            webui,
        })
    }
}

/// Logs a warning for each variable of this program that is set and not read.
fn warn_of_unread_variables() {
    for unread in settings::unread(set_variables()) {
        warn!("{unread}");
    }
}

/// The WebUI's process, if the worker starts it.
pub(crate) fn own_process(settings: &Settings) -> Option<Process> {
    let backend = &settings.backend;
    let command = backend.webui_command.clone()?;
    let program = WebUiProgram::new(command, backend.webui_dir.clone(), &backend.webui_env);
    Some(Process::new(program, settings.tuning.stop_grace))
}
