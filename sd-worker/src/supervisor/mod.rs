//! Does what the ladder decides.

use std::sync::Arc;
use std::time::{Duration, Instant};

use runpod_sdk::settings::Intake;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{sleep, timeout};
use tracing::{error, info, warn};

use super::Health;
use super::ladder::{Ladder, Outcome, State, Step, Symptom};
use crate::process::{Life, Process};
use crate::settings::Settings;
use crate::webui::{Readiness, WebUi};

/// For reloading a checkpoint: a slow disk needs a minute.
const RELOAD_LIMIT: Duration = Duration::from_mins(5);
/// For one step of 64×64 pixels, after a model that may have to be loaded first.
const CANARY_LIMIT: Duration = Duration::from_mins(3);
/// Between two looks at the memory of an idle WebUI.
const LOOK_AT_MEMORY: Duration = Duration::from_secs(5);

/// The one who mends the WebUI.
#[derive(Debug)]
pub(crate) struct Medic {
    health: Health,
    reports: mpsc::UnboundedReceiver<Symptom>,
    ladder: Ladder,
    webui: WebUi,
    process: Option<Process>,
    restart_by_api: bool,
    readiness: Readiness,
    /// Whoever has its permit has the GPU.
    gpu: Arc<Semaphore>,
    interrupt_patience: Duration,
    memory_ceiling: Option<u64>,
}

impl Medic {
    pub(crate) fn new(
        webui: WebUi,
        process: Option<Process>,
        readiness: Readiness,
        settings: &Settings,
        intake: Intake,
    ) -> Self {
        let (backend, tuning) = (&settings.backend, &settings.tuning);
        let (health, reports) = Health::new(intake, process.as_ref());
        let can_restart = process.is_some() || backend.webui_restart_by_api;
        Self {
            health,
            reports,
            ladder: Ladder::new(
                can_restart,
                backend.webui_patience,
                tuning.restarts,
                tuning.restart_window,
            ),
            webui,
            process,
            restart_by_api: backend.webui_restart_by_api,
            readiness,
            gpu: Arc::new(Semaphore::new(1)),
            interrupt_patience: tuning.interrupt_patience,
            memory_ceiling: backend.memory_ceiling,
        }
    }

    pub(crate) fn health(&self) -> &Health {
        &self.health
    }

    pub(crate) fn gpu(&self) -> &Arc<Semaphore> {
        &self.gpu
    }

    /// Waits for symptoms and mends, until the WebUI cannot be mended any more.
    pub(crate) async fn practise(mut self) {
        loop {
            let symptom = tokio::select! {
                biased;
                Some(symptom) = self.reports.recv() => symptom,
                () = death(self.process.as_ref()) => Symptom::Died,
                () = growth(self.process.as_ref(), self.memory_ceiling) => Symptom::Overgrown,
            };
            // News, unless a job was faster.
            self.health.fall_ill(symptom);
            if let State::Down { symptom } = self.mend(symptom).await {
                error!("the WebUI can't be mended: {}", symptom.reason());
                self.health.give_up(symptom);
                return;
            }
            // What was reported of the trouble that is over.
            while self.reports.try_recv().is_ok() {}
            self.health.recover();
        }
    }

    async fn mend(&mut self, symptom: Symptom) -> State {
        let mut state = self.ladder.report(symptom, Instant::now());
        if state == State::Healthy && symptom == Symptom::Overgrown {
            warn!("the WebUI has grown again too soon to be restarted for it; see --memory-ceiling");
            self.memory_ceiling = None;
        }
        while let State::Healing { step, .. } = state {
            let began = Instant::now();
            info!(
                because = symptom.reason(),
                "mending the WebUI: {}",
                step.describe()
            );
            let outcome = match self.take(step).await {
                Ok(()) => Outcome::Worked,
                Err(problem) => {
                    warn!(took = ?began.elapsed(), "mending the WebUI: {} failed: {problem}", step.describe());
                    Outcome::Failed
                }
            };
            state = self.ladder.done(outcome, Instant::now());
        }
        state
    }

    async fn take(&self, step: Step) -> Result<(), String> {
        match step {
            Step::Reload => {
                let _gpu = self.gpu.acquire().await;
                let reloaded = self.webui.reload_checkpoint(RELOAD_LIMIT).await;
                reloaded.map_err(|error| error.to_string())
            }
            Step::Free => {
                let _gpu = self.gpu.acquire().await;
                if self.webui.interrupt_until_idle(self.interrupt_patience).await {
                    Ok(())
                } else {
                    Err(format!("it still renders after {:?}", self.interrupt_patience))
                }
            }
            Step::Await => self.bring_up().await,
            Step::Canary => {
                let _gpu = self.gpu.acquire().await;
                // Somebody may have started it anew, and this picture is a job of which nothing else is noted.
                self.health.next_generation();
                match timeout(CANARY_LIMIT, self.webui.canary()).await {
                    Ok(rendered) => rendered.map_err(|error| error.to_string()),
                    Err(_) => Err(format!("no picture after {CANARY_LIMIT:?}")),
                }
            }
            Step::Restart { after } => {
                sleep(after).await;
                self.restart().await
            }
            Step::Wait { after } => {
                sleep(after).await;
                Ok(())
            }
        }
    }

    async fn restart(&self) -> Result<(), String> {
        let result = match &self.process {
            Some(process) => {
                // A render that is well is waited for; one that has lost its process needs no GPU.
                let _gpu = match process.life() {
                    Life::Running { .. } => self.gpu.acquire().await.ok(),
                    _ => None,
                };
                process.stop().await;
                self.bring_up().await
            }
            None if self.restart_by_api => {
                let _gpu = self.gpu.acquire().await;
                match self.webui.restart_by_api().await {
                    Ok(()) => self.bring_up().await,
                    Err(error) => Err(error.to_string()),
                }
            }
            None => Err("the worker did not start it".to_owned()),
        };
        self.health.next_generation();
        result
    }

    async fn bring_up(&self) -> Result<(), String> {
        self.readiness
            .bring_up()
            .await
            .map_err(|problem| problem.to_string())
    }
}

/// Waits until the WebUI has died; for ever, if it is not ours.
async fn death(process: Option<&Process>) {
    let Some(process) = process else {
        return std::future::pending().await;
    };
    match process.life() {
        Life::Running { start } => {
            process.ended(start).await;
        }
        Life::Ended(_) => {}
        Life::NeverStarted => std::future::pending().await,
    }
}

/// Waits until the WebUI holds more memory than it may.
async fn growth(process: Option<&Process>, ceiling: Option<u64>) {
    let (Some(process), Some(ceiling)) = (process, ceiling) else {
        return std::future::pending().await;
    };
    loop {
        if let Some(resident) = process.resident()
            && resident > ceiling
        {
            info!(resident, ceiling, "the WebUI holds more memory than it may");
            return;
        }
        sleep(LOOK_AT_MEMORY).await;
    }
}

impl Step {
    fn describe(self) -> &'static str {
        match self {
            Self::Reload => "reloading the checkpoint",
            Self::Free => "stopping the render",
            Self::Await => "waiting for it",
            Self::Canary => "rendering a small picture",
            Self::Restart { .. } => "restarting it",
            Self::Wait { .. } => "waiting for somebody else to mend it",
        }
    }
}
