//! The jobs of one endpoint: a state machine without I/O and without a clock of its own.
//!
//! Every operation first lets the time up to `now` pass, so that its answer is true at `now` even if no timer has
//! fired in between. [`Store::events`] lists what has to happen outside.

mod chunks;
mod clients;
mod index;
mod job;
mod queue;
mod view;
mod worker_table;
mod workers;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use runpod_protocol::{JobId, JobStatus, json};

pub(crate) use self::clients::{NotRetried, StoreFull};
pub(crate) use self::job::{Origin, WorkerId};
pub(crate) use self::view::{ChunkPage, JobView};
pub(crate) use self::worker_table::Worker;
pub(crate) use self::workers::{Lease, Verdict};

use self::index::Index;
use self::job::{Due, Job, Phase};
use self::queue::Queue;
use self::worker_table::WorkerTable;
use crate::observed::{JobChange, Observations};
use crate::settings::{EndpointSettings, ExecutionEnd, TtlEnd};
use crate::violation::{Violation, ViolationKind, ViolationLog};

/// Most ids of deleted jobs remembered, so that late reports about them are no surprise.
const FORGOTTEN: usize = 256;

/// Something outside the store has to happen.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// One more job waits to be taken.
    Queued,
    /// A job's state, progress or chunks changed, or it is gone.
    Changed(JobId),
    /// A worker has jobs to stop.
    Stop(WorkerId),
    /// A job with a webhook became final.
    Webhook(Box<JobView>),
}

#[derive(Clone, Debug)]
pub(crate) struct Store {
    settings: EndpointSettings,
    jobs: HashMap<JobId, Job>,
    index: Index,
    queue: Queue,
    /// Jobs that a fault hands out once more.
    again: VecDeque<JobId>,
    workers: WorkerTable,
    violations: ViolationLog,
    forgotten: VecDeque<JobId>,
    totals: Totals,
    events: Vec<Event>,
    pub(crate) observations: Observations,
}

/// Counters that only grow.
#[derive(Clone, Copy, Debug, Default)]
struct Totals {
    completed: u64,
    failed: u64,
    retried: u64,
}

/// How a job ends.
struct Ending {
    status: JobStatus,
    output: Option<Bytes>,
    error: Option<Bytes>,
    by_worker: bool,
}

impl Ending {
    /// An end the platform or a client decided on.
    fn decreed(status: JobStatus, error: Option<&str>) -> Self {
        Self {
            status,
            output: None,
            error: error.map(json::string),
            by_worker: false,
        }
    }
}

impl Store {
    pub(crate) fn new(settings: EndpointSettings) -> Self {
        Self {
            settings,
            jobs: HashMap::new(),
            index: Index::default(),
            queue: Queue::default(),
            again: VecDeque::new(),
            workers: WorkerTable::default(),
            violations: ViolationLog::default(),
            forgotten: VecDeque::new(),
            totals: Totals::default(),
            events: Vec::new(),
            observations: Observations::default(),
        }
    }

    /// What has to happen outside since the last call.
    pub(crate) fn events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// When [`advance`](Self::advance) has something to do next.
    pub(crate) fn next_deadline(&self) -> Option<Duration> {
        self.index.next_deadline().map(|(at, _)| at)
    }

    /// Lets the time up to `now` pass: every deadline takes effect at its own moment, in order.
    pub(crate) fn advance(&mut self, now: Duration) {
        while let Some((at, id)) = self.index.next_deadline()
            && at <= now
        {
            let id = JobId::clone(id);
            self.fall_due(at, &id);
        }
    }

    fn fall_due(&mut self, at: Duration, id: &JobId) {
        let Some(job) = self.jobs.get(id) else { return };
        match job.due(&self.settings).1 {
            Due::Retention => self.delete(at, id),
            Due::Expiry => {
                self.totals.failed += 1;
                self.stop_worker_of(id);
                match self.settings.ttl_end {
                    TtlEnd::TimedOut => self.end(at, id, Ending::decreed(JobStatus::TimedOut, None)),
                    TtlEnd::Deleted => {
                        self.release(id);
                        self.remember_forgotten(id);
                        self.delete(at, id);
                    }
                }
            }
            Due::ExecutionLimit => {
                self.totals.failed += 1;
                self.stop_worker_of(id);
                let status = match self.settings.execution_end {
                    ExecutionEnd::Failed => JobStatus::Failed,
                    ExecutionEnd::TimedOut => JobStatus::TimedOut,
                };
                self.end(at, id, Ending::decreed(status, Some("executionTimeout exceeded")));
            }
            Due::Lost => self.lose(at, id),
        }
    }

    /// The worker of a running job has been silent for too long.
    fn lose(&mut self, at: Duration, id: &JobId) {
        let Some(job) = self.jobs.get(id) else { return };
        let retries = job.retries;
        if let Phase::Running { worker, .. } = &job.phase {
            let worker = WorkerId::clone(worker);
            self.record_violation(at, &worker, id, ViolationKind::MissingPings);
        }
        self.requeue_lost(at, id, retries);
    }

    /// A job whose worker is gone gets another one, unless it has lost too many.
    fn requeue_lost(&mut self, at: Duration, id: &JobId, retries: u32) {
        if retries < self.settings.retry_limit {
            self.totals.retried += 1;
            self.observations.job(at, id, || JobChange::WorkerLost);
            self.requeue_first(id);
            self.change(id, |job| job.retries += 1);
        } else {
            self.totals.failed += 1;
            let error = format!("job timed out after {retries} retries");
            self.end(at, id, Ending::decreed(JobStatus::Failed, Some(&error)));
        }
    }

    /// Makes a job final. Counters are the caller's.
    fn end(&mut self, at: Duration, id: &JobId, ending: Ending) {
        self.release(id);
        self.observations.job(at, id, || JobChange::Ended {
            status: ending.status.clone(),
            output: ending.output.clone(),
            error: ending.error.clone(),
        });
        let view = self.change(id, |job| {
            if let Phase::Running { since, .. } = job.phase {
                job.execution = Some(at.saturating_sub(since));
            }
            let Ending {
                status,
                output,
                error,
                by_worker,
            } = ending;
            job.phase = Phase::Final {
                status,
                at,
                by_worker,
            };
            job.output = output;
            job.error = error;
            job.request.webhook.is_some().then(|| JobView::of(job))
        });
        self.events.push(Event::Changed(JobId::clone(id)));
        if let Some(Some(view)) = view {
            self.events.push(Event::Webhook(Box::new(view)));
        }
        self.trim(at);
    }

    /// Puts a running job at the front of the queue, as if no worker had taken it yet.
    fn requeue_first(&mut self, id: &JobId) {
        self.release(id);
        let position = self.queue.push_front(JobId::clone(id));
        self.change(id, |job| {
            job.phase = Phase::Queued(position);
            job.execution = None;
            job.output = None;
        });
        self.events
            .extend([Event::Queued, Event::Changed(JobId::clone(id))]);
    }

    /// Takes a live job out of the queue or out of its worker's hands. The phase is the caller's.
    fn release(&mut self, id: &JobId) {
        match self.jobs.get(id).map(|job| &job.phase) {
            Some(Phase::Queued(position)) => self.queue.remove(*position),
            Some(Phase::Running { .. }) => {
                for worker in self.holders_of(id) {
                    if let Some(worker) = self.workers.get_mut(&worker) {
                        worker.held.remove(id);
                    }
                }
            }
            Some(Phase::Final { .. }) | None => {}
        }
    }

    /// Notes that the workers that hold the job, if any do, are to stop it.
    fn stop_worker_of(&mut self, id: &JobId) {
        for worker in self.holders_of(id) {
            if let Some(holder) = self.workers.get_mut(&worker) {
                holder.remember_stop(JobId::clone(id));
                self.events.push(Event::Stop(worker));
            }
        }
    }

    /// The workers that have a running job: one, unless a fault handed it out twice.
    fn holders_of(&self, id: &JobId) -> Vec<WorkerId> {
        match self.jobs.get(id) {
            Some(Job {
                phase: Phase::Running { worker, .. },
                also,
                ..
            }) => also.iter().chain([worker]).cloned().collect(),
            _ => Vec::new(),
        }
    }

    /// Changes a job and keeps the index true. Every change of a stored job goes through here.
    fn change<R>(&mut self, id: &JobId, change: impl FnOnce(&mut Job) -> R) -> Option<R> {
        let job = self.jobs.get_mut(id)?;
        self.index.remove(job, &self.settings);
        let result = change(job);
        self.index.insert(job, &self.settings);
        Some(result)
    }

    fn insert(&mut self, job: Job) {
        self.index.insert(&job, &self.settings);
        self.jobs.insert(JobId::clone(&job.id), job);
    }

    fn delete(&mut self, at: Duration, id: &JobId) {
        if let Some(job) = self.jobs.remove(id) {
            self.observations.job(at, id, || JobChange::Forgotten);
            self.index.remove(&job, &self.settings);
            self.events.push(Event::Changed(JobId::clone(id)));
        }
    }

    fn remember_forgotten(&mut self, id: &JobId) {
        if self.forgotten.len() == FORGOTTEN {
            self.forgotten.pop_front();
        }
        self.forgotten.push_back(JobId::clone(id));
    }

    /// Forgets the oldest finished jobs until the rest fits. Live jobs are never forgotten.
    fn trim(&mut self, now: Duration) {
        while self.jobs.len() > self.settings.max_jobs || self.index.bytes() > self.settings.max_bytes {
            let Some(oldest) = self.index.oldest_final() else {
                return;
            };
            self.delete(now, &oldest);
        }
    }

    pub(crate) fn violations(&self) -> Vec<Violation> {
        self.violations.to_vec()
    }

    /// Records what a worker did against the protocol.
    pub(crate) fn record_violation(&mut self, now: Duration, worker: &str, job: &JobId, kind: ViolationKind) {
        let violation = Violation {
            at: now,
            worker: worker.to_owned(),
            job: Some(job.to_string()),
            kind,
        };
        self.observations.violation(&violation);
        self.violations.record(violation);
    }
}

/// A stored job's request. The answers under way share it.
type SharedRequest = Arc<crate::received::ReceivedJob>;
