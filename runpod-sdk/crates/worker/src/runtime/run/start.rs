//! The second step of a job: its deadline, its context, and the channels for what its handler sends.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Weak};

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tracing::info;

use super::slot_in_use::{RunFlags, SlotInUse};
use crate::context::{Cancel, Context, ContextParts, Lease, Timeline, point};
use crate::events::WorkerEvent;
use crate::job::Job;
use crate::json::RawJson;
use crate::runtime::Runtime;
use crate::runtime::deliver::JobUpdates;
use crate::runtime::slots::Slot;

/// Chunks that may wait for delivery before the handler's stream has to.
const CHUNKS_AHEAD: usize = 64;

/// A job that is ready for the call of its handler.
pub(super) struct StartedJob {
    pub(super) call: HandlerCall,
    pub(super) updates: JobUpdates,
    pub(super) deadline: Option<Instant>,
    pub(super) run: StartedRun,
}

/// What the handler is called with.
pub(super) struct HandlerCall {
    pub(super) input: RawJson,
    pub(super) context: Context,
    pub(super) chunks: mpsc::Sender<RawJson>,
    pub(super) slot: Arc<SlotInUse>,
}

/// What the end of the run needs of its start.
pub(super) struct StartedRun {
    pub(super) flags: RunFlags,
    /// For the hooks after the job. `None` without such hooks, because a context holds the input.
    pub(super) context_after: Option<Context>,
}

/// Starts a job in `slot` and announces it.
pub(super) fn start(
    runtime: &Runtime,
    job: Job,
    slot: Slot,
    cancel: &Cancel,
    timeline: &Timeline,
) -> StartedJob {
    let deadline = deadline_of(runtime, &job);
    info!("Started.");
    timeline.mark(point::HANDLER_STARTED);
    runtime.events.emit(|| WorkerEvent::JobStarted {
        job: job.id().clone(),
        waited: timeline.age(),
    });
    let flags = RunFlags {
        streams: Arc::default(),
        refresh: Arc::new(AtomicBool::new(runtime.settings.refresh)),
    };
    let slot = Arc::new(SlotInUse::new(runtime, job.id(), cancel, &flags, slot));
    let lease: Weak<Lease> = Arc::downgrade(&(slot.clone() as Arc<Lease>));
    let (progress_sender, progress) = watch::channel(None);
    let (chunk_sender, chunks) = mpsc::channel(CHUNKS_AHEAD);
    let input = job.input().clone();
    let context = Context::new(ContextParts {
        job,
        cancel: cancel.clone(),
        deadline,
        progress: progress_sender.clone(),
        timeline: timeline.clone(),
        refresh: flags.refresh.clone(),
        lease,
        estimate: slot.estimate(),
        scratch: slot.scratch(),
        largest_result: runtime.settings.largest_result,
    });
    StartedJob {
        updates: JobUpdates {
            progress,
            chunks,
            _senders: (progress_sender, chunk_sender.clone()),
        },
        deadline,
        run: StartedRun {
            flags,
            context_after: runtime.hooks.any_after_job().then(|| context.clone()),
        },
        call: HandlerCall {
            input,
            context,
            chunks: chunk_sender,
            slot,
        },
    }
}

/// The time by which a job that starts now must be done; `None` without a limit.
fn deadline_of(runtime: &Runtime, job: &Job) -> Option<Instant> {
    let limits = runtime.settings.timeout.into_iter();
    limits
        .chain(job.execution_timeout())
        .chain(runtime.handler.timeout(job.input()))
        .min()
        // A limit beyond the clock's range counts as none.
        .and_then(|limit| Instant::now().checked_add(limit))
}
