//! The first step of the main loop: room → take → a slot for each job.
//!
//! One poll is in flight at a time, for the room that there was when it was sent.

use std::num::NonZeroUsize;
use std::sync::Arc;

use tokio::time::Instant;
use tracing::{info, warn};

use super::Runtime;
use super::pacing::{TakePace, TakeRoom};
use super::run::{SlotOrWait, TakenJob};
use super::slots::Slot;
use crate::context::Timeline;
use crate::events::{StartTimer, WorkerEvent};
use crate::job::Job;
use crate::platform::PlatformError;

/// Takes jobs, one poll after another.
pub(super) struct Taker {
    runtime: Arc<Runtime>,
    pace: TakePace,
    /// Ends with the first take.
    start_timer: Option<StartTimer>,
}

impl Taker {
    pub(super) fn new(runtime: &Arc<Runtime>) -> Self {
        Self {
            pace: TakePace::new(runtime.random_for("take"), runtime.events.clone()),
            start_timer: runtime.start_timer.clone(),
            runtime: runtime.clone(),
        }
    }

    /// Waits for room, then takes jobs for it; `None` when the worker drains. The list is empty if a poll brought none.
    pub(super) async fn take(&mut self) -> Option<Vec<TakenJob>> {
        let mut room = self.room().await?;
        let at_most = room.jobs().min(self.runtime.platform.most_per_take());
        let at_most = NonZeroUsize::new(at_most).unwrap_or(NonZeroUsize::MIN);
        if let Some(timer) = self.start_timer.take() {
            timer.finish("first_take", self.runtime.events.clone());
        }
        let asked = Instant::now();
        let answer = ask(&self.runtime, at_most).await;
        let jobs = self.record(answer, at_most, asked);
        // The limit may have shrunk while the poll was open.
        self.runtime.slots.give_back_excess(&mut room.slots);
        let mut taken = Vec::with_capacity(jobs.len());
        for job in jobs {
            taken.extend(accept(&self.runtime, job, room.slots.pop()).await);
        }
        // Slots without a job become free here.
        Some(taken)
    }

    /// Waits until the next take is due and has room for a job; `None` when the worker drains.
    async fn room(&mut self) -> Option<TakeRoom> {
        let ready = async {
            self.pace.wait().await;
            room(&self.runtime).await
        };
        tokio::select! {
            biased;
            () = self.runtime.shutdown.drain.cancelled() => None,
            room = ready => Some(room),
        }
    }

    /// Records what a take brought, for the pace of the next ones, and returns its jobs.
    fn record(
        &mut self,
        answer: Result<Vec<Job>, PlatformError>,
        at_most: NonZeroUsize,
        asked: Instant,
    ) -> Vec<Job> {
        let runtime = &self.runtime;
        let took = asked.elapsed();
        let jobs = match answer {
            Ok(jobs) => jobs,
            Err(error) => {
                runtime.events.request_failed(&error);
                self.pace.failed(&error);
                return Vec::new();
            }
        };
        if !jobs.is_empty() {
            self.pace.worked();
            runtime.meter.took(at_most.get(), jobs.len());
            runtime.ahead.round_trip.took(took);
        } else if runtime.settings.intake.is_open() && !runtime.shutdown.drain.is_cancelled() {
            // A poll that was given up is no measurement of the platform.
            self.pace.empty(took);
            runtime.meter.took(at_most.get(), 0);
            runtime.events.emit(|| WorkerEvent::TakeEmpty { after: took });
        }
        jobs
    }
}

/// Sends one take, and gives it up when no more jobs are wanted.
async fn ask(runtime: &Runtime, at_most: NonZeroUsize) -> Result<Vec<Job>, PlatformError> {
    let give_up = runtime.shutdown.drain.child_token();
    let asking = runtime
        .platform
        .take_jobs(at_most, !runtime.active_jobs.is_empty(), &give_up);
    tokio::pin!(asking);
    tokio::select! {
        biased;
        answer = &mut asking => answer,
        () = runtime.settings.intake.closed() => {
            give_up.cancel();
            // An answer that has begun to arrive is still read.
            asking.await
        }
    }
}

/// Waits until a job may be taken: an open intake, few enough undelivered results, and a free slot
/// or one that soon will be.
async fn room(runtime: &Runtime) -> TakeRoom {
    loop {
        runtime.settings.intake.opened().await;
        runtime.active_jobs.room().await;
        let room = runtime.ahead.room(&runtime.slots).await;
        // Either may have changed during the wait.
        if runtime.active_jobs.has_room() && runtime.settings.intake.is_open() {
            return room;
        }
    }
}

/// Adds a job to the active jobs, with its slot or its wait for one; `None` if it is active already.
async fn accept(runtime: &Runtime, job: Job, slot: Option<Slot>) -> Option<TakenJob> {
    let Some(cancel) = runtime.active_jobs.add(job.id()) else {
        warn!(job.id = %job.id(), "the platform handed out a job that this worker holds already; it runs once");
        return None;
    };
    info!("Jobs in progress: {}", runtime.active_jobs.len());
    runtime.events.emit(|| WorkerEvent::JobTaken {
        job: job.id().clone(),
        batch: job.batch_id().map(str::to_owned),
    });
    let slot = match slot {
        Some(slot) => SlotOrWait::Slot(slot),
        // The job was taken ahead, or the platform sent more than were asked for. It queues for a slot here, before
        // the next take does.
        None => {
            let waiting = SlotOrWait::Wait(runtime.slots.queue().await);
            info!("Jobs in queue: {}", runtime.slots.queued());
            waiting
        }
    };
    Some(TakenJob {
        job,
        slot,
        cancel,
        timeline: Timeline::start(),
    })
}
