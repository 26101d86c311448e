//! The order in which queued jobs are handed out.

use std::collections::BTreeMap;

use runpod_protocol::JobId;

/// A place in the queue; smaller is earlier.
pub(crate) type Position = i64;

/// First in, first out, except that a job whose worker was lost goes to the front.
#[derive(Clone, Debug, Default)]
pub(crate) struct Queue {
    jobs: BTreeMap<Position, JobId>,
    next_back: Position,
    next_front: Position,
}

impl Queue {
    pub(crate) fn push_back(&mut self, id: JobId) -> Position {
        let position = self.next_back;
        self.next_back += 1;
        self.jobs.insert(position, id);
        position
    }

    pub(crate) fn push_front(&mut self, id: JobId) -> Position {
        self.next_front -= 1;
        self.jobs.insert(self.next_front, id);
        self.next_front
    }

    pub(crate) fn remove(&mut self, position: Position) {
        self.jobs.remove(&position);
    }

    pub(crate) fn pop_first(&mut self) -> Option<JobId> {
        self.jobs.pop_first().map(|(_, id)| id)
    }

    pub(crate) fn len(&self) -> usize {
        self.jobs.len()
    }

    pub(crate) fn ids(&self) -> Vec<JobId> {
        self.jobs.values().cloned().collect()
    }
}
