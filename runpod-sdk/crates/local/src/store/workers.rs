//! What workers do to jobs.

use std::time::Duration;

use bytes::Bytes;
use runpod_protocol::{JobId, JobStatus};

use super::job::{Phase, WorkerId};
use super::worker_table::Worker;
use super::{Ending, Event, SharedRequest, Store};
use crate::observed::JobChange;
use crate::received::PostedResult;
use crate::settings::JobsOf;
use crate::violation::ViolationKind;

/// One job handed to one worker.
#[derive(Clone, Debug)]
pub(crate) struct Lease {
    pub(crate) id: JobId,
    pub(crate) request: SharedRequest,
    attempt: u32,
    /// A fault hands the job out once more.
    pub(crate) again: bool,
}

/// What became of something a worker posted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Accepted,
    /// The post is of no use any more. The worker need not act on it.
    Discarded,
    UnknownJob,
    /// Too many chunks of this job wait to be read; later there may be room.
    Backlog,
}

impl Store {
    /// Hands out up to `at_most` queued jobs. Until [`delivered`](Self::delivered) they may be put back.
    ///
    /// A worker that has asked to be replaced gets none.
    pub(crate) fn take(&mut self, now: Duration, worker: &WorkerId, at_most: usize) -> Vec<Lease> {
        self.advance(now);
        let mut leases = Vec::new();
        if self.is_replaced(worker) {
            if self.queue.len() > 0 {
                // It was woken in place of another worker.
                self.events.push(Event::Queued);
            }
            return leases;
        }
        while leases.len() < at_most
            && let Some(id) = self.again.pop_front()
        {
            leases.extend(self.hand_out_again(now, worker, &id));
        }
        while leases.len() < at_most
            && let Some(id) = self.queue.pop_first()
        {
            leases.extend(self.hand_out(now, worker, &id));
        }
        leases
    }

    /// A fault: the next worker that asks gets this job, although another one has it or has done it.
    pub(crate) fn deliver_again(&mut self, id: &JobId) {
        self.again.push_back(JobId::clone(id));
        self.events.push(Event::Queued);
    }

    fn hand_out_again(&mut self, now: Duration, worker: &WorkerId, id: &JobId) -> Option<Lease> {
        self.jobs
            .get(id)
            .filter(|job| !matches!(job.phase, Phase::Queued(_)))?;
        self.seen(now, worker);
        self.observations.job(now, id, || JobChange::TakenAgain {
            worker: WorkerId::clone(worker),
        });
        self.change(id, |job| {
            job.also.push(WorkerId::clone(worker));
            Lease {
                id: JobId::clone(&job.id),
                request: SharedRequest::clone(&job.request),
                attempt: job.attempt,
                again: true,
            }
        })
    }

    fn hand_out(&mut self, now: Duration, worker: &WorkerId, id: &JobId) -> Option<Lease> {
        self.seen(now, worker).forget_stop(id);
        self.events.push(Event::Changed(JobId::clone(id)));
        self.observations.job(now, id, || JobChange::Taken {
            worker: WorkerId::clone(worker),
        });
        self.change(id, |job| {
            job.phase = Phase::Running {
                worker: WorkerId::clone(worker),
                since: now,
                seen: now,
            };
            job.attempt += 1;
            job.also.clear();
            job.delay = Some(now.saturating_sub(job.submitted));
            job.worker = Some(WorkerId::clone(worker));
            Lease {
                id: JobId::clone(&job.id),
                request: SharedRequest::clone(&job.request),
                attempt: job.attempt,
                again: false,
            }
        })
    }

    /// The jobs are on their way: from now on the worker is held to having them.
    pub(crate) fn delivered(&mut self, worker: &WorkerId, leases: &[Lease]) {
        for lease in leases {
            if self.is_current(worker, lease)
                && let Some(worker) = self.workers.get_mut(worker)
            {
                worker.held.insert(JobId::clone(&lease.id));
            }
        }
    }

    /// Puts jobs that did not reach the worker back at the front of the queue, in their old order.
    pub(crate) fn put_back(&mut self, now: Duration, worker: &WorkerId, leases: &[Lease]) {
        self.advance(now);
        for lease in leases.iter().rev() {
            if lease.again {
                self.change(&lease.id, |job| job.also.retain(|other| other != worker));
            } else if self.is_current(worker, lease) {
                self.observations.job(now, &lease.id, || JobChange::Returned);
                self.requeue_first(&lease.id);
                self.change(&lease.id, |job| {
                    job.delay = None;
                    job.worker = None;
                });
            }
        }
    }

    fn is_current(&self, worker: &WorkerId, lease: &Lease) -> bool {
        self.jobs
            .get(&lease.id)
            .is_some_and(|job| job.is_held_by(worker) && job.attempt == lease.attempt)
    }

    /// Whether the worker has asked to be replaced: the platform ends it.
    pub(crate) fn is_replaced(&self, worker: &WorkerId) -> bool {
        self.workers.get(worker).is_some_and(|worker| worker.stop_pod)
    }

    /// A take of a worker has been answered, or the worker has hung up.
    pub(crate) fn worker_asked(&mut self, now: Duration, worker: &WorkerId) {
        if let Some(worker) = self.workers.get_mut(worker) {
            worker.open_takes = worker.open_takes.saturating_sub(1);
            worker.last_take = Some(now);
        }
    }

    /// A worker asks for work and says whether it is busy. [`worker_asked`](Self::worker_asked) follows.
    pub(crate) fn worker_asks(&mut self, now: Duration, worker: &WorkerId, says_busy: bool) {
        self.advance(now);
        self.observations.worker_asked(now, worker);
        let entry = self.seen(now, worker);
        entry.open_takes += 1;
        entry.last_take = Some(now);
        let holding = entry.held.first().cloned();
        if let Some(job) = holding
            && !says_busy
        {
            self.record_violation(now, worker, &job, ViolationKind::IdleWhileHolding);
        }
    }

    /// A worker posts a job's result.
    pub(crate) fn finish(
        &mut self,
        now: Duration,
        worker: &WorkerId,
        id: &JobId,
        result: PostedResult,
    ) -> Verdict {
        let verdict = self.judge(now, worker, id, ViolationKind::SecondResult);
        if result.stop_pod {
            self.seen(now, worker).stop_pod = true;
        }
        if verdict == Verdict::Accepted {
            if result.error_is_no_text {
                self.record_violation(now, worker, id, ViolationKind::ErrorIsNoText);
            }
            let status = if result.error.is_some() {
                self.totals.failed += 1;
                JobStatus::Failed
            } else {
                self.totals.completed += 1;
                JobStatus::Completed
            };
            let PostedResult { output, error, .. } = result;
            self.end(
                now,
                id,
                Ending {
                    status,
                    output,
                    error,
                    by_worker: true,
                },
            );
        }
        verdict
    }

    /// A worker posts a progress update; the latest one counts.
    pub(crate) fn progress(
        &mut self,
        now: Duration,
        worker: &WorkerId,
        id: &JobId,
        update: Option<Bytes>,
    ) -> Verdict {
        let verdict = self.judge(now, worker, id, ViolationKind::ProgressAfterResult);
        if verdict == Verdict::Accepted {
            self.sign_of_life(now, id);
            self.observations.job(now, id, || JobChange::Progress {
                output: update.clone(),
            });
            self.change(id, |job| {
                if let Phase::Running { since, .. } = job.phase {
                    job.execution = Some(now.saturating_sub(since));
                }
                job.output = update;
            });
            self.events.push(Event::Changed(JobId::clone(id)));
        }
        verdict
    }

    /// A worker posts chunks of a stream, all of them or none.
    pub(crate) fn push_chunks(
        &mut self,
        now: Duration,
        worker: &WorkerId,
        id: &JobId,
        chunks: Vec<Bytes>,
    ) -> Verdict {
        let verdict = self.judge(now, worker, id, ViolationKind::ChunkAfterResult);
        if verdict != Verdict::Accepted {
            return verdict;
        }
        self.sign_of_life(now, id);
        let most = self.settings.max_unread_chunks;
        let posted = chunks.clone();
        let pushed = self.change(id, |job| {
            let room = job.chunks.len() + chunks.len() <= most || job.chunks.is_empty();
            if room {
                for chunk in chunks {
                    job.chunks.push(chunk);
                }
            }
            room
        });
        if pushed != Some(true) {
            return Verdict::Backlog;
        }
        for output in posted {
            self.observations.job(now, id, || JobChange::Chunk { output });
        }
        self.events.push(Event::Changed(JobId::clone(id)));
        Verdict::Accepted
    }

    /// A worker says it lives and names the jobs it has.
    pub(crate) fn ping(&mut self, now: Duration, worker: &WorkerId, jobs: &[JobId], version: Option<&str>) {
        self.advance(now);
        let entry = self.seen(now, worker);
        entry.last_ping = Some(now);
        entry.unhealthy = None;
        entry.version = version.map(str::to_owned);
        if entry.repeat_stops(jobs) {
            self.events.push(Event::Stop(WorkerId::clone(worker)));
        }
        for id in jobs {
            if self.jobs.get(id).is_some_and(|job| job.is_held_by(worker)) {
                self.sign_of_life(now, id);
            }
        }
    }

    /// A worker reports that it cannot work.
    pub(crate) fn unhealthy(&mut self, now: Duration, worker: &WorkerId, reason: String) {
        self.advance(now);
        self.seen(now, worker).unhealthy = Some(reason);
    }

    /// A worker's process has ended: its jobs get another one, and it is forgotten.
    pub(crate) fn worker_ended(&mut self, now: Duration, worker: &str, jobs: JobsOf) {
        self.advance(now);
        // By attempt, because a job that was handed out and not delivered is not in the worker's list.
        let mut held: Vec<(Duration, JobId, u32)> = Vec::new();
        for job in self.jobs.values() {
            if let Phase::Running {
                worker: holder,
                since,
                ..
            } = &job.phase
                && **holder == *worker
            {
                held.push((*since, JobId::clone(&job.id), job.retries));
            }
        }
        // The oldest is put in front last, so that it is the first again.
        held.sort_by(|a, b| (b.0, &b.1).cmp(&(a.0, &a.1)));
        for (_, id, retries) in held {
            match jobs {
                JobsOf::Lost => self.requeue_lost(now, &id, retries),
                JobsOf::Replaced => {
                    self.observations.job(now, &id, || JobChange::WorkerLost);
                    self.requeue_first(&id);
                }
            }
        }
        self.workers.forget(worker);
        self.observations.worker_called(now, &WorkerId::from(worker));
    }

    /// Hands out the jobs that a worker is to stop, each once.
    pub(crate) fn take_stops(&mut self, now: Duration, worker: &WorkerId) -> Vec<JobId> {
        self.advance(now);
        self.seen(now, worker).take_stops()
    }

    /// Puts stops that did not reach the worker back, unless it no longer matters.
    pub(crate) fn put_back_stops(&mut self, worker: &WorkerId, stops: Vec<JobId>) {
        let still_meant: Vec<JobId> = stops
            .into_iter()
            .filter(|id| !self.jobs.get(id).is_some_and(|job| job.is_held_by(worker)))
            .collect();
        if let Some(entry) = self.workers.get_mut(worker)
            && !still_meant.is_empty()
        {
            entry.stops.splice(0..0, still_meant);
            self.events.push(Event::Stop(WorkerId::clone(worker)));
        }
    }

    /// The worker's entry, with `now` as the time of its last call.
    fn seen(&mut self, now: Duration, worker: &WorkerId) -> &mut Worker {
        self.observations.worker_called(now, worker);
        self.workers.seen(now, worker)
    }

    fn sign_of_life(&mut self, now: Duration, id: &JobId) {
        self.change(id, |job| {
            if let Phase::Running { seen, .. } = &mut job.phase {
                *seen = now;
            }
        });
    }

    /// Whether a worker may report about a job now. `late` is what it is called after the worker's own result.
    fn judge(&mut self, now: Duration, worker: &WorkerId, id: &JobId, late: ViolationKind) -> Verdict {
        self.advance(now);
        self.seen(now, worker);
        let (verdict, violation) = match self.jobs.get(id) {
            Some(job) if job.is_held_by(worker) => (Verdict::Accepted, None),
            Some(job) => match job.phase {
                // Of a job that was handed out twice, two results are no mistake.
                Phase::Final { by_worker: true, .. } if job.also.is_empty() => {
                    (Verdict::Discarded, Some(late))
                }
                Phase::Final { .. } => (Verdict::Discarded, None),
                Phase::Queued(_) | Phase::Running { .. } => {
                    (Verdict::Discarded, Some(ViolationKind::JobNotHeld))
                }
            },
            None if self.forgotten.contains(id) => (Verdict::Discarded, None),
            None => (Verdict::UnknownJob, Some(ViolationKind::UnknownJob)),
        };
        if let Some(kind) = violation {
            self.record_violation(now, worker, id, kind);
        }
        verdict
    }
}
