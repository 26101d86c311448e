//! Waiting for the WebUI at start (`docs/protocol/request-flow.md`, step 3).

use std::time::Duration;

use reqwest::Method;
use serde::de::IgnoredAny;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};
use tracing::{debug, info, warn};

use super::error::WebUiError;
use super::{MODELS, WebUi, answer, causes, refusal};
use crate::settings::Settings;

/// Every so many failed probes the log says why.
const LOG_EVERY: u32 = 15;

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

impl WebUi {
    /// Probes until the list of models comes. That proves an open port, not a loaded model: the first
    /// render waits for it.
    pub(crate) async fn wait_until_ready(&self, settings: &Settings) -> Result<(), NotReady> {
        let started = Instant::now();
        let deadline = (!settings.ready_timeout.is_zero())
            .then(|| started.checked_add(settings.ready_timeout))
            .flatten();
        let mut tick = interval(settings.probe_interval.max(Duration::from_millis(1)));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut failed = 0;
        let mut explained = false;
        let mut last = None;
        loop {
            tick.tick().await;
            let probe = self.probe(settings.probe_timeout);
            let state = match deadline {
                Some(deadline) => timeout_at(deadline, probe).await.ok(),
                None => Some(probe.await),
            };
            match state {
                Some(State::Ready { models }) => {
                    info!(url = %self.url(), models, waited = ?started.elapsed(), "the WebUI is ready");
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
                        info!(url = %self.url(), "waiting for the WebUI");
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
                    url: self.url().to_string(),
                    waited: settings.ready_timeout,
                    probes: failed,
                    remedy: state.remedy(),
                    state: state.to_string(),
                });
            }
        }
    }

    async fn probe(&self, limit: Duration) -> State {
        let sent = self.request(Method::GET, MODELS).timeout(limit).send().await;
        let response = match sent {
            Ok(response) => response,
            Err(error) => return State::Refused(causes(&error)),
        };
        if response.status() != 200 {
            return State::Starting(refusal(response).await);
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
