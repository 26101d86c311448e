//! The main loop of a worker: takes jobs, runs them, delivers their results, and drains.
//!
//! ```text
//!  take ──▶ run ──▶ deliver ──▶ platform
//!   ▲        ▲
//!   │        └── stop: the platform's stop signals, deadlines, the end of the grace period
//!   └── slots: one for each job that may run
//! ```
//!
//! [`Runtime::run`] is the loop. [`run`] is one job, from its slot to its delivered result.
//!
//! A job's slot is free again when its handler returns, not when its result is delivered: the next
//! job is taken while this one's result is being posted.

mod active_jobs;
mod companions;
mod deliver;
mod drain;
mod ended_job;
mod heartbeat;
mod intake;
mod pacing;
mod recover;
mod run;
mod slots;
mod span;
mod stop;
mod take;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info};

use crate::error::Error;
use crate::events::{Events, StartTimer, WorkerEvent};
use crate::handler::ErasedHandler;
use crate::hooks::Hooks;
use crate::job::WorkerIdentity;
use crate::journal::JournalHandle;
use crate::platform::Platform;
use crate::scratch::Scratch;
use crate::settings::Settings;

use self::companions::Companions;
use self::pacing::{Ahead, LoadMeter};
use self::run::PythonResults;
use self::take::Taker;

pub(crate) use active_jobs::ActiveJobs;
pub(crate) use drain::{Ended, Shutdown};
pub(crate) use heartbeat::{HeartbeatThread, Liveness, on_thread};
pub(crate) use slots::Slots;
#[cfg(test)]
pub(crate) use span::of as span_of;

/// The values from which a runtime is made.
pub(crate) struct RuntimeParts {
    pub(crate) platform: Arc<dyn Platform>,
    pub(crate) handler: Arc<dyn ErasedHandler>,
    pub(crate) settings: Settings,
    pub(crate) events: Events,
    pub(crate) hooks: Hooks,
    pub(crate) identity: WorkerIdentity,
    /// Keeps results and starts of jobs beyond the life of this process.
    pub(crate) journal: JournalHandle,
    /// The tokio runtime of the handlers. The loops run on the one that calls [`Runtime::run`].
    pub(crate) handlers: Handle,
    pub(crate) active_jobs: Arc<ActiveJobs>,
    /// A slot for each job that may run.
    pub(crate) slots: Slots,
    pub(crate) shutdown: Shutdown,
    pub(crate) random: fastrand::Rng,
    /// Ends with the first take; `None` if the start is not reported.
    pub(crate) start_timer: Option<StartTimer>,
}

/// The state that the loops of one worker share.
pub(crate) struct Runtime {
    platform: Arc<dyn Platform>,
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
    python: Arc<PythonResults>,
    /// Ends the delivery of results when the worker must end.
    give_up: CancellationToken,
    jobs: TaskTracker,
}

impl Runtime {
    pub(crate) fn new(parts: RuntimeParts) -> Self {
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
            python: Arc::new(PythonResults::new(settings.python_results)),
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

    /// Removes the scratch directories of killed workers, in the background.
    pub(crate) fn remove_leftovers(self) -> Self {
        let scratch = self.scratch.clone();
        self.handlers.spawn_blocking(move || scratch.remove_leftovers());
        self
    }

    /// Takes, runs and delivers jobs until the worker drains, then waits for the active jobs or the end of their grace.
    pub(crate) async fn run(self) -> Result<Ended, Error> {
        let runtime = Arc::new(self);
        runtime.events.emit(|| WorkerEvent::Ready);
        let companions = Companions::spawn(&runtime);

        // A task of its own, so that a panic in it still leads to an orderly end.
        let first_round = companions.first_round.clone();
        let taken = tokio::spawn(take_and_run(runtime.clone(), first_round)).await;

        let jobs = runtime.active_jobs.len();
        match &taken {
            Ok(()) => info!(jobs, "draining: no more jobs are taken"),
            Err(panicked) => {
                error!(error = %panicked, "Uncaught exception | the take loop broke; finishing what is there");
            }
        }
        runtime.events.emit(|| WorkerEvent::Draining { jobs });
        let ended = drain::drain(&runtime).await;
        // Stop signals cancel jobs until the last one has ended.
        companions.end().await;
        runtime.journal.close().await;
        match taken {
            Ok(()) => Ok(ended),
            Err(panicked) => Err(Error::Runtime(panicked.to_string())),
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

/// Takes jobs until the worker drains. Each job runs, and its result is delivered, in a task of its own.
async fn take_and_run(runtime: Arc<Runtime>, first_round: CancellationToken) {
    recover::head_start(&runtime, first_round).await;
    let mut taker = Taker::new(&runtime);
    while let Some(jobs) = taker.take().await {
        for job in jobs {
            runtime.jobs.spawn(run::run(runtime.clone(), job));
        }
    }
}
