//! Counters and histograms of a worker, for Prometheus.
//!
//! Set `RUNPOD_WORKER_METRICS=9090`, and every worker built with the feature `metrics` serves
//! `http://127.0.0.1:9090/metrics`. A program with figures of its own makes the [`Metrics`] itself:
//!
//! ```
//! use runpod_sdk::metrics::Metrics;
//! use runpod_sdk::metrics::types::Counter;
//! use runpod_sdk::{JobError, Worker};
//!
//! let metrics = Metrics::new();
//! let pictures: Counter = Counter::default();
//! metrics.registry(|registry| registry.register("pictures", "Pictures painted", pictures.clone()));
//!
//! let worker: Worker = Worker::new(|n: u32| async move { Ok::<_, JobError>(n) }).metrics(&metrics);
//! pictures.inc();
//! assert!(metrics.render().contains("pictures_total 1"));
//! ```
//!
//! Everything here is counted from the worker's [events](crate::events). Nothing is named after a job,
//! so the number of series does not grow with the number of jobs.
//!
//! # The figures
//!
//! Names begin with `runpod_worker_`. Times are in seconds.
//!
//! | name | type | meaning |
//! |---|---|---|
//! | `jobs_taken_total` | counter | jobs that have arrived |
//! | `jobs_finished_total{outcome, code}` | counter | jobs that have ended: `completed`, `failed` (with the error's code), `stopped`, `abandoned`, `stored` (answered from the journal) |
//! | `jobs_waiting`, `jobs_running` | gauge | jobs that wait for a slot, and those that have one |
//! | `slots` | gauge | jobs that may run at once |
//! | `job_end_to_end_seconds` | histogram | arrival to delivered result |
//! | `job_queue_wait_seconds` | histogram | arrival to start of the handler |
//! | `job_handler_seconds` | histogram | start of the handler to the end of the job |
//! | `job_readiness_wait_seconds` | histogram | start of the handler to the mark `readiness_checked` |
//! | `job_inference_seconds` | histogram | mark `inference_started` to `inference_finished`, or else to the end of the job |
//! | `result_delivery_seconds` | histogram | end of the job to delivered result |
//! | `results_delivered_total`, `results_lost_total` | counter | results that were delivered, and results that are lost |
//! | `results_undelivered` | gauge | results that wait for delivery |
//! | `delivery_retries_total` | counter | posts of results that failed and were sent again |
//! | `sent_bytes_total{kind}` | counter | bodies of `result`, `chunk` and `progress` posts that arrived |
//! | `takes_empty_total` | counter | takes that brought no job |
//! | `platform_errors_total{operation, status}` | counter | requests to the platform that failed; `status` is `none` without an answer |
//! | `requests_total{method, route, status}` | counter | requests to the program's own routes (`Worker::serving`, `Worker::routes`) |
//! | `request_seconds{route}` | histogram | request to the head of its response |
//! | `platform_up` | gauge | 0 while takes fail |
//! | `taking` | gauge | 1 while the worker takes jobs; 0 before it is ready, while it is paused and when it drains |
//! | `start_seconds` | gauge | start to readiness |
//! | `start_time_seconds` | gauge | when the worker started, in seconds since 1970 |
//! | `resident_memory_bytes` | gauge | memory of this process (Linux) |
//! | `gpu_memory_free_bytes{gpu, name}`, `gpu_memory_total_bytes{gpu, name}` | gauge | memory of each GPU (feature `gpu`), asked of the driver at each scrape |
//! | `gpu_utilization_ratios{gpu, name}` | gauge | part of the driver's last sample period in which the GPU computed, 0 to 1 |
//! | `build_info{version}` | info | version of this crate |

mod count;
#[cfg(feature = "gpu")]
mod gpu;
mod memory;
mod serve;
#[cfg(test)]
mod tests;

use runpod_protocol::sync::Mutex;
use std::fmt;
use std::sync::Arc;

use prometheus_client::registry::Registry;

use crate::events::{Events, WorkerEvent};
use count::Counted;

pub(crate) use serve::{MetricsThread, serve};

/// The types of which a program makes figures of its own, in the version that [`Metrics`] is made with.
///
/// They are those of the crate `prometheus-client`, whose documentation describes them. A program that derives
/// `EncodeLabelSet` depends on that crate itself, in the same version.
pub mod types {
    pub use prometheus_client::collector::Collector;
    pub use prometheus_client::encoding::{
        DescriptorEncoder, EncodeLabelSet, EncodeLabelValue, EncodeMetric,
    };
    pub use prometheus_client::metrics::counter::{ConstCounter, Counter};
    pub use prometheus_client::metrics::family::Family;
    pub use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
    pub use prometheus_client::metrics::histogram::{Histogram, exponential_buckets, linear_buckets};
    pub use prometheus_client::metrics::info::Info;
    pub use prometheus_client::registry::{Registry, Unit};
}

/// The figures of one worker. Cheap to clone; clones share the figures.
#[derive(Clone)]
pub struct Metrics {
    inner: Arc<Inner>,
}

struct Inner {
    registry: Mutex<Registry>,
    counted: Counted,
}

impl Metrics {
    /// Figures that are all zero. [`Worker::metrics`](crate::Worker::metrics) connects them to a worker.
    pub fn new() -> Self {
        let mut registry = Registry::default();
        let counted = Counted::register(registry.sub_registry_with_prefix("runpod_worker"));
        Self {
            inner: Arc::new(Inner {
                registry: Mutex::new(registry),
                counted,
            }),
        }
    }

    /// Counts the events of `events` from now on.
    pub(crate) fn listen_to(&self, events: &mut Events) {
        let counting = self.clone();
        events.listen(move |event| counting.count(event));
    }

    /// Gives access to the registry, for the program's own figures. Their names get no prefix.
    ///
    /// The figures are read at each scrape, on the thread that serves it. A [`Collector`](types::Collector) may block,
    /// but should be quick.
    pub fn registry<R>(&self, register: impl FnOnce(&mut Registry) -> R) -> R {
        register(&mut self.inner.registry.lock())
    }

    /// Counts one event. [`Worker::metrics`](crate::Worker::metrics) counts all events of a worker.
    pub fn count(&self, event: &WorkerEvent) {
        self.inner.counted.event(event);
    }

    /// All figures as `OpenMetrics` text, which Prometheus reads.
    pub fn render(&self) -> String {
        let mut text = String::new();
        self.registry(|registry| {
            // Writing to a string does not fail. A collector that fails is left out.
            let _ = prometheus_client::encoding::text::encode(&mut text, registry);
        });
        text
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}
