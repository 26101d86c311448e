//! How the worker and its WebUI are doing (`docs/protocol/request-flow.md`, Monitoring): figures beside the SDK's own, at
//! the same address (`RUNPOD_WORKER_METRICS`), and a line in the log every hundred jobs.
//!
//! | name | what |
//! |---|---|
//! | `sd_worker_backend_up` | 1 while the WebUI is well |
//! | `sd_worker_success_ratios` | share of the last hundred jobs that went well; users' mistakes do not count |
//! | `sd_worker_render_average_seconds` | mean time of the WebUI's for them |
//! | `sd_worker_render_trend_ratios` | that of the newer half by that of the older half |
//! | `sd_worker_upload_seconds` | histogram of the time that uploads took |
//! | `sd_worker_gpu_memory_free_bytes{gpu}`, `sd_worker_gpu_memory_bytes{gpu}` | memory of each GPU |
//!
//! End to end, waiting, rendering and errors by code are among the [SDK's](runpod_sdk::metrics).

mod window;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use runpod_sdk::events::{JobOutcome, JobSummary, WorkerEvent};
use runpod_sdk::metrics::Metrics;
use runpod_sdk::metrics::prometheus_client::collector::Collector;
use runpod_sdk::metrics::prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use runpod_sdk::metrics::prometheus_client::metrics::gauge::ConstGauge;
use runpod_sdk::metrics::prometheus_client::metrics::histogram::Histogram;
use runpod_sdk::metrics::prometheus_client::registry::Unit;
use runpod_sdk::{ErrorClass, Worker, fitness};
use tracing::info;

use self::window::{Ended, Figures, Window};
use crate::health::Health;

/// Marks around the upload of a job's pictures.
pub(crate) const UPLOAD_STARTED: &str = "upload_started";
pub(crate) const UPLOAD_FINISHED: &str = "upload_finished";

const BUCKETS: [f64; 8] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Watches the jobs of one worker. Cheap to clone; clones are the same one.
#[derive(Debug, Clone)]
pub(crate) struct Monitor {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    window: Mutex<Window>,
    health: OnceLock<Health>,
    uploads: Histogram,
}

impl Monitor {
    pub(crate) fn new() -> Self {
        Self {
            shared: Arc::new(Shared {
                window: Mutex::default(),
                health: OnceLock::new(),
                uploads: Histogram::new(BUCKETS),
            }),
        }
    }

    /// Counts what happens to the worker's jobs.
    pub(crate) fn watch<S>(&self, worker: Worker<S>) -> Worker<S> {
        let metrics = Metrics::new();
        metrics.registry(|registry| {
            let registry = registry.sub_registry_with_prefix("sd_worker");
            registry.register_with_unit(
                "upload",
                "Time that the upload of a job's pictures took",
                Unit::Seconds,
                self.shared.uploads.clone(),
            );
            registry.register_collector(Box::new(self.clone()));
        });
        let monitor = self.clone();
        worker.metrics(&metrics).on_event(move |event| {
            if let WorkerEvent::JobFinished(job) = event {
                monitor.count(job);
            }
        })
    }

    /// The WebUI whose health is told from now on.
    pub(crate) fn know(&self, health: &Health) {
        // There is one WebUI in a worker's life; a second start would be a second process.
        let _ = self.shared.health.set(health.clone());
    }

    fn count(&self, job: &JobSummary) {
        let took = |from, to| job.timeline.between(from, to);
        if let Some(time) = took(UPLOAD_STARTED, UPLOAD_FINISHED) {
            self.shared.uploads.observe(time.as_secs_f64());
        }
        let ended = match &job.outcome {
            JobOutcome::Completed => Ended::Well(took("inference_started", "inference_finished")),
            JobOutcome::Failed {
                class: ErrorClass::Worker | ErrorClass::Backend,
                ..
            } => Ended::Badly,
            _ => return,
        };
        let (news, figures) = {
            let mut window = self.window();
            (window.add(ended), window.figures())
        };
        if news {
            info!("the last hundred jobs: {figures} backend_up={}", self.is_up());
        }
    }

    fn is_up(&self) -> bool {
        self.shared.health.get().is_some_and(Health::is_well)
    }

    fn window(&self) -> MutexGuard<'_, Window> {
        self.shared.window.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Collector for Monitor {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut gauge = |name, help, unit: Option<&Unit>, value: f64| {
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, unit, gauge.metric_type())?)
        };
        let up = f64::from(u8::from(self.is_up()));
        gauge("backend_up", "Whether the WebUI is well", None, up)?;
        let Figures {
            success,
            average,
            trend,
        } = self.window().figures();
        if let Some(share) = success {
            gauge(
                "success",
                "Share of the last jobs that went well",
                Some(&Unit::Ratios),
                share,
            )?;
        }
        if let Some(seconds) = average {
            gauge(
                "render_average",
                "Mean time of the last renders",
                Some(&Unit::Seconds),
                seconds,
            )?;
        }
        if let Some(trend) = trend {
            gauge(
                "render_trend",
                "Newer renders by older ones",
                Some(&Unit::Ratios),
                trend,
            )?;
        }
        gpus(&mut encoder)
    }
}

/// Asked anew for each scrape. A driver that can't be asked has nothing to tell.
fn gpus(encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let cards = fitness::gpus().unwrap_or_default();
    let free = |card: &fitness::GpuFacts| card.free_memory;
    let total = |card: &fitness::GpuFacts| card.total_memory;
    memory(
        encoder,
        "gpu_memory_free",
        "Free memory of each GPU",
        &cards,
        free,
    )?;
    memory(encoder, "gpu_memory", "Memory of each GPU", &cards, total)
}

fn memory(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    cards: &[fitness::GpuFacts],
    figure: fn(&fitness::GpuFacts) -> Option<u64>,
) -> fmt::Result {
    if cards.iter().all(|card| figure(card).is_none()) {
        return Ok(());
    }
    let kind = ConstGauge::new(0_u64).metric_type();
    let mut family = encoder.encode_descriptor(name, help, Some(&Unit::Bytes), kind)?;
    for (index, card) in cards.iter().enumerate() {
        if let Some(bytes) = figure(card) {
            let labels = [("gpu", index.to_string())];
            ConstGauge::new(bytes).encode(family.encode_family(&labels)?)?;
        }
    }
    Ok(())
}
