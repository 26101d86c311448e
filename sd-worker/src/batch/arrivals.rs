//! Which jobs of this worker are on their way to a batch.
//!
//! Jobs that were taken together arrive one after another: each is read, its pictures are fetched, its names looked up.
//! An idle GPU waits a moment for them, and never for a job that was not taken.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use runpod_sdk::JobId;
use runpod_sdk::events::WorkerEvent;
use tokio::sync::Notify;

/// The jobs of this worker. Its clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Arrivals {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    jobs: Mutex<Jobs>,
    changed: Notify,
}

/// It is pure.
#[derive(Debug, Default)]
struct Jobs {
    stages: HashMap<JobId, Stage>,
    /// The number of jobs that may run at once.
    slots: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It was taken and has not arrived.
    Coming,
    /// It waits for the GPU or is rendered, and keeps its slot.
    Here,
    /// It has its answer, and its slot is soon free.
    Leaving,
}

impl Arrivals {
    /// Takes an event of the worker into account.
    pub(crate) fn note(&self, event: &WorkerEvent) {
        {
            let mut jobs = self.shared.jobs.lock();
            match event {
                WorkerEvent::Started { slots, .. } | WorkerEvent::SlotsChanged { slots, .. } => {
                    jobs.slots = *slots;
                }
                WorkerEvent::JobTaken { job, .. } => jobs.set(job, Stage::Coming),
                WorkerEvent::JobFinished(job) => {
                    jobs.stages.remove(&job.id);
                }
                _ => return,
            }
        }
        self.shared.changed.notify_waiters();
    }

    /// The job waits for the GPU.
    pub(crate) fn arrived(&self, job: &JobId) {
        self.set(job, Stage::Here);
    }

    /// The job has its answer.
    pub(super) fn answered(&self, job: &JobId) {
        self.set(job, Stage::Leaving);
    }

    fn set(&self, job: &JobId, stage: Stage) {
        self.shared.jobs.lock().change(job, stage);
        self.shared.changed.notify_waiters();
    }

    /// The number of jobs that were taken, and will arrive without a running one having to end first.
    pub(super) fn coming(&self) -> usize {
        self.shared.jobs.lock().coming()
    }

    /// Waits for the next change. A change after this call is not missed, even before the first poll.
    pub(super) fn changed(&self) -> impl Future<Output = ()> {
        self.shared.changed.notified()
    }
}

impl Jobs {
    fn set(&mut self, job: &JobId, stage: Stage) {
        self.stages.insert(job.clone(), stage);
    }

    /// Changes the stage of a job that was taken. Jobs of other origins, such as a local one, are not followed.
    fn change(&mut self, job: &JobId, stage: Stage) {
        if let Some(known) = self.stages.get_mut(job) {
            *known = stage;
        }
    }

    fn coming(&self) -> usize {
        let count = |wanted| self.stages.values().filter(|stage| **stage == wanted).count();
        count(Stage::Coming).min(self.slots.saturating_sub(count(Stage::Here)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(number: usize) -> JobId {
        JobId::from(format!("job-{number}"))
    }

    #[test]
    fn jobs_come_until_they_have_arrived() {
        let mut jobs = Jobs {
            slots: 4,
            ..Jobs::default()
        };
        assert_eq!(jobs.coming(), 0);
        for number in 0..3 {
            jobs.set(&id(number), Stage::Coming);
        }
        jobs.change(&id(0), Stage::Here);
        assert_eq!(jobs.coming(), 2);
        jobs.stages.remove(&id(1));
        jobs.change(&id(2), Stage::Here);
        assert_eq!(jobs.coming(), 0);
    }

    #[test]
    fn a_job_that_waits_for_the_slot_of_a_running_one_does_not_come() {
        let mut jobs = Jobs {
            slots: 2,
            ..Jobs::default()
        };
        for number in 0..2 {
            jobs.set(&id(number), Stage::Here);
        }
        jobs.set(&id(2), Stage::Coming);
        assert_eq!(jobs.coming(), 0, "taken ahead of a slot");
        jobs.change(&id(0), Stage::Leaving);
        assert_eq!(jobs.coming(), 1);
    }

    proptest! {
        #[test]
        fn a_job_that_is_alone_waits_for_none(slots in 1..9_usize, left in 0..9_usize) {
            let mut jobs = Jobs { slots, ..Jobs::default() };
            for number in 0..left {
                jobs.set(&id(number), Stage::Leaving);
            }
            jobs.set(&id(100), Stage::Here);
            prop_assert_eq!(jobs.coming(), 0);
        }
    }
}
