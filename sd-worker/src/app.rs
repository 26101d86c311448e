//! What a job needs beside its input: made once at start, shared by all jobs.

use std::sync::Arc;

use runpod_sdk::Intake;
use tracing::{error, warn};

use crate::cache::Cache;
use crate::checks::Checks;
use crate::compat::Compat;
use crate::health::{Health, Medic};
use crate::monitor::Monitor;
use crate::output::Output;
use crate::process::Process;
use crate::request::{Allowed, Pictures};
use crate::settings::{self, Settings, StreamSettings};
use crate::webui::{NotReady, Readiness, Renderer, WebUi};

/// The worker's state. Cloning it costs two reference counts.
#[derive(Debug, Clone)]
pub(crate) struct App {
    pub(crate) renderer: Arc<Renderer>,
    pub(crate) health: Health,
    pub(crate) compat: Arc<Compat>,
    /// For what needs no turn on the GPU.
    pub(crate) webui: WebUi,
    pub(crate) allowed: Arc<Allowed>,
    pub(crate) pictures: Option<Arc<Pictures>>,
    pub(crate) checks: Arc<Checks>,
    /// Where answers are kept, if they are.
    pub(crate) cache: Option<Arc<Cache>>,
    pub(crate) output: Arc<Output>,
    pub(crate) stream: StreamSettings,
}

impl App {
    /// Starts the WebUI, if it is ours, and waits until it is ready.
    pub(crate) async fn start(
        settings: Settings,
        process: Option<Process>,
        intake: Intake,
        monitor: Monitor,
    ) -> Result<Self, NotReady> {
        warn_of_removed_variables();
        let webui = WebUi::new(&settings)?;
        let readiness = Readiness::new(webui.clone(), process.clone(), &settings);
        if let Err(problem) = readiness.bring_up().await {
            if let Some(process) = &process {
                tell_last_lines(process);
            }
            return Err(problem);
        }
        let medic = Medic::new(webui.clone(), process, readiness, &settings, intake);
        let health = medic.health().clone();
        monitor.know(&health);
        let mut renderer = Renderer::new(webui.clone(), health.clone(), medic.gpu().clone(), &settings);
        let cache = match settings.cache.response_cache {
            0 => None,
            mib => {
                let bound = u64::from(mib) << 20;
                Some(Cache::new(bound, renderer.count_changes(), monitor.lookups()))
            }
        };
        let renderer = Arc::new(renderer);
        tokio::spawn(medic.practise());
        let compat = Arc::new(Compat::new(webui.clone()));
        let learning = compat.clone();
        // Beside the first take, which must not wait for it.
        tokio::spawn(async move { learning.learn().await });
        let requests = &settings.requests;
        let largest = u64::from(requests.url_input_limit) << 20;
        let pictures = (!requests.no_url_inputs).then(|| Pictures::new(largest));
        Ok(Self {
            renderer,
            health,
            compat,
            checks: Arc::new(Checks::new(webui.clone(), requests.checks)),
            pictures: pictures.map(Arc::new),
            cache: cache.map(Arc::new),
            output: Arc::new(Output::new(settings.output)),
            stream: settings.stream,
            allowed: Arc::new(Allowed::new(&requests.allowed_routes)),
            webui,
        })
    }
}

/// One warning for each variable of an earlier version that is still set.
fn warn_of_removed_variables() {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    for (name, instead) in settings::still_set(is_set) {
        warn!("{name} has no effect any more: {instead}");
    }
}

/// What a dead WebUI said last is the best explanation of its death.
fn tell_last_lines(process: &Process) {
    let lines = process.tail().lines();
    error!("the last {} lines of the WebUI's log:", lines.len());
    for line in lines {
        error!(target: "webui", "| {line}");
    }
}
