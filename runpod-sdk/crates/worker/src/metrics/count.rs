//! Counts events into figures.

use runpod_protocol::sync::Mutex;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, SystemTime};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use tokio::time::Instant;

use super::memory::ResidentMemory;
use crate::events::{JobOutcome, JobSummary, Timeline, WorkerEvent, point};

/// From a reply out of a cache to the platform's longest job.
const JOB_SECONDS: [f64; 17] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 300.0, 600.0,
];
/// From one round trip to the whole delivery window.
const DELIVERY_SECONDS: [f64; 12] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 120.0, 300.0,
];

type Seconds = Gauge<f64, AtomicU64>;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    outcome: &'static str,
    code: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Failed {
    operation: &'static str,
    status: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Sent {
    kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    method: String,
    route: String,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    route: String,
}

/// Methods that a label names. A request may have any other.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

#[derive(Debug)]
pub(super) struct Counted {
    taken: Counter,
    finished: Family<Ended, Counter>,
    waiting: Gauge,
    running: Gauge,
    slots: Gauge,
    end_to_end: Histogram,
    queue_wait: Histogram,
    handler: Histogram,
    readiness_wait: Histogram,
    inference: Histogram,
    delivery: Histogram,
    delivered: Counter,
    lost: Counter,
    kept: Counter,
    undelivered: Gauge,
    retries: Counter,
    sent_bytes: Family<Sent, Counter>,
    takes_empty: Counter,
    platform_errors: Family<Failed, Counter>,
    platform_up: Gauge,
    requests: Family<Answered, Counter>,
    request_time: Family<Route, Histogram, fn() -> Histogram>,
    taking: Gauge,
    start: Seconds,
    start_time: Seconds,
    started: Mutex<Option<Instant>>,
}

impl Counted {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let counted = Self {
            taken: Counter::default(),
            finished: Family::default(),
            waiting: Gauge::default(),
            running: Gauge::default(),
            slots: Gauge::default(),
            end_to_end: Histogram::new(JOB_SECONDS),
            queue_wait: Histogram::new(JOB_SECONDS),
            handler: Histogram::new(JOB_SECONDS),
            readiness_wait: Histogram::new(JOB_SECONDS),
            inference: Histogram::new(JOB_SECONDS),
            delivery: Histogram::new(DELIVERY_SECONDS),
            delivered: Counter::default(),
            lost: Counter::default(),
            kept: Counter::default(),
            undelivered: Gauge::default(),
            retries: Counter::default(),
            sent_bytes: Family::default(),
            takes_empty: Counter::default(),
            platform_errors: Family::default(),
            platform_up: Gauge::default(),
            requests: Family::default(),
            request_time: Family::new_with_constructor(|| Histogram::new(JOB_SECONDS)),
            taking: Gauge::default(),
            start: Seconds::default(),
            start_time: Seconds::default(),
            started: Mutex::default(),
        };
        counted.platform_up.set(1);
        counted.register_jobs(registry);
        counted.register_platform(registry);
        counted.register_process(registry);
        counted
    }

    fn register_jobs(&self, to: &mut Registry) {
        to.register("jobs_taken", "Jobs that have arrived", self.taken.clone());
        to.register(
            "jobs_finished",
            "Jobs that have ended, by outcome and error code",
            self.finished.clone(),
        );
        to.register("jobs_waiting", "Jobs that wait for a slot", self.waiting.clone());
        to.register("jobs_running", "Jobs that have a slot", self.running.clone());
        to.register("slots", "Jobs that may run at once", self.slots.clone());
        for (name, help, histogram) in [
            ("job_end_to_end", "Arrival to delivered result", &self.end_to_end),
            (
                "job_queue_wait",
                "Arrival to start of the handler",
                &self.queue_wait,
            ),
            (
                "job_handler",
                "Start of the handler to end of the job",
                &self.handler,
            ),
            (
                "job_readiness_wait",
                "Start of the handler to what it relies on being ready",
                &self.readiness_wait,
            ),
            ("job_inference", "Start to end of the real work", &self.inference),
            (
                "result_delivery",
                "End of the job to delivered result",
                &self.delivery,
            ),
        ] {
            to.register_with_unit(name, help, Unit::Seconds, histogram.clone());
        }
    }

    fn register_platform(&self, to: &mut Registry) {
        to.register(
            "results_delivered",
            "Results that have arrived",
            self.delivered.clone(),
        );
        to.register(
            "results_lost",
            "Results that will never arrive",
            self.lost.clone(),
        );
        to.register(
            "results_kept",
            "Results that the journal keeps for another start",
            self.kept.clone(),
        );
        to.register(
            "results_undelivered",
            "Results on their way",
            self.undelivered.clone(),
        );
        to.register(
            "delivery_retries",
            "Posts of results that were sent again",
            self.retries.clone(),
        );
        to.register_with_unit(
            "sent",
            "Bodies of posts that have arrived",
            Unit::Bytes,
            self.sent_bytes.clone(),
        );
        to.register(
            "takes_empty",
            "Takes that brought no job",
            self.takes_empty.clone(),
        );
        to.register(
            "platform_errors",
            "Requests to the platform that failed, by operation and status",
            self.platform_errors.clone(),
        );
        to.register("platform_up", "0 while takes fail", self.platform_up.clone());
        to.register("taking", "1 while the worker takes jobs", self.taking.clone());
        to.register(
            "requests",
            "Requests to the program's own routes, by method, route and status",
            self.requests.clone(),
        );
        to.register_with_unit(
            "request",
            "Request to the head of its response",
            Unit::Seconds,
            self.request_time.clone(),
        );
    }

    fn register_process(&self, to: &mut Registry) {
        to.register_with_unit("start", "Start to readiness", Unit::Seconds, self.start.clone());
        to.register_with_unit(
            "start_time",
            "When the worker started, since 1970",
            Unit::Seconds,
            self.start_time.clone(),
        );
        to.register(
            "build",
            "This crate",
            Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]),
        );
        to.register_collector(Box::new(ResidentMemory));
        #[cfg(feature = "gpu")]
        to.register_collector(Box::new(super::gpu::Gpus::new()));
    }

    pub(super) fn event(&self, event: &WorkerEvent) {
        match event {
            WorkerEvent::Started { slots } => {
                self.slots.set(count(*slots));
                let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
                self.start_time.set(since_1970.unwrap_or_default().as_secs_f64());
                *self.started.lock() = Some(Instant::now());
            }
            WorkerEvent::Ready => {
                self.taking.set(1);
                if let Some(started) = *self.started.lock() {
                    self.start.set(started.elapsed().as_secs_f64());
                }
            }
            WorkerEvent::SlotsChanged { slots } => {
                self.slots.set(count(*slots));
            }
            WorkerEvent::TakeEmpty { .. } => {
                self.takes_empty.inc();
            }
            WorkerEvent::JobTaken { .. } => {
                self.taken.inc();
                self.waiting.inc();
            }
            WorkerEvent::JobStarted { waited, .. } => {
                self.waiting.dec();
                self.running.inc();
                self.queue_wait.observe(waited.as_secs_f64());
            }
            WorkerEvent::JobFinished(job) => self.finished(job),
            WorkerEvent::DeliveryRetried { .. } => {
                self.retries.inc();
            }
            WorkerEvent::ResultDelivered {
                bytes,
                took,
                timeline,
                ..
            } => {
                self.undelivered.dec();
                self.delivered.inc();
                self.sent("result", *bytes);
                self.delivery.observe(took.as_secs_f64());
                observe(&self.end_to_end, timeline.at(point::RESPONSE_SENT));
            }
            WorkerEvent::ResultLost { .. } => {
                self.undelivered.dec();
                self.lost.inc();
            }
            WorkerEvent::ResultKept { .. } => {
                self.undelivered.dec();
                self.kept.inc();
            }
            WorkerEvent::ProgressSent { bytes, .. } => self.sent("progress", *bytes),
            WorkerEvent::ChunkSent { bytes, .. } => self.sent("chunk", *bytes),
            WorkerEvent::RequestAnswered {
                method,
                route,
                status,
                took,
            } => {
                let known = METHODS.into_iter().find(|known| known == method);
                let route = route.as_deref().unwrap_or("none").to_owned();
                let answered = Answered {
                    method: known.unwrap_or("other").to_owned(),
                    route: route.clone(),
                    status: *status,
                };
                self.requests.get_or_create(&answered).inc();
                self.request_time
                    .get_or_create(&Route { route })
                    .observe(took.as_secs_f64());
            }
            WorkerEvent::RequestFailed {
                operation, status, ..
            } => {
                let status = status.map_or_else(|| "none".to_owned(), |status| status.to_string());
                self.platform_errors
                    .get_or_create(&Failed { operation, status })
                    .inc();
            }
            WorkerEvent::PlatformUnreachable { .. } => {
                self.platform_up.set(0);
            }
            WorkerEvent::PlatformRecovered { .. } => {
                self.platform_up.set(1);
            }
            WorkerEvent::Paused { .. } | WorkerEvent::Draining { .. } | WorkerEvent::Stopped { .. } => {
                self.taking.set(0);
            }
            WorkerEvent::Resumed => {
                self.taking.set(1);
            }
            WorkerEvent::FirstTake(_) | WorkerEvent::Refreshing { .. } => {}
        }
    }

    fn finished(&self, job: &JobSummary) {
        if job.timeline.at(point::HANDLER_STARTED).is_some() {
            self.running.dec();
        } else {
            self.waiting.dec();
        }
        if !matches!(job.outcome, JobOutcome::Stopped | JobOutcome::Abandoned) {
            self.undelivered.inc();
        }
        let ended = Ended {
            outcome: job.outcome.as_str(),
            code: job
                .outcome
                .error_code()
                .map(ToString::to_string)
                .unwrap_or_default(),
        };
        self.finished.get_or_create(&ended).inc();
        let between = |from, to| job.timeline.between(from, to);
        observe(
            &self.handler,
            between(point::HANDLER_STARTED, point::PROCESSING_COMPLETE),
        );
        observe(
            &self.readiness_wait,
            between(point::HANDLER_STARTED, point::READINESS_CHECKED),
        );
        observe(&self.inference, inference(&job.timeline));
    }

    fn sent(&self, kind: &'static str, bytes: usize) {
        self.sent_bytes.get_or_create(&Sent { kind }).inc_by(bytes as u64);
    }
}

fn inference(timeline: &Timeline) -> Option<Duration> {
    timeline
        .between(point::INFERENCE_STARTED, point::INFERENCE_FINISHED)
        .or_else(|| timeline.between(point::INFERENCE_STARTED, point::PROCESSING_COMPLETE))
}

fn observe(histogram: &Histogram, time: Option<Duration>) {
    if let Some(time) = time {
        histogram.observe(time.as_secs_f64());
    }
}

fn count(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
