//! The workers an endpoint has heard from.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use runpod_protocol::JobId;

use super::job::WorkerId;

/// A worker that holds nothing is forgotten after this long without a call.
const FORGET_AFTER: Duration = Duration::from_secs(90);
/// A worker counts as asking for work for this long after its last take: it may be about to send the next.
const BETWEEN_TAKES: Duration = Duration::from_secs(5);
/// Most workers remembered; past it the one silent for longest is forgotten.
const MOST_WORKERS: usize = 1000;
/// Most jobs a worker is remembered to stop, since older workers never ask.
const MOST_STOPS: usize = 1000;

/// What is known of one worker.
#[derive(Clone, Debug, Default)]
pub(crate) struct Worker {
    pub(crate) last_seen: Duration,
    pub(crate) last_ping: Option<Duration>,
    pub(crate) held: BTreeSet<JobId>,
    /// Takes of it that are held open.
    pub(crate) open_takes: usize,
    /// When its last take came or was answered; `None` before the first.
    pub(crate) last_take: Option<Duration>,
    /// Jobs it is to stop and has not been sent.
    pub(crate) stops: Vec<JobId>,
    /// Jobs it has been told to stop and may still list.
    pub(crate) told: BTreeSet<JobId>,
    /// Why it reported itself unhealthy.
    pub(crate) unhealthy: Option<String>,
    pub(crate) version: Option<String>,
    /// It asked to be replaced.
    pub(crate) stop_pod: bool,
}

impl Worker {
    /// Remembers a job that the worker is to stop. For a worker that never asks, only the latest are kept.
    pub(crate) fn remember_stop(&mut self, id: JobId) {
        if self.stops.len() == MOST_STOPS {
            self.stops.remove(0);
        }
        self.stops.push(id);
    }

    /// The jobs it is to stop, which count as told from now on.
    pub(crate) fn take_stops(&mut self) -> Vec<JobId> {
        let stops = std::mem::take(&mut self.stops);
        self.told.extend(stops.iter().cloned());
        while self.told.len() > MOST_STOPS {
            self.told.pop_first();
        }
        stops
    }

    /// Remembers again the stops of jobs that the worker still lists: it may have missed them. Of the others it has
    /// nothing to stop. Returns whether there are any.
    pub(crate) fn repeat_stops(&mut self, listed: &[JobId]) -> bool {
        self.told.retain(|id| listed.contains(id));
        let missed: Vec<JobId> = self
            .told
            .iter()
            .filter(|id| !self.stops.contains(id))
            .cloned()
            .collect();
        self.stops.extend(missed);
        !self.told.is_empty()
    }

    /// The job is the worker's again: no stop of an earlier attempt is meant for it.
    pub(crate) fn forget_stop(&mut self, id: &JobId) {
        self.stops.retain(|stop| stop != id);
        self.told.remove(id);
    }

    /// Whether it has asked for work a moment ago, or is asking.
    pub(crate) fn asks_for_work(&self, now: Duration) -> bool {
        let last = self.last_take.map(|at| now.saturating_sub(at));
        self.open_takes > 0 || last.is_some_and(|silent| silent <= BETWEEN_TAKES)
    }
}

/// Workers by id.
#[derive(Clone, Debug, Default)]
pub(crate) struct WorkerTable {
    workers: BTreeMap<WorkerId, Worker>,
}

impl WorkerTable {
    /// The worker's entry, made if it is new, with `now` as the time of its last call.
    pub(crate) fn seen(&mut self, now: Duration, id: &WorkerId) -> &mut Worker {
        let replaced = |worker: &Worker| worker.stop_pod && is_gone(worker, now);
        if self.workers.get(id).is_some_and(replaced) {
            // The id is used again, by a new worker.
            self.workers.remove(id);
        }
        if !self.workers.contains_key(id) {
            self.make_room(now);
        }
        let worker = self.workers.entry(WorkerId::clone(id)).or_default();
        worker.last_seen = now;
        worker
    }

    pub(crate) fn get(&self, id: &str) -> Option<&Worker> {
        self.workers.get(id)
    }

    pub(crate) fn get_mut(&mut self, id: &str) -> Option<&mut Worker> {
        self.workers.get_mut(id)
    }

    pub(crate) fn forget(&mut self, id: &str) {
        self.workers.remove(id);
    }

    /// The workers that count as present at `now`.
    pub(crate) fn present(&self, now: Duration) -> impl Iterator<Item = (&WorkerId, &Worker)> {
        self.workers
            .iter()
            .filter(move |(_, worker)| !is_gone(worker, now))
    }

    fn make_room(&mut self, now: Duration) {
        self.workers.retain(|_, worker| !is_gone(worker, now));
        if self.workers.len() >= MOST_WORKERS {
            let idle = self.workers.iter().filter(|(_, worker)| worker.held.is_empty());
            let oldest = idle
                .min_by_key(|(_, worker)| worker.last_seen)
                .map(|(id, _)| WorkerId::clone(id));
            oldest.and_then(|id| self.workers.remove(&id));
        }
    }
}

fn is_gone(worker: &Worker, now: Duration) -> bool {
    worker.held.is_empty() && worker.open_takes == 0 && now.saturating_sub(worker.last_seen) > FORGET_AFTER
}
