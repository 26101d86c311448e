//! One job: admit → start → call the handler → supervise → finish → deliver.

mod admit;
mod call;
mod cancelled;
mod chunk_list;
mod finish;
mod python;
mod slot_in_use;
mod start;
mod supervise;

use std::sync::Arc;

use tracing::Instrument;

use self::admit::{Admission, admit};
use self::call::call;
use self::finish::{JobRecord, finish, finish_unstarted};
use self::start::start;
use self::supervise::supervise;
use super::deliver::{Delivery, deliver};
use super::{Runtime, span};
use crate::context::{Cancel, Timeline};
use crate::job::{Job, Outcome};
use crate::telemetry;

pub(super) use self::admit::SlotOrWait;
pub(super) use self::python::PythonResults;

/// A job that was just taken and added to the active jobs.
pub(super) struct TakenJob {
    pub(super) job: Job,
    pub(super) slot: SlotOrWait,
    pub(super) cancel: Cancel,
    pub(super) timeline: Timeline,
}

/// Runs a job, delivers its result, and releases it. A job that is not settled stays active and is left for another
/// worker.
pub(super) async fn run(runtime: Arc<Runtime>, taken: TakenJob) {
    let span = span::of(&taken.job);
    let id = taken.job.id().clone();
    if follow(&runtime, taken).instrument(span).await {
        runtime.active_jobs.release(&id);
    }
}

/// Follows a job through all its steps. Returns whether it is settled.
async fn follow(runtime: &Runtime, taken: TakenJob) -> bool {
    telemetry::keep_last_lines(runtime.settings.log_tail);
    let TakenJob {
        job,
        slot,
        cancel,
        timeline,
    } = taken;
    let record = JobRecord {
        id: job.id().clone(),
        batch: job.batch_id().map(str::to_owned),
        timeline,
    };

    let (admission, claim) = match job.refusal() {
        Some(error) => {
            // Its slot is free for the next job.
            drop(slot);
            (Admission::Answer(Outcome::Failed(error)), None)
        }
        None => admit(runtime, &record.id, slot, &cancel).await,
    };
    let ended = match admission {
        Admission::Run(slot) => {
            let started = start(runtime, job, slot, &cancel, &record.timeline);
            let handler = call(runtime, started.call);
            let delivery = Delivery::open(runtime, &record.id, started.updates);
            // Chunks and progress are posted while the handler runs.
            let outcome = delivery
                .pump_while(supervise(runtime, handler, &cancel, started.deadline))
                .await;
            finish(runtime, record, outcome, started.run)
        }
        Admission::Answer(outcome) => finish_unstarted(runtime, record, outcome),
    };
    deliver(runtime, &ended, claim).await
}
