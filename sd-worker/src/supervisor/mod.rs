//! Keeps the WebUI fit for work: its process, its health, and its recovery.
//!
//! Renders report symptoms to [`Health`]. From that moment no job is taken, and no job that was taken begins to
//! render. The [`Supervisor`] then follows the [`policy`] until the WebUI is well again, or gives it up: then the worker
//! finishes what it has and asks the platform to be replaced.

mod health;
mod policy;
mod process;
mod rate_limit;
mod read_ahead;
mod start;
mod streak;
mod traceback;

use std::sync::Arc;
use std::time::{Duration, Instant};

use runpod_sdk::settings::Intake;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{sleep, timeout};
use tracing::{error, info, warn};

use self::policy::{RecoveryPolicy, RecoveryState, RecoveryStep, StepOutcome};
use self::process::ProcessState;
use crate::webui::WebUi;

pub(crate) use health::Health;
pub(crate) use policy::{RestartLimits, Symptom};
pub(crate) use process::{Process, WebUiProgram, run_if_asked};
pub(crate) use start::{StartError, Starter};

/// The limit of reloading a checkpoint. A slow disk needs a minute.
const RELOAD_LIMIT: Duration = Duration::from_mins(5);
/// The limit of rendering one step of 64×64 pixels, which may have to load a model first.
const CANARY_LIMIT: Duration = Duration::from_mins(3);
/// The time between two measurements of the WebUI's memory.
const MEMORY_INTERVAL: Duration = Duration::from_secs(5);

/// How the supervisor recovers a WebUI.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SupervisorOptions {
    /// Whether a WebUI that the worker did not start is restarted over its API.
    pub(crate) restart_by_api: bool,
    /// How long a WebUI that cannot be restarted may stay ill.
    pub(crate) patience: Duration,
    pub(crate) restarts: RestartLimits,
    /// How long a render may take to stop after an interrupt.
    pub(crate) interrupt_patience: Duration,
    /// The WebUI is restarted when it holds more bytes than this.
    pub(crate) memory_ceiling: Option<u64>,
}

/// Recovers a WebUI that is ill.
#[derive(Debug)]
pub(crate) struct Supervisor {
    health: Health,
    reports: mpsc::UnboundedReceiver<Symptom>,
    policy: RecoveryPolicy,
    webui: WebUi,
    process: Option<Process>,
    starter: Starter,
    restart_by_api: bool,
    /// One permit: its holder uses the GPU.
    gpu: Arc<Semaphore>,
    interrupt_patience: Duration,
    memory_ceiling: Option<u64>,
}

impl Supervisor {
    /// `starter` starts the WebUI again, and owns its process if that is the worker's.
    pub(crate) fn new(webui: WebUi, starter: Starter, options: SupervisorOptions, intake: Intake) -> Self {
        let process = starter.process().cloned();
        let (health, reports) = Health::new(intake, process.as_ref());
        let can_restart = process.is_some() || options.restart_by_api;
        Self {
            health,
            reports,
            policy: RecoveryPolicy::new(can_restart, options.patience, options.restarts),
            webui,
            process,
            starter,
            restart_by_api: options.restart_by_api,
            gpu: Arc::new(Semaphore::new(1)),
            interrupt_patience: options.interrupt_patience,
            memory_ceiling: options.memory_ceiling,
        }
    }

    /// The health that this supervisor reads and writes.
    pub(crate) fn health(&self) -> &Health {
        &self.health
    }

    /// The semaphore with one permit, whose holder uses the GPU.
    pub(crate) fn gpu(&self) -> &Arc<Semaphore> {
        &self.gpu
    }

    /// Waits for symptoms and recovers the WebUI, until it has to be given up.
    pub(crate) async fn run(mut self) {
        loop {
            let symptom = tokio::select! {
                biased;
                Some(symptom) = self.reports.recv() => symptom,
                () = death(self.process.as_ref()) => Symptom::Died,
                () = growth(self.process.as_ref(), self.memory_ceiling) => Symptom::Overgrown,
            };
            // A job may have reported it before.
            self.health.fall_ill(symptom);
            if let RecoveryState::Down { symptom } = self.recover(symptom).await {
                error!("the WebUI can't be mended: {}", symptom.reason());
                self.health.give_up(symptom);
                return;
            }
            // These reports are about the fault that is over.
            while self.reports.try_recv().is_ok() {}
            self.health.recover();
        }
    }

    /// Takes the policy's steps until the WebUI is healthy or down.
    async fn recover(&mut self, symptom: Symptom) -> RecoveryState {
        let mut state = self.policy.report(symptom, Instant::now());
        if state == RecoveryState::Healthy && symptom == Symptom::Overgrown {
            warn!("the WebUI has grown again too soon to be restarted for it; see --memory-ceiling");
            self.memory_ceiling = None;
        }
        while let RecoveryState::Healing { step, .. } = state {
            let began = Instant::now();
            info!(
                because = symptom.reason(),
                "mending the WebUI: {}",
                step.describe()
            );
            let outcome = match self.take(step).await {
                Ok(()) => StepOutcome::Worked,
                Err(problem) => {
                    warn!(took = ?began.elapsed(), "mending the WebUI: {} failed: {problem}", step.describe());
                    StepOutcome::Failed
                }
            };
            state = self.policy.done(outcome, Instant::now());
        }
        state
    }

    async fn take(&self, step: RecoveryStep) -> Result<(), String> {
        match step {
            RecoveryStep::Reload => {
                let _gpu = self.gpu.acquire().await;
                let reloaded = self.webui.reload_checkpoint(RELOAD_LIMIT).await;
                reloaded.map_err(|error| error.to_string())
            }
            RecoveryStep::Free => {
                let _gpu = self.gpu.acquire().await;
                let stopped = self.webui.interrupt_until_stopped(self.interrupt_patience).await;
                // A render that does not stop is left to the restart, or to the WebUI's own queue.
                self.webui.own_render().end();
                if stopped {
                    Ok(())
                } else {
                    Err(format!("it still renders after {:?}", self.interrupt_patience))
                }
            }
            RecoveryStep::Await => self.start().await,
            RecoveryStep::Canary => {
                let _gpu = self.gpu.acquire().await;
                // The WebUI may be a new process, and the canary is a job that nothing else records.
                self.health.next_generation();
                match timeout(CANARY_LIMIT, self.webui.canary()).await {
                    Ok(rendered) => rendered.map_err(|error| error.to_string()),
                    Err(_) => Err(format!("no picture after {CANARY_LIMIT:?}")),
                }
            }
            RecoveryStep::Restart { after } => {
                sleep(after).await;
                self.restart().await
            }
            RecoveryStep::Wait { after } => {
                sleep(after).await;
                Ok(())
            }
        }
    }

    async fn restart(&self) -> Result<(), String> {
        let result = match &self.process {
            Some(process) => {
                // A healthy render is waited for; one that has lost its process needs no GPU.
                let _gpu = match process.state() {
                    ProcessState::Running { .. } => self.gpu.acquire().await.ok(),
                    _ => None,
                };
                process.stop().await;
                self.start().await
            }
            None if self.restart_by_api => {
                let _gpu = self.gpu.acquire().await;
                match self.webui.restart_by_api().await {
                    Ok(()) => self.start().await,
                    Err(error) => Err(error.to_string()),
                }
            }
            None => Err("the worker did not start it".to_owned()),
        };
        self.health.next_generation();
        result
    }

    async fn start(&self) -> Result<(), String> {
        self.starter.start().await.map_err(|problem| problem.to_string())
    }
}

/// Waits until the WebUI's process has died; for ever, if the worker did not start it.
async fn death(process: Option<&Process>) {
    let Some(process) = process else {
        return std::future::pending().await;
    };
    match process.state() {
        ProcessState::Running { start } => {
            process.ended(start).await;
        }
        ProcessState::Ended(_) => {}
        ProcessState::NeverStarted => std::future::pending().await,
    }
}

/// Waits until the WebUI's process holds more memory than the ceiling.
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
        sleep(MEMORY_INTERVAL).await;
    }
}
