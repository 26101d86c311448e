//! Room → take → run. One poll is in flight, for the room that there was when it was sent.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, error, info, warn};

use super::Runtime;
use super::ahead::Room;
use super::run::{Arrived, SlotOrWait, run};
use super::slots::Slot;
use crate::context::Timeline;
use crate::events::{Events, WorkerEvent};
use crate::job::Job;
use runpod_protocol::backoff::Backoff;

use crate::platform::{Platform, PlatformError, wait_after};

const FIRST_RETRY: Duration = Duration::from_millis(250);
const LONGEST_RETRY: Duration = Duration::from_secs(30);
/// A long poll that comes back empty sooner than this was no long poll.
const EARLY: Duration = Duration::from_millis(50);
const FIRST_FLOOR: Duration = Duration::from_millis(25);
const HIGHEST_FLOOR: Duration = Duration::from_secs(1);

pub(super) async fn take<P: Platform>(runtime: Arc<Runtime<P>>) {
    let mut pace = Pace::new(runtime.random_for("take"), runtime.events.clone());
    let drain = runtime.shutdown.drain.clone();
    let mut start_timer = runtime.start_timer.clone();
    loop {
        let ready = async {
            pace.wait().await;
            room(&runtime).await
        };
        let mut room = tokio::select! {
            biased;
            () = drain.cancelled() => return,
            room = ready => room,
        };
        let at_most = NonZeroUsize::new(room.jobs()).unwrap_or(NonZeroUsize::MIN);
        if let Some(timer) = start_timer.take() {
            timer.finish("first_take", runtime.events.clone());
        }
        let asked = Instant::now();
        match ask(&runtime, at_most).await {
            // A poll that was given up says nothing about the platform.
            Ok(jobs) if jobs.is_empty() && !runtime.settings.intake.is_open() => {}
            Ok(jobs) if jobs.is_empty() && drain.is_cancelled() => {}
            Ok(jobs) if jobs.is_empty() => {
                let after = asked.elapsed();
                pace.empty(after);
                runtime.meter.took(at_most.get(), 0);
                runtime.events.emit(|| WorkerEvent::TakeEmpty { after });
            }
            Ok(jobs) => {
                pace.worked();
                runtime.meter.took(at_most.get(), jobs.len());
                runtime.ahead.round_trip.took(asked.elapsed());
                // The limit may have shrunk while the poll was open.
                runtime.slots.give_back_excess(&mut room.slots);
                for job in jobs {
                    start(&runtime, job, room.slots.pop()).await;
                }
            }
            Err(error) => {
                runtime.events.request_failed(&error);
                pace.failed(&error);
            }
        }
        // Slots that got no job are free again.
        drop(room);
    }
}

/// One take, which is given up when no more jobs are wanted.
async fn ask<P: Platform>(runtime: &Runtime<P>, at_most: NonZeroUsize) -> Result<Vec<Job>, PlatformError> {
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
            // What has begun to arrive is still read.
            asking.await
        }
    }
}

/// Waits until a job may be taken: an open intake, few enough undelivered results, and a free slot
/// or one that soon will be.
async fn room<P: Platform>(runtime: &Runtime<P>) -> Room {
    loop {
        runtime.settings.intake.opened().await;
        runtime.active_jobs.room().await;
        let room = runtime.ahead.room(&runtime.slots).await;
        // Either may be otherwise by now.
        if runtime.active_jobs.has_room() && runtime.settings.intake.is_open() {
            return room;
        }
    }
}

async fn start<P: Platform>(runtime: &Arc<Runtime<P>>, job: Job, slot: Option<Slot>) {
    let Some(cancel) = runtime.active_jobs.add(job.id()) else {
        warn!(job.id = %job.id(), "the platform handed out a job that this worker holds already; it runs once");
        return;
    };
    info!("Jobs in progress: {}", runtime.active_jobs.len());
    runtime.events.emit(|| WorkerEvent::JobTaken {
        job: job.id().clone(),
        batch: job.batch_id().map(str::to_owned),
    });
    let place = match slot {
        Some(slot) => SlotOrWait::Taken(slot),
        // Taken ahead, or more than were asked for. They queue for a slot here and now, before this
        // loop does so for its next take.
        None => {
            let place = SlotOrWait::Queued(runtime.slots.queue().await);
            info!("Jobs in queue: {}", runtime.slots.queued());
            place
        }
    };
    let arrived = Arrived {
        job,
        place,
        cancel,
        timeline: Timeline::start(),
    };
    runtime.jobs.spawn(run(runtime.clone(), arrived));
}

/// When the next take may be sent.
#[derive(Debug)]
struct Pace {
    errors: Backoff,
    floor: Duration,
    not_before: Option<Instant>,
    credentials_reported: bool,
    /// Since when takes fail.
    failing: Option<Instant>,
    events: Events,
}

impl Pace {
    fn new(random: fastrand::Rng, events: Events) -> Self {
        Self {
            errors: Backoff::half_jitter(FIRST_RETRY, LONGEST_RETRY, random),
            floor: Duration::ZERO,
            not_before: None,
            credentials_reported: false,
            failing: None,
            events,
        }
    }

    async fn wait(&mut self) {
        if let Some(at) = self.not_before.take() {
            tokio::time::sleep_until(at).await;
        }
    }

    /// Jobs came: whatever was wrong is over.
    fn worked(&mut self) {
        self.recovered();
        self.floor = Duration::ZERO;
    }

    /// No job came. A server that says so at once is asked at a growing distance.
    fn empty(&mut self, after: Duration) {
        self.recovered();
        if after >= EARLY {
            self.floor = Duration::ZERO;
            return;
        }
        self.floor = (self.floor * 2).clamp(FIRST_FLOOR, HIGHEST_FLOOR);
        self.not_before = Some(Instant::now() + self.floor);
    }

    fn failed(&mut self, error: &PlatformError) {
        let wait = wait_after(error, &mut self.errors);
        self.not_before = Some(Instant::now() + wait);
        if error.is_credentials() {
            if !self.credentials_reported {
                self.credentials_reported = true;
                error!(%error, "the platform does not accept this worker's key; check RUNPOD_AI_API_KEY. Going on trying");
            }
        } else if self.failing.is_some() {
            debug!(%error, retry_in = ?wait, "still no jobs to be had");
        } else {
            warn!(%error, retry_in = ?wait, "could not take jobs");
        }
        if self.failing.is_none() {
            self.failing = Some(Instant::now());
            self.events.emit(|| WorkerEvent::PlatformUnreachable {
                reason: error.to_string(),
            });
        }
    }

    fn recovered(&mut self) {
        if let Some(since) = self.failing.take() {
            info!("taking jobs again");
            self.events.emit(|| WorkerEvent::PlatformRecovered {
                after: since.elapsed(),
            });
        }
        self.credentials_reported = false;
        self.errors.reset();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn polls_that_return_early_get_a_growing_floor_up_to_a_second() {
        let mut pace = Pace::new(fastrand::Rng::with_seed(1), Events::default());
        let mut waits = Vec::new();
        for _ in 0..8 {
            pace.empty(Duration::from_millis(1));
            let before = Instant::now();
            pace.wait().await;
            waits.push(before.elapsed().as_millis());
        }
        assert_eq!(waits, [25, 50, 100, 200, 400, 800, 1000, 1000]);
        pace.empty(Duration::from_secs(10));
        assert!(pace.not_before.is_none(), "a real long poll needs no pause");
    }

    #[tokio::test(start_paused = true)]
    async fn too_many_requests_waits_as_long_as_asked() {
        let refused = |retry_after| PlatformError::Refused {
            operation: "take",
            status: 429,
            retry_after,
            body: String::new(),
        };
        let mut pace = Pace::new(fastrand::Rng::with_seed(1), Events::default());
        let before = Instant::now();
        pace.failed(&refused(Some(Duration::from_secs(2))));
        pace.wait().await;
        assert_eq!(before.elapsed().as_secs(), 2);
        pace.failed(&refused(None));
        pace.wait().await;
        assert_eq!(before.elapsed().as_secs(), 7);
    }

    #[tokio::test(start_paused = true)]
    async fn too_many_requests_without_a_pause_still_means_a_pause() {
        let refused = PlatformError::Refused {
            operation: "take",
            status: 429,
            retry_after: Some(Duration::ZERO),
            body: String::new(),
        };
        let mut pace = Pace::new(fastrand::Rng::with_seed(1), Events::default());
        let before = Instant::now();
        for _ in 0..20 {
            pace.failed(&refused);
            pace.wait().await;
        }
        assert!(before.elapsed() > LONGEST_RETRY * 5, "{:?}", before.elapsed());
    }
}
