//! What the store shows: jobs, chunks and counts at one moment.

use std::time::Duration;

use bytes::Bytes;
use runpod_protocol::{JobId, JobStatus};

use super::chunks::TakenChunks;
use super::job::{Job, WorkerId};
use super::worker_table::Worker;
use super::{SharedRequest, Store};

/// A job as it is now. Payloads are shared, not copied.
#[derive(Clone, Debug)]
pub(crate) struct JobView {
    pub(crate) id: JobId,
    pub(crate) status: JobStatus,
    pub(crate) submitted: Duration,
    pub(crate) delay: Option<Duration>,
    pub(crate) execution: Option<Duration>,
    pub(crate) retries: u32,
    pub(crate) worker: Option<WorkerId>,
    pub(crate) output: Option<Bytes>,
    pub(crate) error: Option<Bytes>,
    pub(crate) unread_chunks: usize,
    pub(crate) request: SharedRequest,
}

impl JobView {
    pub(super) fn of(job: &Job) -> Self {
        Self {
            id: JobId::clone(&job.id),
            status: job.status(),
            submitted: job.submitted,
            delay: job.delay,
            execution: job.execution,
            retries: job.retries,
            worker: job.worker.clone(),
            output: job.output.clone(),
            error: job.error.clone(),
            unread_chunks: job.chunks.len(),
            request: SharedRequest::clone(&job.request),
        }
    }

    /// Bytes of payload the view keeps alive.
    pub(crate) fn payload_bytes(&self) -> usize {
        let length = |part: &Option<Bytes>| part.as_ref().map_or(0, Bytes::len);
        self.request.body_bytes + length(&self.output) + length(&self.error)
    }
}

/// The answer to one poll of a stream.
#[derive(Debug)]
pub(crate) struct ChunkPage {
    pub(crate) status: JobStatus,
    pub(crate) chunks: TakenChunks,
}

/// Jobs counted for `/health`: two gauges and three counters that only grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) in_queue: usize,
    pub(crate) in_progress: usize,
    pub(crate) completed: u64,
    pub(crate) failed: u64,
    pub(crate) retried: u64,
}

/// Workers counted for `/health`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct WorkerCounts {
    pub(crate) idle: usize,
    /// Those of the idle that ask for work.
    pub(crate) ready: usize,
    pub(crate) running: usize,
    pub(crate) unhealthy: usize,
}

impl Store {
    /// A job as it is at `now`; `None` when it never was or is gone.
    pub(crate) fn view(&mut self, now: Duration, id: &JobId) -> Option<JobView> {
        self.advance(now);
        self.jobs.get(id).map(JobView::of)
    }

    /// Every job still known, newest first.
    pub(crate) fn list(&mut self, now: Duration) -> Vec<JobView> {
        self.advance(now);
        let mut jobs: Vec<JobView> = self.jobs.values().map(JobView::of).collect();
        jobs.sort_by(|a, b| (b.submitted, &b.id).cmp(&(a.submitted, &a.id)));
        jobs
    }

    pub(crate) fn counts(&mut self, now: Duration) -> Counts {
        self.advance(now);
        Counts {
            in_queue: self.queue.len(),
            in_progress: self.index.running(),
            completed: self.totals.completed,
            failed: self.totals.failed,
            retried: self.totals.retried,
        }
    }

    pub(crate) fn worker_counts(&mut self, now: Duration) -> WorkerCounts {
        self.advance(now);
        self.workers
            .present(now)
            // RunPod ends a worker that has asked to be replaced.
            .filter(|(_, worker)| !worker.stop_pod || !worker.held.is_empty())
            .fold(WorkerCounts::default(), |mut counts, (_, worker)| {
                if worker.unhealthy.is_some() {
                    counts.unhealthy += 1;
                } else if !worker.held.is_empty() {
                    counts.running += 1;
                } else {
                    counts.idle += 1;
                    counts.ready += usize::from(worker.asks_for_work(now));
                }
                counts
            })
    }

    /// The workers that count as present, by id.
    pub(crate) fn workers(&self, now: Duration) -> impl Iterator<Item = (&WorkerId, &Worker)> {
        self.workers.present(now)
    }

    /// Bytes of payload held for all jobs.
    pub(crate) fn bytes(&self) -> usize {
        self.index.bytes()
    }
}
