//! The first step of a job: its slot, and what the journal has of an earlier run.

use futures_util::future::BoxFuture;
use tracing::info;

use super::cancelled::cancelled_outcome;
use crate::context::Cancel;
use crate::job::{JobId, Outcome};
use crate::journal::{Claim, StartDecision};
use crate::runtime::Runtime;
use crate::runtime::slots::Slot;

/// A slot, or the wait for one.
pub(in crate::runtime) enum SlotOrWait {
    /// A slot that was free when the job was taken.
    Slot(Slot),
    /// The wait in the queue for a slot: the job was taken ahead, or the platform sent more than were asked for.
    Wait(BoxFuture<'static, Slot>),
}

/// Whether a job's handler is called.
pub(super) enum Admission {
    /// It is called, in this slot.
    Run(Slot),
    /// It is not called; this is the job's outcome.
    Answer(Outcome),
}

/// Waits for the job's slot and looks it up in the journal. A cancellation ends both waits: the journal may be slow, or
/// wait for an earlier run of the job.
pub(super) async fn admit(
    runtime: &Runtime,
    id: &JobId,
    slot: SlotOrWait,
    cancel: &Cancel,
) -> (Admission, Option<Claim>) {
    let admitted = async {
        let slot = match slot {
            SlotOrWait::Slot(slot) => slot,
            SlotOrWait::Wait(slot) => slot.await,
        };
        match runtime.journal.begin(id).await {
            (StartDecision::Run, claim) => (Admission::Run(slot), claim),
            (StartDecision::Answer(outcome), claim) => (Admission::Answer(outcome), claim),
        }
    };
    tokio::select! {
        biased;
        reason = cancel.cancelled() => {
            info!("Stopping job: it had not begun.");
            (Admission::Answer(cancelled_outcome(runtime, Some(reason), None, None)), None)
        }
        admitted = admitted => admitted,
    }
}
