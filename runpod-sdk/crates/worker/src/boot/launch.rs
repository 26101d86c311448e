//! The one way to run a worker, in every mode.
//!
//! ```text
//! deployed worker, HTTP modes, one local job, test harness ──▶ Launch ──▶ Runtime::run
//! ```
//!
//! Each mode fills in a [`Launch`]. The steps after that are the same: fitness checks, heartbeat, state and
//! connection, the main loop, the shutdown hooks.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::fitness_plan::FitnessPlan;
use super::heartbeat;
use crate::error::{Error, StartupError};
use crate::events::{Events, StartTimer, WorkerEvent};
use crate::handler::ErasedHandler;
use crate::job::{WorkerIdentity, panic_message};
use crate::journal::JournalHandle;
use crate::platform::Platform;
use crate::runtime::{ActiveJobs, Ended, Runtime, RuntimeParts, Shutdown, Slots};
use crate::settings::{Config, Settings};
use crate::worker::{Loader, Observers, Worker, WorkerParts};

/// A worker and everything that it needs to run.
pub(crate) struct Launch {
    /// The worker. Its settings are already overridden by the environment.
    pub(crate) worker: Worker,
    /// The identity under which it reports.
    pub(crate) identity: WorkerIdentity,
    /// The list of active jobs, shared with signal handlers, the HTTP modes and tests.
    pub(crate) active_jobs: Arc<ActiveJobs>,
    /// A slot for each job that may run.
    pub(crate) slots: Slots,
    /// The tokio runtime of the handlers. Everything else runs on the one that calls [`Launch::run`].
    pub(crate) handlers: Handle,
    pub(crate) shutdown: Shutdown,
    /// The checks that must pass before the first job is taken.
    pub(crate) fitness: FitnessPlan,
    /// The platform that gets heartbeats; `None` without a heartbeat.
    pub(crate) heartbeat: Option<Arc<Config>>,
    /// Connects to the platform and opens the journal while the state loads.
    pub(crate) connect: Connecting,
    /// The source of all jitter.
    pub(crate) random: fastrand::Rng,
    /// How the start is reported.
    pub(crate) start: StartReporting,
}

/// The attempt to connect.
pub(crate) type Connecting = Pin<Box<dyn Future<Output = Result<Connected, Error>> + Send>>;

/// The connections of a worker: its platform and its journal.
pub(crate) struct Connected {
    pub(crate) platform: Arc<dyn Platform>,
    /// Keeps results and starts of jobs beyond the life of this process.
    pub(crate) journal: JournalHandle,
}

/// A platform that needs no connection, and no journal.
pub(crate) fn at_hand(platform: Arc<dyn Platform>) -> Connecting {
    let journal = JournalHandle::default();
    Box::pin(async { Ok(Connected { platform, journal }) })
}

/// How the phases of a start are reported.
pub(crate) enum StartReporting {
    /// Not at all, for a local job or a test.
    Silent,
    /// In the log and the events, at the first take.
    FirstTake(StartTimer),
    /// In the log, when the worker is ready. The function is called then, with the worker's listeners.
    #[cfg(feature = "http-modes")]
    Ready(StartTimer, Box<dyn FnOnce(&Events) + Send + Sync>),
}

impl StartReporting {
    fn mark(&self, phase: &'static str) {
        match self {
            Self::Silent => {}
            Self::FirstTake(timer) => timer.mark(phase),
            #[cfg(feature = "http-modes")]
            Self::Ready(timer, _) => timer.mark(phase),
        }
    }

    /// Records that the worker is ready. Returns the timer if a phase is left.
    #[cfg_attr(
        not(feature = "http-modes"),
        expect(unused_variables, reason = "for requests over HTTP")
    )]
    fn ready(self, events: &Events) -> Option<StartTimer> {
        match self {
            Self::Silent => None,
            Self::FirstTake(timer) => {
                timer.mark("ready");
                Some(timer)
            }
            #[cfg(feature = "http-modes")]
            Self::Ready(timer, opened) => {
                opened(events);
                timer.finish_without_take("ready");
                None
            }
        }
    }
}

impl Launch {
    /// Runs the worker from its first event to its last.
    pub(crate) async fn run(self) -> Result<Ended, Error> {
        let Self {
            worker,
            identity,
            active_jobs,
            slots,
            handlers,
            shutdown,
            fitness,
            heartbeat,
            connect,
            random,
            start,
        } = self;
        let WorkerParts {
            settings,
            observers,
            fitness: own_checks,
            load,
        } = worker.into_parts();
        let (observers, _metrics) = serve_metrics(observers, &settings);
        let Observers { events, hooks, .. } = observers;
        events.emit(|| WorkerEvent::Started {
            slots: settings.concurrency.get(),
        });
        let (last_events, shutdown_hooks) = (events.clone(), hooks.clone());
        let (on, abandon) = (handlers.clone(), shutdown.abandon.clone());
        let work = async {
            let fitness = fitness.with(own_checks, settings.limits.fitness);
            let unfit_later = tokio::select! {
                biased;
                () = stopped_early(&shutdown.drain) => return Ok(Ended::Drained),
                fit = fitness.check(&handlers) => fit?,
            };
            start.mark("fitness");
            let mut heartbeat = match heartbeat {
                Some(config) => {
                    let beating = heartbeat::start(&config, settings.limits, &active_jobs, &events)?;
                    start.mark("heartbeat");
                    beating
                }
                None => None,
            };
            let beating = async {
                match &mut heartbeat {
                    Some(heartbeat) => heartbeat.connected().await,
                    None => Ok(()),
                }
            };
            let ready = get_ready(connect, load, &handlers, &start);
            let ready = async { tokio::try_join!(ready, beating) };
            let ((connected, handler), ()) = tokio::select! {
                biased;
                () = stopped_early(&shutdown.drain) => return Ok(Ended::Drained),
                ready = ready => ready?,
            };
            let drain = shutdown.drain.clone();
            let start_timer = start.ready(&events);
            let runtime = Runtime::new(RuntimeParts {
                platform: connected.platform,
                handler,
                settings,
                events,
                hooks,
                identity,
                journal: connected.journal,
                handlers,
                active_jobs: active_jobs.clone(),
                slots,
                shutdown,
                random,
                start_timer,
            });
            let running = runtime.remove_leftovers().run();
            unless_unfit(running, unfit_later, &active_jobs, &drain).await
        };
        let ended = work.await;
        shutdown_hooks.shut_down(&on, &abandon).await;
        last_events.emit(|| WorkerEvent::Stopped {
            jobs_left: match ended {
                Ok(Ended::Abandoned { jobs }) => jobs,
                _ => 0,
            },
            error: ended.as_ref().err().map(ToString::to_string),
        });
        ended
    }
}

/// Serves metrics from the start, so that a slow start can be watched, to the end.
#[cfg(feature = "metrics")]
fn serve_metrics(
    mut observers: Observers,
    settings: &Settings,
) -> (Observers, Option<crate::metrics::MetricsThread>) {
    let Some(address) = settings.metrics else {
        return (observers, None);
    };
    let metrics = observers.metrics.take().unwrap_or_else(|| {
        let metrics = crate::metrics::Metrics::new();
        metrics.listen_to(&mut observers.events);
        metrics
    });
    let thread = crate::metrics::serve(&metrics, address);
    (observers, thread)
}

#[cfg(not(feature = "metrics"))]
fn serve_metrics(observers: Observers, _: &Settings) -> (Observers, ()) {
    (observers, ())
}

async fn stopped_early(drain: &CancellationToken) {
    drain.cancelled().await;
    info!("stopped before the worker was ready");
}

/// Connects and loads the state, concurrently.
async fn get_ready(
    connect: Connecting,
    load: Loader,
    handlers: &Handle,
    start: &StartReporting,
) -> Result<(Connected, Arc<dyn ErasedHandler>), Error> {
    let connecting = async {
        let connected = connect.await?;
        if matches!(start, StartReporting::FirstTake(_)) {
            start.mark("connect");
        }
        Ok(connected)
    };
    let loading = async {
        let loaded = handlers.spawn(load()).await;
        let handler = loaded.map_err(state_panicked)??;
        start.mark("state");
        Ok(handler)
    };
    tokio::try_join!(connecting, loading)
}

fn state_panicked(lost: JoinError) -> StartupError {
    let text = match lost.try_into_panic() {
        Ok(payload) => panic_message(&*payload).to_owned(),
        Err(lost) => lost.to_string(),
    };
    StartupError::StatePanicked(text)
}

/// Runs the worker, and ends it if the check beside it fails while no job is active.
async fn unless_unfit(
    running: impl Future<Output = Result<Ended, Error>>,
    unfit: impl Future<Output = Error>,
    active_jobs: &ActiveJobs,
    drain: &CancellationToken,
) -> Result<Ended, Error> {
    let mut running = std::pin::pin!(running);
    tokio::select! {
        biased;
        ended = &mut running => return ended,
        unfit = unfit => {
            // A job that has arrived proves the check wrong.
            if active_jobs.is_empty() {
                drain.cancel();
                running.await?;
                return Err(unfit);
            }
            warn!("the network check failed, but a job has come; the worker goes on");
        }
    }
    running.await
}
