//! The workers an endpoint has heard from.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use runpod_protocol::JobId;

use super::job::WorkerId;

/// A worker that holds nothing is forgotten after this long without a call.
const FORGET_AFTER: Duration = Duration::from_secs(90);
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
    /// Jobs it is to stop and has not been sent.
    pub(crate) stops: Vec<JobId>,
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
}

/// Workers by id.
#[derive(Clone, Debug, Default)]
pub(crate) struct WorkerTable {
    workers: BTreeMap<WorkerId, Worker>,
}

impl WorkerTable {
    /// The worker's entry, made if it is new, with `now` as the time of its last call.
    pub(crate) fn seen(&mut self, now: Duration, id: &WorkerId) -> &mut Worker {
        if !self.workers.contains_key(id) {
            self.make_room(now);
        }
        let worker = self.workers.entry(WorkerId::clone(id)).or_default();
        worker.last_seen = now;
        worker
    }

    pub(crate) fn get_mut(&mut self, id: &str) -> Option<&mut Worker> {
        self.workers.get_mut(id)
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
    worker.held.is_empty() && now.saturating_sub(worker.last_seen) > FORGET_AFTER
}
