//! Waiting for the WebUI at its start (`docs/protocol/request-flow.md`, step 3).
//!
//! Ready means: the process is alive, the API answers, and where a checkpoint or a warm-up was asked for,
//! a render has shown that the model is loaded. There is one deadline for all of it.

use std::time::Duration;

use reqwest::Method;
use serde::de::IgnoredAny;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout, timeout_at};
use tracing::{debug, info, warn};

use super::checkpoint::{Checkpoint, WrongCheckpoint};
use super::error::WebUiError;
use super::phases::Phases;
use super::warm_up::{Used, WarmUp};
use super::{Call, MODELS, WebUi, answer, causes, refusal};
use crate::process::{CannotStart, End, Process};
use crate::settings::Settings;

/// Every so many failed probes the log says why.
const LOG_EVERY: u32 = 15;
/// A process that dies closes its connections a moment before its end is known.
const DEATH_NOTICE: Duration = Duration::from_secs(1);

/// Why the worker could not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotReady {
    #[error("no HTTP client: {}", causes(.0))]
    NoClient(#[source] reqwest::Error),
    #[error("the WebUI at {url} was not ready after {waited:?} and {probes} probes; last: {state}. {remedy}")]
    TooLate {
        url: String,
        waited: Duration,
        probes: u32,
        state: String,
        remedy: &'static str,
    },
    #[error(transparent)]
    NotStarted(#[from] CannotStart),
    #[error("the WebUI ended {} after {:.1?}, before it was ready", .0.how, .0.ran)]
    Ended(End),
    #[error(transparent)]
    Checkpoint(#[from] WrongCheckpoint),
    #[error("the WebUI answers, but warm-up {number} failed: {reason}")]
    WarmUp { number: usize, reason: WebUiError },
    #[error(
        "the WebUI answers, but after {waited:?} it has come no further than {reached}; its model may be large or its disk slow: see --ready-timeout"
    )]
    ModelTooLate { waited: Duration, reached: &'static str },
}

/// What a probe found.
#[derive(Debug)]
enum State {
    /// Nothing listens yet, or it does not answer.
    Refused(String),
    /// Something answers, but not with the list of models.
    Starting(WebUiError),
    /// The list of models came, with so many entries.
    Ready { models: usize },
}

/// Brings a WebUI to the point where it can work.
#[derive(Debug, Clone)]
pub(crate) struct Readiness {
    webui: WebUi,
    process: Option<Process>,
    deadline: Duration,
    probe_interval: Duration,
    probe_timeout: Duration,
    checkpoint: Option<String>,
    warm_up: Option<WarmUp>,
}

impl Readiness {
    /// `process`: the WebUI, if it is ours to start.
    pub(crate) fn new(webui: WebUi, process: Option<Process>, settings: &Settings) -> Self {
        let checkpoint = settings.backend.checkpoint.clone();
        let warm_up = match &settings.backend.warm_up {
            // Only a render shows what is really loaded.
            None if checkpoint.is_some() => Some(WarmUp::smallest()),
            warm_up => warm_up.clone(),
        };
        Self {
            webui,
            process,
            deadline: settings.ready_timeout,
            probe_interval: settings.tuning.probe_interval,
            probe_timeout: settings.tuning.probe_timeout,
            checkpoint,
            warm_up,
        }
    }

    /// Starts the WebUI, if it is ours and does not run, and waits until it is ready.
    pub(crate) async fn bring_up(&self) -> Result<(), NotReady> {
        let mut phases = Phases::begin();
        let Some(process) = &self.process else {
            self.get_ready(&mut phases).await?;
            info!("WebUI start: {phases}");
            return Ok(());
        };
        let start = process.start()?;
        phases.done("spawned");
        let ready = tokio::select! {
            biased;
            end = process.ended(start) => Err(NotReady::Ended(end)),
            ready = self.get_ready(&mut phases) => ready,
        };
        match ready {
            Ok(()) => info!("WebUI start: {phases}"),
            // What looks like a broken connection may be a dead process, which explains more.
            Err(NotReady::WarmUp { .. } | NotReady::Checkpoint(_)) => {
                if let Ok(end) = timeout(DEATH_NOTICE, process.ended(start)).await {
                    return Err(NotReady::Ended(end));
                }
            }
            Err(_) => {}
        }
        ready
    }

    async fn get_ready(&self, phases: &mut Phases) -> Result<(), NotReady> {
        let deadline = (!self.deadline.is_zero())
            .then(|| Instant::now().checked_add(self.deadline))
            .flatten();
        self.wait_for_api(deadline, phases).await?;
        let proof = self.prove(phases);
        let proven = match deadline {
            Some(deadline) => timeout_at(deadline, proof).await.ok(),
            None => Some(proof.await),
        };
        proven.unwrap_or_else(|| {
            Err(NotReady::ModelTooLate {
                waited: self.deadline,
                reached: phases.last().unwrap_or("its start"),
            })
        })
    }

    /// Shows by rendering that the model is loaded, if that was asked for.
    async fn prove(&self, phases: &mut Phases) -> Result<(), NotReady> {
        let checkpoint: Option<Checkpoint> = match &self.checkpoint {
            Some(wanted) => {
                let selected = self.webui.select_checkpoint(wanted).await?;
                phases.done("checkpoint_selected");
                Some(selected)
            }
            None => None,
        };
        let requests = self.warm_up.as_ref().map_or(&[][..], WarmUp::requests);
        for (number, request) in (1..).zip(requests) {
            let sent = self.webui.send(&Call::txt2img(request.clone())).await;
            let answer = sent.map_err(|reason| NotReady::WarmUp { number, reason })?;
            if let Some(checkpoint) = &checkpoint {
                checkpoint.check(&Used::by(&answer))?;
            }
            phases.done("model_loaded");
        }
        if requests.len() > 1 {
            phases.done("warmed_up");
        }
        Ok(())
    }

    /// Probes until the list of models comes. That proves an open port, not a loaded model: the first
    /// render waits for it.
    async fn wait_for_api(&self, deadline: Option<Instant>, phases: &mut Phases) -> Result<(), NotReady> {
        let started = Instant::now();
        let url = self.webui.url();
        let mut tick = interval(self.probe_interval);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut failed = 0;
        let mut explained = false;
        let mut last = None;
        loop {
            tick.tick().await;
            let probe = self.webui.probe(self.probe_timeout);
            let state = match deadline {
                Some(deadline) => timeout_at(deadline, probe).await.ok(),
                None => Some(probe.await),
            };
            if matches!(state, Some(State::Starting(_) | State::Ready { .. })) {
                phases.done("port_open");
            }
            match state {
                Some(State::Ready { models }) => {
                    phases.done("api_answers");
                    info!(%url, models, waited = ?started.elapsed(), "the WebUI is ready");
                    if models == 0 {
                        warn!(
                            "the WebUI has no checkpoint, so every render will fail: put one into its models/Stable-diffusion"
                        );
                    }
                    return Ok(());
                }
                Some(state) => {
                    failed += 1;
                    if failed == 1 {
                        info!(%url, "waiting for the WebUI");
                    }
                    let credentials = state.is_about_credentials();
                    if failed % LOG_EVERY == 0 || (credentials && !explained) {
                        explained |= credentials;
                        warn!(probes = failed, waited = ?started.elapsed(), "the WebUI is not ready: {state}. {}", state.remedy());
                    } else {
                        debug!(probes = failed, "the WebUI is not ready: {state}");
                    }
                    last = Some(state);
                }
                None => {
                    last.get_or_insert_with(|| State::Refused("no answer".to_owned()));
                }
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                let state = last.unwrap_or_else(|| State::Refused("no answer".to_owned()));
                return Err(NotReady::TooLate {
                    url: url.to_string(),
                    waited: self.deadline,
                    probes: failed,
                    remedy: state.remedy(),
                    state: state.to_string(),
                });
            }
        }
    }
}

impl WebUi {
    async fn probe(&self, limit: Duration) -> State {
        let sent = self.request(Method::GET, MODELS).timeout(limit).send().await;
        let response = match sent {
            Ok(response) => response,
            Err(error) => return State::Refused(causes(&error)),
        };
        if response.status() != 200 {
            return State::Starting(refusal(response, self.answer_idle).await);
        }
        match answer::read_small::<Vec<IgnoredAny>>(response).await {
            Ok(models) => State::Ready { models: models.len() },
            Err(error) => State::Starting(error),
        }
    }
}

impl State {
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

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused(reason) => write!(f, "no connection ({reason})"),
            Self::Starting(error) => write!(f, "{error}"),
            Self::Ready { models } => write!(f, "ready with {models} models"),
        }
    }
}
