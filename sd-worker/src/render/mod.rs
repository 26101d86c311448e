//! Renders of jobs: one at a time, each from its lease of the GPU to its answer.
//!
//! The WebUI would queue renders itself, but its interrupt and its progress are about the render in progress. With one at a
//! time that render is the worker's own, unless another client uses the WebUI: [`WebUi::own_render`]
//! tells them apart.
//!
//! ```text
//!  GpuLease ─▶ settings guard ─▶ attempt ─▶ POST ─▶ answer, probed for an early end ─▶ RawJson
//!                                  │  ▲
//!                                  │  └─ retry: nothing can have come of the attempt
//!                                  ├─ progress ─▶ updates; no step for too long: stalled
//!                                  ├─ cancelled, too slow, stalled ─▶ interrupt until the POST returns;
//!                                  │     behind another client's render: wait for its end first
//!                                  └─ answer lost ─▶ what became of the render?
//! ```

mod attempt;
mod changes;
mod cut_short;
mod error;
mod jobs;
mod lease;
mod lost;
mod lost_request;
mod part;
mod progress;
mod retry;
mod settings_guard;
mod stall;

use std::sync::Arc;
use std::time::Duration;

use runpod_sdk::Context;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use self::lost::JobMemory;
use self::progress::ProgressReporter;
use self::settings_guard::SettingsGuard;
use crate::cancelled::unless_cancelled;
use crate::settings::ProgressSettings;
use crate::supervisor::{Health, Symptom};
use crate::webui::WebUi;

pub(crate) use changes::{CacheEpoch, Changes};
pub(crate) use error::{GivenUp, RenderError};
pub(crate) use jobs::RenderJobs;
pub(crate) use lease::{FinishedRender, GpuLease};
pub(crate) use part::JobPart;

/// How renders are sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RenderOptions {
    /// The limit of one attempt.
    pub(crate) attempt_timeout: Duration,
    /// How often a request that was not taken is sent again.
    pub(crate) retries: u32,
    /// The wait before the first retry.
    pub(crate) retry_wait: Duration,
    /// A render without a step for this long is stalled; zero disables that.
    pub(crate) stall_after: Duration,
    /// How long a render may take to stop after an interrupt.
    pub(crate) interrupt_patience: Duration,
    pub(crate) progress: ProgressSettings,
    /// The largest preview in a progress update, in bytes of base64.
    pub(crate) preview_limit: usize,
}

/// Sends renders to the WebUI, one at a time.
#[derive(Debug)]
pub(crate) struct Renderer {
    webui: WebUi,
    health: Health,
    /// One permit: its holder uses the GPU.
    gpu: Arc<Semaphore>,
    attempt_timeout: Duration,
    interrupt_patience: Duration,
    stall_after: Duration,
    retries: u32,
    retry_wait: Duration,
    reporter: ProgressReporter,
    memory: JobMemory,
    guard: SettingsGuard,
    /// Notified of each change of the WebUI; `None` when the response cache is off.
    changes: Option<Arc<Changes>>,
}

impl Renderer {
    /// `gpu` is the semaphore that the supervisor shares.
    pub(crate) fn new(webui: WebUi, health: Health, gpu: Arc<Semaphore>, options: RenderOptions) -> Self {
        Self {
            webui,
            health,
            gpu,
            attempt_timeout: options.attempt_timeout,
            interrupt_patience: options.interrupt_patience,
            stall_after: options.stall_after,
            retries: options.retries,
            retry_wait: options.retry_wait,
            reporter: ProgressReporter::new(options.progress, options.preview_limit),
            memory: JobMemory::default(),
            guard: SettingsGuard::default(),
            changes: None,
        }
    }

    /// Counts from now on what may change how the WebUI renders.
    pub(crate) fn count_changes(&mut self) -> Arc<Changes> {
        let changes = || Arc::new(Changes::new(self.health.clone()));
        self.changes.get_or_insert_with(changes).clone()
    }

    /// Waits until the WebUI is well and the GPU is free, and leases the GPU.
    pub(crate) async fn lease(self: &Arc<Self>, ctx: &Context) -> Result<GpuLease, RenderError> {
        Ok(unless_cancelled(ctx, self.lease_for_any()).await??)
    }

    /// The same, for whichever jobs wait then.
    pub(crate) async fn lease_for_any(self: &Arc<Self>) -> Result<GpuLease, GivenUp> {
        let permit = self.free_gpu().await?;
        Ok(GpuLease::new(self.clone(), permit))
    }

    async fn free_gpu(&self) -> Result<OwnedSemaphorePermit, GivenUp> {
        loop {
            if let Err(symptom) = self.health.well().await {
                return Err(GivenUp(symptom.reason()));
            }
            let permit = self.gpu.clone().acquire_owned().await;
            let permit = permit.expect("the semaphore is never closed");
            if !self.health.is_well() {
                continue; // the supervisor needs the GPU
            }
            // A request was sent and never returned, so its render may still run.
            if self.webui.own_render().may_run() {
                if !self.webui.interrupt_until_stopped(self.interrupt_patience).await {
                    self.health.report(Symptom::Stuck);
                    continue;
                }
                self.webui.own_render().end();
            }
            return Ok(permit);
        }
    }
}
