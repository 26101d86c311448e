//! What a running handler occupies, and gives back when it ends.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use tokio_util::sync::CancellationToken;

use crate::context::{Cancel, CompletionEstimate};
use crate::events::{Events, WorkerEvent};
use crate::job::JobId;
use crate::runtime::pacing::RunningGuard;
use crate::runtime::slots::Slot;
use crate::runtime::{ActiveJobs, Runtime};
use crate::scratch::JobScratch;

/// The flags of one run, shared by the handler's task and the job's.
#[derive(Debug, Clone)]
pub(super) struct RunFlags {
    /// Whether the handler has begun to stream.
    pub(super) streams: Arc<AtomicBool>,
    /// Whether the worker is to be replaced after this job.
    pub(super) refresh: Arc<AtomicBool>,
}

/// A slot in use, with everything else that a running handler occupies.
///
/// Before the slot becomes free, its drop records what the next take depends on: the result that waits for delivery,
/// and the replacement of the worker.
pub(super) struct SlotInUse {
    id: JobId,
    run: Cancel,
    active_jobs: Arc<ActiveJobs>,
    result_bytes: AtomicUsize,
    flags: RunFlags,
    drain: CancellationToken,
    events: Events,
    estimate: Arc<CompletionEstimate>,
    _running: RunningGuard,
    /// Removed before the slot becomes free: the next job may need the disk.
    scratch: Arc<JobScratch>,
    _slot: Slot,
}

impl SlotInUse {
    pub(super) fn new(runtime: &Runtime, id: &JobId, cancel: &Cancel, flags: &RunFlags, slot: Slot) -> Self {
        Self {
            id: id.clone(),
            run: cancel.clone(),
            active_jobs: runtime.active_jobs.clone(),
            result_bytes: AtomicUsize::new(0),
            flags: flags.clone(),
            drain: runtime.shutdown.drain.clone(),
            events: runtime.events.clone(),
            estimate: Arc::new(runtime.ahead.estimates.begin()),
            _running: runtime.meter.begin(),
            scratch: Arc::new(JobScratch::new(runtime.scratch.clone())),
            _slot: slot,
        }
    }

    pub(super) fn estimate(&self) -> Weak<CompletionEstimate> {
        Arc::downgrade(&self.estimate)
    }

    pub(super) fn scratch(&self) -> Weak<JobScratch> {
        Arc::downgrade(&self.scratch)
    }

    /// Records that the handler streams its result.
    pub(super) fn streams(&self) {
        self.flags.streams.store(true, Ordering::Relaxed);
    }

    /// Records that the worker is to be replaced after this job.
    pub(super) fn refreshes(&self) {
        self.flags.refresh.store(true, Ordering::Relaxed);
    }

    /// Records the size of the result.
    pub(super) fn produced(&self, bytes: usize) {
        self.result_bytes.store(bytes, Ordering::Relaxed);
    }
}

impl Drop for SlotInUse {
    fn drop(&mut self) {
        let bytes = self.result_bytes.load(Ordering::Relaxed);
        self.active_jobs.returned(&self.id, &self.run, bytes);
        if self.flags.refresh.load(Ordering::Relaxed) {
            self.events.emit(|| WorkerEvent::Refreshing {
                reason: format!("after job {}", self.id),
            });
            self.drain.cancel();
        }
    }
}
