//! Metrics of the worker and its WebUI (`docs/protocol/request-flow.md`, Monitoring). They are beside the SDK's own, at the
//! same address (`RUNPOD_WORKER_METRICS`), and in a line of the log every hundred jobs.
//!
//! | name | what |
//! |---|---|
//! | `sd_worker_backend_up` | 1 while the WebUI is well |
//! | `sd_worker_success_ratios` | share of the last hundred jobs that succeeded, without users' mistakes |
//! | `sd_worker_render_average_seconds` | mean time that the WebUI took for one of them; all renders of a stream together |
//! | `sd_worker_render_trend_ratios` | mean time of the newer half divided by that of the older half |
//! | `sd_worker_upload_seconds` | histogram of the time that a job's uploads took |
//! | `sd_worker_cache_hits_total` | jobs that were answered from the cache |
//! | `sd_worker_cache_misses_total` | jobs that could have been cached and had to be rendered |
//! | `sd_worker_batch_jobs` | histogram of the number of jobs in a render, with `--batch-limit` |
//! | `sd_worker_batches_halved_total` | batches that failed and were rendered again in halves |
//!
//! End to end, waiting, rendering, errors by code, and the GPUs' memory and load are among the
//! [SDK's](runpod_sdk::metrics).

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use runpod_sdk::events::{JobOutcome, JobSummary, Window, WorkerEvent};
use runpod_sdk::metrics::Metrics;
use runpod_sdk::metrics::types::{
    Collector, ConstGauge, DescriptorEncoder, EncodeMetric as _, Histogram, Unit,
};
use runpod_sdk::{ErrorClass, Worker};
use tracing::info;

use crate::batch::BatchFigures;
use crate::cache::Lookups;
use crate::marks::{
    INFERENCE_FINISHED, INFERENCE_STARTED, PART_FINISHED, PART_STARTED, UPLOAD_FINISHED, UPLOAD_STARTED,
};
use crate::supervisor::Health;

/// The number of last jobs that count. Users' mistakes do not, because they tell nothing about this worker.
const JOBS: usize = 100;

const BUCKETS: [f64; 8] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Counts the jobs of one worker. Its clones count together.
#[derive(Debug, Clone)]
pub(crate) struct Monitor {
    shared: Arc<MonitorState>,
}

#[derive(Debug)]
struct MonitorState {
    /// The start of the worker, within a few milliseconds.
    began: Instant,
    jobs: Mutex<Jobs>,
    health: OnceLock<Health>,
    uploads: Histogram,
    lookups: Lookups,
    batches: BatchFigures,
}

/// The last jobs with the WebUI's time for them, and the number of all jobs.
#[derive(Debug)]
struct Jobs {
    last: Window,
    seen: usize,
}

impl Monitor {
    pub(crate) fn new() -> Self {
        Self {
            shared: Arc::new(MonitorState {
                began: Instant::now(),
                jobs: Mutex::new(Jobs {
                    last: Window::new(JOBS),
                    seen: 0,
                }),
                health: OnceLock::new(),
                uploads: Histogram::new(BUCKETS),
                lookups: Lookups::default(),
                batches: BatchFigures::default(),
            }),
        }
    }

    /// Counts the worker's jobs from now on.
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
            registry.register(
                "cache_hits",
                "Jobs that were answered from the cache",
                self.shared.lookups.hits.clone(),
            );
            registry.register(
                "cache_misses",
                "Jobs whose answer can be kept, and had to be rendered",
                self.shared.lookups.misses.clone(),
            );
            registry.register(
                "batch_jobs",
                "Jobs of a render, where jobs may share batches",
                self.shared.batches.jobs.clone(),
            );
            registry.register(
                "batches_halved",
                "Batches that failed and were rendered again in halves",
                self.shared.batches.halved.clone(),
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

    /// Sets the health that is exported.
    pub(crate) fn know(&self, health: &Health) {
        // It is set once, because a worker has one WebUI.
        let _ = self.shared.health.set(health.clone());
    }

    /// The counters of the cache.
    pub(crate) fn lookups(&self) -> Lookups {
        self.shared.lookups.clone()
    }

    /// The counters of batches.
    pub(crate) fn batches(&self) -> BatchFigures {
        self.shared.batches.clone()
    }

    fn count(&self, job: &JobSummary) {
        let points = job.timeline.points();
        if let Some(time) = added_up(&points, UPLOAD_STARTED, UPLOAD_FINISHED) {
            self.shared.uploads.observe(time.as_secs_f64());
        }
        let well = match &job.outcome {
            JobOutcome::Completed => true,
            JobOutcome::Failed {
                class: ErrorClass::Worker | ErrorClass::Backend,
                ..
            } => false,
            _ => return,
        };
        let mut jobs = self.shared.jobs.lock();
        jobs.last.record(well, rendering(&points));
        jobs.seen += 1;
        if jobs.seen == 1 && well {
            info!(
                "first job done: +{:.1?} after the worker's start",
                self.shared.began.elapsed()
            );
        }
        if jobs.seen.is_multiple_of(JOBS) {
            let figures = figures(&jobs.last);
            drop(jobs);
            info!("the last hundred jobs: {figures} backend_up={}", self.is_up());
        }
    }

    fn is_up(&self) -> bool {
        self.shared.health.get().is_some_and(Health::is_well)
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
        let (success, average, trend) = {
            let jobs = self.shared.jobs.lock();
            (jobs.last.success_rate(), jobs.last.average(), jobs.last.trend())
        };
        if let Some(share) = success {
            gauge(
                "success",
                "Share of the last jobs that went well",
                Some(&Unit::Ratios),
                share,
            )?;
        }
        if let Some(average) = average {
            gauge(
                "render_average",
                "Mean time of the last renders",
                Some(&Unit::Seconds),
                average.as_secs_f64(),
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
        Ok(())
    }
}

/// The time that the WebUI took for a job; `None` if the job did not get that far.
fn rendering(points: &[(&'static str, Duration)]) -> Option<Duration> {
    let whole = added_up(points, INFERENCE_STARTED, INFERENCE_FINISHED)?;
    Some(added_up(points, PART_STARTED, PART_FINISHED).unwrap_or(whole))
}

/// The sum of the times between two marks; `None` if no pair of them is complete.
fn added_up(points: &[(&'static str, Duration)], from: &str, to: &str) -> Option<Duration> {
    let mut started = None;
    let mut total = None;
    for (point, at) in points {
        if *point == from {
            started = Some(*at);
        } else if *point == to {
            let time = started.take().and_then(|started| at.checked_sub(started));
            *total.get_or_insert(Duration::ZERO) += time.unwrap_or_default();
        }
    }
    total
}

/// The figures of the last jobs as text.
fn figures(jobs: &Window) -> String {
    let figure = |figure: Option<f64>, digits| {
        figure.map_or_else(|| "unknown".to_owned(), |figure| format!("{figure:.digits$}"))
    };
    format!(
        "success={} average_s={} trend={}",
        figure(jobs.success_rate(), 3),
        figure(jobs.average().map(|time| time.as_secs_f64()), 2),
        figure(jobs.trend(), 2)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(points: &[(&'static str, u64)]) -> Vec<(&'static str, Duration)> {
        let each = points.iter();
        each.map(|(point, at)| (*point, Duration::from_millis(*at)))
            .collect()
    }

    #[test]
    fn what_lies_between_two_renders_of_a_stream_is_no_rendering() {
        let ms = Duration::from_millis;
        let plain = points(&[("inference_started", 2), ("inference_finished", 9)]);
        assert_eq!(rendering(&plain), Some(ms(7)));
        let mut streamed = points(&[
            ("inference_started", 1),
            (PART_STARTED, 1),
            (PART_FINISHED, 4),
            (UPLOAD_STARTED, 4),
            (UPLOAD_FINISHED, 50),
            (PART_STARTED, 50),
            (PART_FINISHED, 55),
        ]);
        assert_eq!(rendering(&streamed), None, "it may not be all of it");
        streamed.push(("inference_finished", ms(55)));
        assert_eq!(rendering(&streamed), Some(ms(8)));
    }

    #[test]
    fn the_uploads_of_a_job_are_added_up() {
        let ms = Duration::from_millis;
        let uploading =
            |points: &[(&'static str, Duration)]| added_up(points, UPLOAD_STARTED, UPLOAD_FINISHED);
        let one = points(&[("handler_started", 1), (UPLOAD_STARTED, 5), (UPLOAD_FINISHED, 7)]);
        assert_eq!(uploading(&one), Some(ms(2)));
        let streamed = points(&[
            (UPLOAD_STARTED, 5),
            (UPLOAD_FINISHED, 7),
            (UPLOAD_STARTED, 20),
            (UPLOAD_FINISHED, 21),
            (UPLOAD_STARTED, 30),
        ]);
        assert_eq!(uploading(&streamed), Some(ms(3)));
        assert_eq!(uploading(&points(&[(UPLOAD_STARTED, 5)])), None);
    }

    #[test]
    fn what_is_not_known_is_said_to_be_unknown() {
        let mut jobs = Window::new(JOBS);
        assert_eq!(figures(&jobs), "success=unknown average_s=unknown trend=unknown");
        for seconds in [1, 1, 2, 4] {
            jobs.record(true, Duration::from_secs(seconds));
        }
        jobs.record(false, None);
        assert_eq!(figures(&jobs), "success=0.800 average_s=2.00 trend=3.00");
    }
}
