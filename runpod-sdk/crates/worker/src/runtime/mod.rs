//! Takes jobs, runs them, hands their results back, and stops in an orderly way.
//!
//! ```text
//!  take ──▶ run ──▶ deliver ──▶ platform
//!   ▲        ▲
//!   │        └── stop: the platform's stop signals, deadlines, the end of the grace period
//!   └── slots: one for each job that may run
//! ```
//!
//! A job's slot is free again when its handler returns, not when its result has arrived: the next
//! job is taken while this one's result is still on its way.

mod active_jobs;
mod ahead;
mod deliver;
mod heartbeat;
mod intake;
mod load_meter;
mod recover;
mod round_trip;
mod run;
mod slots;
mod span;
mod stop;
mod take;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use crate::context::CancelReason;
use crate::error::Error;
use crate::events::{Events, StartTimer, WorkerEvent};
use crate::handler::ErasedHandler;
use crate::hooks::Hooks;
use crate::job::WorkerIdentity;
use crate::journal::JournalHandle;
use crate::platform::Platform;
use crate::scratch::Scratch;
use crate::settings::{Settings, WhenAbandoned};

use self::ahead::Ahead;
use self::load_meter::LoadMeter;
pub(crate) use active_jobs::ActiveJobs;
pub(crate) use heartbeat::{HeartbeatThread, Liveness, on_thread};
pub(crate) use slots::Slots;
#[cfg(test)]
pub(crate) use span::of as span_of;

/// For the last posts of a worker that has to go.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// How a worker ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Every job was finished and every result handed over.
    Drained,
    /// Time ran out, or a second signal came: so many jobs are left for other workers.
    Abandoned { jobs: usize },
}

/// What tells a worker to stop.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shutdown {
    /// Take no more jobs; finish what is there.
    pub(crate) drain: CancellationToken,
    /// Leave everything and go.
    pub(crate) abandon: CancellationToken,
}

/// What a runtime is made of.
pub(crate) struct RuntimeParts<P> {
    pub(crate) platform: Arc<P>,
    pub(crate) handler: Arc<dyn ErasedHandler>,
    pub(crate) settings: Settings,
    pub(crate) events: Events,
    pub(crate) hooks: Hooks,
    pub(crate) identity: WorkerIdentity,
    /// Where results and starts of jobs outlive this process.
    pub(crate) journal: JournalHandle,
    /// Where handlers run; the loops run where [`Runtime::run`] is called.
    pub(crate) handlers: Handle,
    pub(crate) active_jobs: Arc<ActiveJobs>,
    /// One for each job that may run.
    pub(crate) slots: Slots,
    pub(crate) shutdown: Shutdown,
    pub(crate) random: fastrand::Rng,
    /// Ends with the first take; `None` where no start is reported.
    pub(crate) start_timer: Option<StartTimer>,
}

/// Everything the loops of one worker share.
pub(crate) struct Runtime<P> {
    platform: Arc<P>,
    handler: Arc<dyn ErasedHandler>,
    settings: Settings,
    events: Events,
    hooks: Hooks,
    identity: WorkerIdentity,
    journal: JournalHandle,
    handlers: Handle,
    active_jobs: Arc<ActiveJobs>,
    slots: Slots,
    ahead: Ahead,
    meter: Arc<LoadMeter>,
    shutdown: Shutdown,
    random: fastrand::Rng,
    scratch: Arc<Scratch>,
    start_timer: Option<StartTimer>,
    /// Results still on their way are given up.
    give_up: CancellationToken,
    jobs: TaskTracker,
}

impl<P: Platform> Runtime<P> {
    pub(crate) fn new(parts: RuntimeParts<P>) -> Self {
        let RuntimeParts {
            platform,
            handler,
            settings,
            events,
            hooks,
            identity,
            journal,
            handlers,
            active_jobs,
            slots,
            shutdown,
            random,
            start_timer,
        } = parts;
        Self {
            ahead: Ahead::new(settings.take_ahead()),
            meter: LoadMeter::new(&settings.concurrency),
            scratch: Arc::new(Scratch::new(settings.scratch.clone())),
            platform,
            handler,
            settings,
            events,
            hooks,
            identity,
            journal,
            handlers,
            active_jobs,
            slots,
            shutdown,
            random,
            start_timer,
            give_up: CancellationToken::new(),
            jobs: TaskTracker::new(),
        }
    }

    /// Removes what killed workers have left, beside everything else.
    pub(crate) fn remove_leftovers(self) -> Self {
        let scratch = self.scratch.clone();
        self.handlers.spawn_blocking(move || scratch.remove_leftovers());
        self
    }

    /// Works until told to stop, and then until everything is handed over or the grace is spent.
    pub(crate) async fn run(self) -> Result<Ended, Error> {
        let runtime = Arc::new(self);
        let stop_polls = CancellationToken::new();
        runtime.events.emit(|| WorkerEvent::Ready);
        let resizing = tokio::spawn(follow_concurrency(runtime.clone()));
        let concurrency = runtime.settings.concurrency.clone();
        let adapting = tokio::spawn(load_meter::adapt(runtime.meter.clone(), concurrency));
        let drain = runtime.shutdown.drain.clone();
        let intake = runtime.settings.intake.clone();
        let intake = tokio::spawn(intake::follow(intake, drain, runtime.events.clone()));
        let first_round = CancellationToken::new();
        let recovery = tokio::spawn(recover::recover(runtime.clone(), first_round.clone()));
        let taking = runtime.clone();
        let take = tokio::spawn(async move {
            recover::head_start(&taking, first_round).await;
            take::take(taking).await;
        });
        let stop = tokio::spawn(stop::stop(runtime.clone(), stop_polls.clone()));

        let taken = take.await;
        if let Err(panicked) = &taken {
            error!(error = %panicked, "Uncaught exception | the take loop broke; finishing what is there");
        } else {
            info!(
                jobs = runtime.active_jobs.len(),
                "draining: no more jobs are taken"
            );
        }
        runtime.events.emit(|| WorkerEvent::Draining {
            jobs: runtime.active_jobs.len(),
        });
        let ended = runtime.drain().await;
        // Cancelled jobs are heard of until the last one has ended.
        stop_polls.cancel();
        resizing.abort();
        adapting.abort();
        intake.abort();
        let _ = stop.await;
        // What it has begun to post it finishes, if that is soon.
        let _ = tokio::time::timeout(LAST_WORDS, recovery).await;
        runtime.journal.close().await;
        match taken {
            Ok(()) => Ok(ended),
            Err(panicked) => Err(Error::Runtime(panicked.to_string())),
        }
    }

    /// Waits for the jobs: the grace period for those that run, then the cancel grace for those that
    /// had to be cancelled. A second signal ends both.
    async fn drain(&self) -> Ended {
        self.jobs.close();
        let Settings {
            shutdown_grace,
            cancel_grace,
            when_abandoned,
            ..
        } = &self.settings;
        if !self.done_within(*shutdown_grace).await && !self.shutdown.abandon.is_cancelled() {
            warn!(
                jobs = self.active_jobs.len(),
                grace = ?shutdown_grace,
                "the grace period is over; cancelling what still runs"
            );
            self.active_jobs.cancel_all(CancelReason::ShuttingDown);
            self.done_within(cancel_grace.saturating_add(LAST_WORDS)).await;
        }
        if self.shutdown.abandon.is_cancelled() && !self.active_jobs.is_empty() {
            warn!(jobs = self.active_jobs.len(), "leaving at once");
            if *when_abandoned == WhenAbandoned::PostError {
                self.active_jobs.cancel_all(CancelReason::ShuttingDown);
                let _ = tokio::time::timeout(LAST_WORDS, self.jobs.wait()).await;
            }
        }
        self.give_up.cancel();
        match self.active_jobs.abandon() {
            0 => Ended::Drained,
            jobs => Ended::Abandoned { jobs },
        }
    }

    /// Whether all jobs are settled within `limit` and before a second signal.
    async fn done_within(&self, limit: Duration) -> bool {
        tokio::select! {
            biased;
            () = self.jobs.wait() => true,
            () = self.shutdown.abandon.cancelled() => false,
            () = tokio::time::sleep(limit) => false,
        }
    }

    /// A random number generator for one loop or job, drawn from the runtime's seed.
    pub(crate) fn random_for(&self, name: &str) -> fastrand::Rng {
        let salt = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        fastrand::Rng::with_seed(self.random.clone().u64(..) ^ salt)
    }
}

/// Applies each change of a [`Concurrency`](crate::Concurrency) at once.
async fn follow_concurrency<P: Platform>(runtime: Arc<Runtime<P>>) {
    let mut changes = runtime.settings.concurrency.changes();
    loop {
        let limit = *changes.borrow_and_update();
        if runtime.slots.resize(limit) {
            runtime.meter.resized(limit.get());
            runtime
                .events
                .emit(|| WorkerEvent::SlotsChanged { slots: limit.get() });
        }
        if changes.changed().await.is_err() {
            return;
        }
    }
}
