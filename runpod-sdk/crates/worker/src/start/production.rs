//! A deployed worker: start order, threads and signals.
//!
//! Three things must not hold each other up, so they have threads of their own: this one takes,
//! reports and listens for stop signals; handlers run on others, unless the worker says that its
//! handler only waits ([`Worker::on_one_thread`]); the heartbeat always has its own.

use std::num::NonZeroUsize;
use std::sync::Arc;

use tokio::runtime::Handle;
use tracing::{debug, error, info, warn};

use super::Starting;
use super::stop_signals::StopSignals;
use crate::error::Error;
use crate::events::Events;
use crate::fitness::{self, Automatic, FitnessCheck, Surroundings, Unfit};
use crate::journal::Keeper;
use crate::platform::{HttpPlatform, client};
use crate::runtime::{self, Ended, Held, Liveness, Runtime, Shutdown};
use crate::settings::Config;
use crate::worker::Worker;

/// How often the control loop says that it is alive.
pub(super) const SIGN_OF_LIFE: std::time::Duration = std::time::Duration::from_secs(5);

/// Runs the worker with handler threads of its own, or with none if it wants none.
pub(super) fn run(
    worker: Worker,
    lookup: impl Fn(&str) -> Option<String> + Copy,
    starting: Starting,
) -> Result<Ended, Error> {
    run_until(worker, lookup, starting, Shutdown::default())
}

/// The same until `shutdown` or a signal tells it to stop.
pub(super) fn run_until(
    worker: Worker,
    lookup: impl Fn(&str) -> Option<String> + Copy,
    starting: Starting,
    shutdown: Shutdown,
) -> Result<Ended, Error> {
    with_handlers(worker, lookup, |worker, handlers| {
        run_on(worker, handlers, lookup, starting, shutdown)
    })
}

/// Makes the handlers' threads, if the worker wants some, and does `work` on this thread.
pub(super) fn with_handlers(
    worker: Worker,
    lookup: impl Fn(&str) -> Option<String>,
    work: impl FnOnce(Worker, Option<&Handle>) -> Result<Ended, Error>,
) -> Result<Ended, Error> {
    if worker.options().one_thread {
        return work(worker, None);
    }
    let threads = worker
        .options()
        .threads(lookup)
        .or_else(|| std::thread::available_parallelism().ok())
        .map_or(1, NonZeroUsize::get);
    let handlers = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .thread_name("runpod-handler")
        .enable_all()
        .build()
        .map_err(no_runtime)?;
    let ended = work(worker, Some(handlers.handle()));
    // A handler that blocks its thread must not keep the process.
    handlers.shutdown_background();
    ended
}

/// Runs the worker with its handlers on `handlers`, or else beside the control loop. Blocks this thread,
/// which becomes the control loop's.
pub(super) fn run_on(
    mut worker: Worker,
    handlers: Option<&Handle>,
    lookup: impl Fn(&str) -> Option<String> + Copy,
    starting: Starting,
    shutdown: Shutdown,
) -> Result<Ended, Error> {
    let option_problems = worker.options_mut().override_from(lookup);
    let mut config = match Config::from_lookup(lookup) {
        Ok(config) if option_problems.is_empty() => config,
        Ok(_) => return Err(Error::Config(option_problems)),
        Err(mut problems) => {
            problems.extend(option_problems);
            return Err(Error::Config(problems));
        }
    };
    config.limits = worker.options_mut().limits;
    let surroundings = Surroundings::new(lookup, Some(&config.take)).or_else_as_in(worker.options());
    for warning in config.warnings.iter().chain(&surroundings.warnings) {
        warn!("{warning}");
    }
    let control = control_runtime()?;
    let handlers = handlers.unwrap_or(control.handle()).clone();
    starting.mark("config");
    let start = Start {
        config: Arc::new(config),
        surroundings: Arc::new(surroundings),
        handlers,
        starting,
    };
    let ended = control.block_on(work(worker, start, shutdown));
    control.shutdown_background();
    ended
}

/// The runtime of the control loop's thread.
pub(super) fn control_runtime() -> Result<tokio::runtime::Runtime, Error> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(no_runtime)
}

#[expect(clippy::needless_pass_by_value, reason = "the form that map_err wants")]
fn no_runtime(error: std::io::Error) -> Error {
    Error::Startup(format!("no runtime: {error}").into())
}

/// What a start needs to know.
struct Start {
    config: Arc<Config>,
    surroundings: Arc<Surroundings>,
    handlers: Handle,
    starting: Starting,
}

async fn work(worker: Worker, start: Start, shutdown: Shutdown) -> Result<Ended, Error> {
    tokio::spawn(listen_for_signals(shutdown.clone())?);
    let options = worker.options().clone();
    // Served from the start, so that a slow start can be watched, and to the very end.
    #[cfg(feature = "metrics")]
    let _metrics = options.metrics.serve();
    let handlers = start.handlers.clone();
    let work = get_ready_and_run(worker, start, shutdown.clone());
    runtime::live(&options, &handlers, &shutdown, work).await
}

async fn get_ready_and_run(mut worker: Worker, start: Start, shutdown: Shutdown) -> Result<Ended, Error> {
    let Start {
        config,
        surroundings,
        handlers,
        starting,
    } = start;
    let mut checks = worker.take_fitness_checks();
    let limit = worker.options().fitness_limit;
    let deployed = !config.take.is_loopback();
    let Automatic { before, beside } =
        fitness::automatic(worker.options().automatic_checks, deployed, &surroundings);
    checks.extend(before);
    let beside = watch(beside, surroundings.clone(), limit);
    tokio::select! {
        biased;
        () = shutdown.drain.cancelled() => {
            info!("told to stop before the worker was ready");
            return Ok(Ended::Drained);
        }
        fit = fitness::run(checks, surroundings, limit, &handlers) => {
            if let Err(unfit) = fit {
                return Err(report_unfit(config, unfit).await);
            }
        }
    }
    starting.mark("fitness");

    let (options, load) = worker.into_parts();
    let held = Arc::new(Held::new(options.held_results, options.held_bytes));
    let liveness = Arc::new(Liveness::new(options.stuck_after));
    tokio::spawn(liveness.clone().keep_fresh(SIGN_OF_LIFE));
    let _heartbeat = start_heartbeat(&config, &held, &liveness, &options.events)?;
    starting.mark("heartbeat");

    let connecting = async {
        let client = connect(config.clone()).await?;
        starting.mark("connect");
        Ok(client)
    };
    let loading = async {
        let loaded = match handlers.spawn(load()).await {
            Ok(loaded) => loaded?,
            Err(panicked) => {
                return Err(Error::Startup(
                    format!("loading the state panicked: {panicked}").into(),
                ));
            }
        };
        starting.mark("state");
        Ok(loaded)
    };
    let opening = async { Ok(Keeper::open(options.journal.clone()).await) };
    let ready = async { tokio::try_join!(connecting, loading, opening) };
    let (client, handler, journal) = tokio::select! {
        biased;
        () = shutdown.drain.cancelled() => {
            info!("told to stop before the worker was ready");
            return Ok(Ended::Drained);
        }
        ready = ready => ready?,
    };
    starting.mark("ready");
    let platform = Arc::new(HttpPlatform::new(&config, client));
    let drain = shutdown.drain.clone();
    let identity = config.identity();
    let mut runtime = Runtime::new(platform, handler, options, identity, held.clone(), shutdown);
    runtime.handlers = handlers;
    runtime.journal = journal;
    runtime.starting = Some(starting);
    let mut running = std::pin::pin!(runtime.remove_leftovers().run());
    tokio::select! {
        biased;
        ended = &mut running => return ended,
        unfit = beside => {
            // A job that arrived all the same shows that the check is wrong.
            if held.is_empty() {
                drain.cancel();
                running.await?;
                return Err(report_unfit(config, unfit).await);
            }
            warn!(check = unfit.check, "working on: a job has come all the same");
        }
    }
    running.await
}

/// Makes the check that nobody waits for. Ends only if it fails.
fn watch(
    check: Option<FitnessCheck>,
    surroundings: Arc<Surroundings>,
    limit: std::time::Duration,
) -> impl Future<Output = Unfit> {
    let checking = check.map(|check| tokio::spawn(fitness::run_one(check, surroundings, limit)));
    async move {
        if let Some(checking) = checking
            && let Ok(Err(unfit)) = checking.await
        {
            return unfit;
        }
        std::future::pending().await
    }
}

/// Tells the platform why this worker goes, if there is a way to.
pub(super) async fn report_unfit(config: Arc<Config>, Unfit { check, reason }: Unfit) -> Error {
    if config.api_key.is_some() && config.ping.is_some() {
        let told = async {
            let platform = HttpPlatform::new(&config, connect(config.clone()).await?);
            platform.report_unfit(&check, &reason).await.map_err(Error::from)
        };
        if let Err(error) = told.await {
            debug!(%error, "the platform could not be told");
        }
    }
    Error::Unfit { check, reason }
}

/// Makes the HTTP client. Reading the system's certificates takes a while and does not depend on
/// the worker's state, so it happens beside that, and only where a URL needs them.
async fn connect(config: Arc<Config>) -> Result<reqwest::Client, Error> {
    if !config.needs_tls() {
        return client(&config, false);
    }
    tokio::task::spawn_blocking(move || client(&config, true))
        .await
        .unwrap_or_else(|panicked| {
            Err(Error::Startup(
                format!("making the HTTPS client panicked: {panicked}").into(),
            ))
        })
}

/// Starts the heartbeat, if the platform gave this worker what it takes.
pub(super) fn start_heartbeat(
    config: &Arc<Config>,
    held: &Arc<Held>,
    liveness: &Arc<Liveness>,
    events: &Events,
) -> Result<Option<runtime::HeartbeatThread>, Error> {
    if config.api_key.is_none() {
        debug!("no heartbeat: RUNPOD_AI_API_KEY is not set");
        return Ok(None);
    }
    if !config.worker_id_is_known {
        info!("no heartbeat: RUNPOD_POD_ID is not set");
        return Ok(None);
    }
    if config.ping.is_none() {
        error!("no heartbeat: RUNPOD_WEBHOOK_PING is not set");
        return Ok(None);
    }
    let interval = config.ping_interval;
    let config = config.clone();
    let connect = move || Ok(HttpPlatform::new(&config, client(&config, config.needs_tls())?));
    runtime::on_thread(connect, held.clone(), liveness.clone(), interval, events.clone()).map(Some)
}

/// The first SIGTERM or SIGINT drains the worker, the second ends it at once.
pub(super) fn listen_for_signals(shutdown: Shutdown) -> Result<impl Future<Output = ()> + Send, Error> {
    let mut signals = StopSignals::listen()?;
    Ok(async move {
        let mut received = 0;
        loop {
            let name = signals.next().await.name();
            received += 1;
            if received == 1 {
                info!("{name} received. Shutting down.");
                shutdown.drain.cancel();
            } else {
                warn!("{name} received again. Leaving at once.");
                shutdown.drain.cancel();
                shutdown.abandon.cancel();
            }
        }
    })
}
