//! What is due when, what can be forgotten first, and how much memory payloads take.

use std::collections::BTreeSet;
use std::time::Duration;

use runpod_protocol::JobId;

use super::job::{Job, Phase};
use crate::settings::EndpointSettings;

#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    deadlines: BTreeSet<(Duration, JobId)>,
    finals: BTreeSet<(Duration, JobId)>,
    running: usize,
    bytes: usize,
}

impl Index {
    pub(crate) fn insert(&mut self, job: &Job, settings: &EndpointSettings) {
        self.deadlines
            .insert((job.due(settings).0, JobId::clone(&job.id)));
        self.bytes += job.bytes();
        match job.phase {
            Phase::Final { at, .. } => {
                self.finals.insert((at, JobId::clone(&job.id)));
            }
            Phase::Running { .. } => self.running += 1,
            Phase::Queued(_) => {}
        }
    }

    /// Undoes [`insert`](Self::insert); `job` must be as it was then.
    pub(crate) fn remove(&mut self, job: &Job, settings: &EndpointSettings) {
        self.deadlines
            .remove(&(job.due(settings).0, JobId::clone(&job.id)));
        self.bytes -= job.bytes();
        match job.phase {
            Phase::Final { at, .. } => {
                self.finals.remove(&(at, JobId::clone(&job.id)));
            }
            Phase::Running { .. } => self.running -= 1,
            Phase::Queued(_) => {}
        }
    }

    pub(crate) fn next_deadline(&self) -> Option<(Duration, &JobId)> {
        self.deadlines.first().map(|(at, id)| (*at, id))
    }

    /// The job that has been final for longest.
    pub(crate) fn oldest_final(&self) -> Option<JobId> {
        self.finals.first().map(|(_, id)| JobId::clone(id))
    }

    pub(crate) fn running(&self) -> usize {
        self.running
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}
