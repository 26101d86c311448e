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

mod adapt;
mod ahead;
mod deliver;
mod heartbeat;
mod held;
mod life;
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
use crate::events::{Events, WorkerEvent};
use crate::handler::ErasedHandler;
use crate::job::Identity;
use crate::journal::Keeper;
use crate::platform::Platform;
use crate::scratch::Scratch;
use crate::start::Starting;
use crate::worker::{Options, WhenAbandoned};

pub(crate) use adapt::Meter;
pub(crate) use ahead::Ahead;
pub(crate) use heartbeat::{HeartbeatThread, Liveness, on_thread};
pub(crate) use held::Held;
pub(crate) use life::live;
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

/// Everything the loops of one worker share.
pub(crate) struct Runtime<P> {
    pub(crate) platform: Arc<P>,
    pub(crate) handler: Arc<dyn ErasedHandler>,
    pub(crate) options: Options,
    pub(crate) identity: Identity,
    /// Where results and starts of jobs outlive this process; off unless set.
    pub(crate) journal: Keeper,
    /// Where handlers run; the loops run where [`Runtime::run`] is called.
    pub(crate) handlers: Handle,
    pub(crate) held: Arc<Held>,
    pub(crate) slots: Slots,
    pub(crate) ahead: Ahead,
    pub(crate) meter: Arc<Meter>,
    pub(crate) shutdown: Shutdown,
    pub(crate) random: fastrand::Rng,
    pub(crate) events: Events,
    pub(crate) scratch: Arc<Scratch>,
    /// Where the start has got to, until the first take.
    pub(crate) starting: Option<Starting>,
    /// Results still on their way are given up.
    give_up: CancellationToken,
    jobs: TaskTracker,
}

impl<P: Platform> Runtime<P> {
    pub(crate) fn new(
        platform: Arc<P>,
        handler: Arc<dyn ErasedHandler>,
        options: Options,
        identity: Identity,
        held: Arc<Held>,
        shutdown: Shutdown,
    ) -> Self {
        let limit = *options.concurrency.changes().borrow();
        Self {
            platform,
            handler,
            slots: Slots::new(limit),
            ahead: Ahead::new(options.take_ahead()),
            meter: Meter::new(&options.concurrency),
            held,
            handlers: Handle::current(),
            events: options.events.clone(),
            scratch: Arc::new(Scratch::new(options.scratch.clone())),
            options,
            identity,
            journal: Keeper::default(),
            shutdown,
            random: fastrand::Rng::new(),
            starting: None,
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
        let concurrency = runtime.options.concurrency.clone();
        let adapting = tokio::spawn(adapt::adapt(runtime.meter.clone(), concurrency));
        let drain = runtime.shutdown.drain.clone();
        let intake = tokio::spawn(
            runtime
                .options
                .intake
                .clone()
                .follow(drain, runtime.events.clone()),
        );
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
            info!(jobs = runtime.held.len(), "draining: no more jobs are taken");
        }
        runtime.events.emit(|| WorkerEvent::Draining {
            jobs: runtime.held.len(),
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
        let Options {
            shutdown_grace,
            cancel_grace,
            when_abandoned,
            ..
        } = &self.options;
        if !self.done_within(*shutdown_grace).await && !self.shutdown.abandon.is_cancelled() {
            warn!(
                jobs = self.held.len(),
                grace = ?shutdown_grace,
                "the grace period is over; cancelling what still runs"
            );
            self.held.cancel_all(CancelReason::ShuttingDown);
            self.done_within(cancel_grace.saturating_add(LAST_WORDS)).await;
        }
        if self.shutdown.abandon.is_cancelled() && !self.held.is_empty() {
            warn!(jobs = self.held.len(), "leaving at once");
            if *when_abandoned == WhenAbandoned::PostError {
                self.held.cancel_all(CancelReason::ShuttingDown);
                let _ = tokio::time::timeout(LAST_WORDS, self.jobs.wait()).await;
            }
        }
        self.give_up.cancel();
        match self.held.abandon() {
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
    let mut changes = runtime.options.concurrency.changes();
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
