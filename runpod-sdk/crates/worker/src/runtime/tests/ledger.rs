//! Records the events of one worker, and checks their order.

use runpod_protocol::sync::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::events::{JobOutcome, WorkerEvent};
use crate::worker::Worker;

#[derive(Clone, Default)]
pub(super) struct Ledger {
    events: Arc<Mutex<Vec<WorkerEvent>>>,
}

/// The state of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Taken,
    Started,
    Finished,
    Settled,
}

impl Ledger {
    /// Records the events of `worker` in a new ledger.
    pub(super) fn of(worker: Worker) -> (Worker, Self) {
        let ledger = Self::default();
        let events = ledger.events.clone();
        let worker = worker.on_event(move |event| events.lock().push(event.clone()));
        (worker, ledger)
    }

    pub(super) fn events(&self) -> Vec<WorkerEvent> {
        self.events.lock().clone()
    }

    /// The events as text, without those about the concurrency and empty takes.
    pub(super) fn lines(&self) -> Vec<String> {
        self.events()
            .iter()
            .filter(|event| {
                !matches!(
                    event,
                    WorkerEvent::SlotsChanged { .. } | WorkerEvent::TakeEmpty { .. }
                )
            })
            .map(ToString::to_string)
            .collect()
    }

    /// Checks that every job went through its events in order and once; with `all_settled`, that each
    /// came to its end.
    pub(super) fn check(&self, all_settled: bool) {
        let events = self.events();
        let mut stages: BTreeMap<String, Stage> = BTreeMap::new();
        for event in &events {
            let (job, before, after) = match event {
                WorkerEvent::JobTaken { job, .. } => {
                    let before = stages.insert(job.to_string(), Stage::Taken);
                    assert!(
                        matches!(before, None | Some(Stage::Settled)),
                        "{job} was taken twice"
                    );
                    continue;
                }
                WorkerEvent::JobStarted { job, .. } => (job, vec![Stage::Taken], Stage::Started),
                WorkerEvent::JobFinished(summary) => {
                    let after = match summary.outcome {
                        JobOutcome::Stopped | JobOutcome::Abandoned => Stage::Settled,
                        _ => Stage::Finished,
                    };
                    (&summary.id, vec![Stage::Taken, Stage::Started], after)
                }
                WorkerEvent::ProgressSent { job, .. } | WorkerEvent::ChunkSent { job, .. } => {
                    (job, vec![Stage::Started], Stage::Started)
                }
                WorkerEvent::DeliveryRetried { job, .. } => (job, vec![Stage::Finished], Stage::Finished),
                WorkerEvent::ResultDelivered { job, .. }
                | WorkerEvent::ResultKept { job, .. }
                | WorkerEvent::ResultLost { job, .. } => (job, vec![Stage::Finished], Stage::Settled),
                _ => continue,
            };
            let now = stages.insert(job.to_string(), after);
            assert!(
                now.is_some_and(|now| before.contains(&now)),
                "{event} came at {now:?}"
            );
        }
        if all_settled {
            for (job, stage) in stages {
                assert_eq!(stage, Stage::Settled, "{job} never came to its end");
            }
        }
        assert!(matches!(events.first(), Some(WorkerEvent::Started { .. })));
        assert!(matches!(events.last(), Some(WorkerEvent::Stopped { .. })));
    }
}
