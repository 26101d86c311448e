//! Waits until the WebUI is ready (`docs/protocol/request-flow.md`, step 3).
//!
//! It is ready when its API answers and, where a checkpoint or a warm-up is configured, a render has shown that the
//! model is loaded. The API answers when the list of checkpoints arrives. Where that fails for long with a status of 5xx,
//! a small render counts instead. One deadline holds for all of it.

use std::time::Duration;

use reqwest::Method;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};
use tracing::{debug, info, warn};

use super::answer;
use super::call::Call;
use super::checkpoint::{Checkpoint, UsedCheckpoint, WrongCheckpoint};
use super::client::WebUi;
use super::error::WebUiError;
use super::phases::StartPhases;
use super::routes::{MODELS, OPTIONS};
use crate::causes::causes;
use crate::settings::WarmUp;

/// The log explains every 15th failed probe.
const LOG_EVERY: u32 = 15;

/// Why the WebUI is not ready.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotReady {
    #[error("the WebUI at {url} was not ready after {waited:?} and {probes} probes; last: {state}. {remedy}")]
    TooLate {
        url: String,
        waited: Duration,
        probes: u32,
        state: String,
        remedy: &'static str,
    },
    #[error(transparent)]
    Checkpoint(#[from] WrongCheckpoint),
    #[error("the WebUI answers, but warm-up {number} failed: {reason}")]
    WarmUp { number: usize, reason: WebUiError },
    #[error(
        "the WebUI answers, but after {waited:?} it has come no further than {reached}; its model may be large or its disk slow: see --ready-timeout"
    )]
    ModelTooLate { waited: Duration, reached: &'static str },
}

impl NotReady {
    /// Whether the API answered before the start failed.
    pub(crate) fn is_after_an_answer(&self) -> bool {
        matches!(self, Self::WarmUp { .. } | Self::Checkpoint(_))
    }
}

/// The result of one probe.
#[derive(Debug)]
enum ProbeResult {
    /// Nothing listens yet, or it does not answer.
    Refused(String),
    /// Something answers, but not with the list of models.
    Starting(WebUiError),
    /// The list of models arrived, with this many entries.
    Ready { models: usize },
}

/// When a WebUI counts as ready.
#[derive(Debug, Clone)]
pub(crate) struct ReadinessOptions {
    /// The longest wait; zero waits for ever.
    pub(crate) deadline: Duration,
    /// The time between two probes.
    pub(crate) probe_interval: Duration,
    /// The limit of one probe.
    pub(crate) probe_timeout: Duration,
    /// The checkpoint to select.
    pub(crate) checkpoint: Option<String>,
    /// The renders to do.
    pub(crate) warm_up: Option<WarmUp>,
    /// How long the list of models may fail with a status of 5xx before a render is asked for instead.
    pub(crate) other_sign_after: Duration,
}

/// Waits for a WebUI to become ready.
#[derive(Debug, Clone)]
pub(crate) struct Readiness {
    webui: WebUi,
    options: ReadinessOptions,
}

impl Readiness {
    /// Without a warm-up of its own, a configured checkpoint is proven by the smallest render.
    pub(crate) fn new(webui: WebUi, mut options: ReadinessOptions) -> Self {
        if options.checkpoint.is_some() && options.warm_up.is_none() {
            options.warm_up = Some(WarmUp::smallest());
        }
        Self { webui, options }
    }

    /// Waits until the WebUI is ready, and notes the phases of its start.
    pub(crate) async fn wait(&self, phases: &mut StartPhases) -> Result<(), NotReady> {
        let deadline = (!self.options.deadline.is_zero())
            .then(|| Instant::now().checked_add(self.options.deadline))
            .flatten();
        self.wait_for_api(deadline, phases).await?;
        let proof = self.prove(phases);
        let proven = match deadline {
            Some(deadline) => timeout_at(deadline, proof).await.ok(),
            None => Some(proof.await),
        };
        proven.unwrap_or_else(|| {
            Err(NotReady::ModelTooLate {
                waited: self.options.deadline,
                reached: phases.last().unwrap_or("its start"),
            })
        })
    }

    /// Selects the checkpoint and renders, where that is configured.
    async fn prove(&self, phases: &mut StartPhases) -> Result<(), NotReady> {
        let checkpoint: Option<Checkpoint> = match &self.options.checkpoint {
            Some(wanted) => {
                let selected = self.webui.select_checkpoint(wanted).await?;
                phases.done("checkpoint_selected");
                Some(selected)
            }
            None => None,
        };
        let requests = self.options.warm_up.as_ref().map_or(&[][..], WarmUp::requests);
        for (number, request) in (1..).zip(requests) {
            let call = Call::txt2img(request.clone());
            let failed = |reason| NotReady::WarmUp { number, reason };
            let answer = self.webui.send(&call).await.map_err(failed)?;
            if call.require_pictures(&answer, None).is_err() {
                let after = self.webui.probe().await;
                call.require_pictures(&answer, after.as_ref()).map_err(failed)?;
            }
            if let Some(checkpoint) = &checkpoint {
                checkpoint.check(&UsedCheckpoint::of(&answer))?;
            }
            phases.done("model_loaded");
        }
        if requests.len() > 1 {
            phases.done("warmed_up");
        }
        Ok(())
    }

    /// Probes until the list of models arrives. That proves an open port, not a loaded model: the first render waits
    /// for the model.
    async fn wait_for_api(
        &self,
        deadline: Option<Instant>,
        phases: &mut StartPhases,
    ) -> Result<(), NotReady> {
        let started = Instant::now();
        let url = self.webui.url();
        let mut tick = interval(self.options.probe_interval);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut failures = Failures::new(started);
        loop {
            tick.tick().await;
            let probe = self.webui.probe_models(self.options.probe_timeout);
            let result = match deadline {
                Some(deadline) => timeout_at(deadline, probe).await.ok(),
                None => Some(probe.await),
            };
            if matches!(result, Some(ProbeResult::Starting(_) | ProbeResult::Ready { .. })) {
                phases.done("port_open");
            }
            match result {
                Some(ProbeResult::Ready { models }) => {
                    phases.done("api_answers");
                    info!(%url, models, waited = ?started.elapsed(), "the WebUI is ready");
                    if models == 0 {
                        warn!(
                            "the WebUI has no checkpoint, so every render will fail: put one into its models/Stable-diffusion"
                        );
                    }
                    return Ok(());
                }
                Some(result) => {
                    failures.note(result, url);
                    if failures.failed_for(Instant::now()) >= self.options.other_sign_after {
                        let sign = self.webui.renders_without_a_list();
                        let is_ready = match deadline {
                            Some(deadline) => timeout_at(deadline, sign).await.unwrap_or(false),
                            None => sign.await,
                        };
                        if is_ready {
                            phases.done("api_answers");
                            warn!(
                                %url, waited = ?started.elapsed(),
                                "the WebUI does not list its checkpoints ({}), but it renders, so it counts as ready", failures.last()
                            );
                            return Ok(());
                        }
                        failures.failing_since = None;
                    }
                }
                None => {}
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                let probes = failures.count;
                let state = failures.last();
                return Err(NotReady::TooLate {
                    url: url.to_string(),
                    waited: self.options.deadline,
                    probes,
                    remedy: state.remedy(),
                    state: state.to_string(),
                });
            }
        }
    }
}

/// The failed probes of one start.
#[derive(Debug)]
struct Failures {
    started: Instant,
    count: u32,
    /// Refused credentials were explained.
    explained: bool,
    /// Since when every probe was answered with a status of 5xx.
    failing_since: Option<Instant>,
    last: Option<ProbeResult>,
}

impl Failures {
    fn new(started: Instant) -> Self {
        Self {
            started,
            count: 0,
            explained: false,
            failing_since: None,
            last: None,
        }
    }

    fn note(&mut self, result: ProbeResult, url: &dyn std::fmt::Display) {
        self.count += 1;
        if result.is_server_error() {
            self.failing_since.get_or_insert_with(Instant::now);
        } else {
            self.failing_since = None;
        }
        let probes = self.count;
        if probes == 1 {
            info!(%url, "waiting for the WebUI");
        }
        let credentials = result.is_about_credentials();
        if probes.is_multiple_of(LOG_EVERY) || (credentials && !self.explained) {
            self.explained |= credentials;
            let waited = self.started.elapsed();
            warn!(
                probes,
                ?waited,
                "the WebUI is not ready: {result}. {}",
                result.remedy()
            );
        } else {
            debug!(probes, "the WebUI is not ready: {result}");
        }
        self.last = Some(result);
    }

    /// How long nothing but statuses of 5xx have come.
    fn failed_for(&self, now: Instant) -> Duration {
        self.failing_since
            .map_or(Duration::ZERO, |since| now.duration_since(since))
    }

    fn last(&mut self) -> &ProbeResult {
        self.last
            .get_or_insert_with(|| ProbeResult::Refused("no answer".to_owned()))
    }
}

impl WebUi {
    /// Whether the WebUI can be used although it does not list its checkpoints: it lists its settings, and renders a
    /// small picture. Some builds of Forge answer 500 to that list for ever.
    async fn renders_without_a_list(&self) -> bool {
        let sign = async {
            let _: Map<String, Value> = self.list(OPTIONS).await?;
            self.canary().await
        };
        match sign.await {
            Ok(()) => true,
            Err(error) => {
                debug!(%error, "the WebUI lists no checkpoints, and does not render either");
                false
            }
        }
    }

    async fn probe_models(&self, limit: Duration) -> ProbeResult {
        let request = match self.request(Method::GET, MODELS) {
            Ok(request) => request.limit(limit),
            Err(error) => return ProbeResult::Refused(error.to_string()),
        };
        let begun = match request.send().await {
            Ok(begun) => begun,
            Err(error) => return ProbeResult::Refused(causes(&error)),
        };
        if begun.response.status() != 200 {
            return ProbeResult::Starting(self.refusal(begun).await);
        }
        match answer::read_small::<Vec<IgnoredAny>>(begun.response).await {
            Ok(models) => {
                begun.connection.keep();
                ProbeResult::Ready { models: models.len() }
            }
            Err(error) => ProbeResult::Starting(error),
        }
    }
}

impl ProbeResult {
    fn is_server_error(&self) -> bool {
        matches!(self, Self::Starting(error) if error.status().is_some_and(|status| status >= 500))
    }

    fn is_about_credentials(&self) -> bool {
        matches!(self, Self::Starting(error) if matches!(error.status(), Some(401 | 403)))
    }

    fn remedy(&self) -> &'static str {
        match self {
            Self::Starting(_) if self.is_about_credentials() => {
                "Set SD_WORKER_WEBUI_AUTH to the user:password that --api-auth was given"
            }
            Self::Starting(_) => "Start the WebUI with --api, and check SD_WORKER_WEBUI_URL and its path",
            _ => "Check that the WebUI runs and that SD_WORKER_WEBUI_URL names its port",
        }
    }
}

impl std::fmt::Display for ProbeResult {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused(reason) => write!(f, "no connection ({reason})"),
            Self::Starting(error) => write!(f, "{error}"),
            Self::Ready { models } => write!(f, "ready with {models} models"),
        }
    }
}
