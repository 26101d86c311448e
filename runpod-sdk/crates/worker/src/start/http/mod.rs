//! Modes in which the worker answers HTTP requests itself: realtime and load-balancing endpoints
//! (`docs/protocol/worker-protocol.md` §13, `docs/protocol/endpoint-api.md`, load balancing).
//!
//! A request is a job: it goes the way of every other job, with the same deadlines, panics, cancellation
//! and hooks. Only its ends are different: [`desk`] is the platform that jobs come from and results go to.

mod answer;
mod body;
mod desk;
mod refused;
mod request;
mod routes;
mod server;
mod settings;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tracing::{info, warn};

use self::desk::Desk;
use self::routes::App;
use self::server::Server;
use self::settings::Settings;
use super::mode::HttpMode;
use super::{Starting, production};
use crate::error::Error;
use crate::fitness::{self, Surroundings, Unfit};
use crate::handler::ErasedHandler;
use crate::job::Identity;
use crate::runtime::{self, Ended, HeartbeatThread, Held, Liveness, Runtime, Shutdown};
use crate::settings::{Config, Template, local_identity};
use crate::worker::{Concurrency, Options, TakeAhead, WhenAbandoned, Worker};

/// In the place of URLs that such a worker does not use.
const NOWHERE: &str = "http://127.0.0.1:9/unused";
/// How long answers that are still being written get when all jobs have ended.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

/// Answers requests until told to stop.
pub(super) fn run(
    worker: Worker,
    mode: &HttpMode,
    lookup: impl Fn(&str) -> Option<String> + Copy,
    starting: Starting,
) -> Result<Ended, Error> {
    production::with_handlers(worker, lookup, |worker, handlers| {
        run_on(worker, handlers, mode, lookup, starting)
    })
}

/// What a start needs to know.
struct Start {
    heartbeat: Option<Arc<Config>>,
    surroundings: Arc<Surroundings>,
    /// Whether the machine has a duty to be fit.
    deployed: bool,
    handlers: Handle,
    starting: Starting,
}

fn run_on(
    mut worker: Worker,
    handlers: Option<&Handle>,
    mode: &HttpMode,
    lookup: impl Fn(&str) -> Option<String> + Copy,
    starting: Starting,
) -> Result<Ended, Error> {
    if let HttpMode::Realtime {
        concurrency: Some(jobs),
        ..
    } = mode
    {
        worker.options_mut().concurrency = Concurrency::new(jobs.get());
    }
    let mut problems = worker.options_mut().override_from(lookup);
    let options = worker.options_mut();
    // Nobody else would answer the request.
    options.when_abandoned = WhenAbandoned::PostError;
    options.take_ahead = TakeAhead::Off;
    let settings = Settings::read(mode, &options.http, lookup).map_err(|problem| problems.push(problem));
    let (Ok(settings), true) = (settings, problems.is_empty()) else {
        return Err(Error::Config(problems));
    };
    if options.journal.take().is_some() {
        warn!(
            "the journal is not used: a result belongs to a request, and the request ends with this process"
        );
    }
    let heartbeat = match mode {
        HttpMode::Realtime { .. } => heartbeat_config(lookup),
        HttpMode::LoadBalancing => None,
    };
    let ping = heartbeat.as_ref().and_then(|config| config.ping.as_ref());
    let surroundings = Surroundings::new(lookup, ping).or_else_as_in(worker.options());
    for warning in &surroundings.warnings {
        warn!("{warning}");
    }
    let deployed =
        lookup("RUNPOD_POD_ID").is_some_and(|id| !id.is_empty()) && !ping.is_some_and(Template::is_loopback);
    let control = production::control_runtime()?;
    let handlers = handlers.unwrap_or(control.handle()).clone();
    starting.mark("config");
    let start = Start {
        heartbeat,
        surroundings: Arc::new(surroundings),
        deployed,
        handlers,
        starting,
    };
    let identity = local_identity(lookup);
    let ended = control.block_on(work(worker, settings, identity, start));
    control.shutdown_background();
    ended
}

/// Where a realtime worker's heartbeat goes. It takes no jobs, so it needs no URLs for them.
fn heartbeat_config(lookup: impl Fn(&str) -> Option<String>) -> Option<Arc<Config>> {
    let unused = |name: &str| match name {
        "RUNPOD_WEBHOOK_GET_JOB" | "RUNPOD_WEBHOOK_POST_OUTPUT" => Some(NOWHERE.to_owned()),
        "RUNPOD_WEBHOOK_POST_STREAM" | "RUNPOD_WEBHOOK_JOB_STREAM" => None,
        _ => lookup(name),
    };
    match Config::from_lookup(unused) {
        Ok(config) => Some(Arc::new(config)),
        Err(problems) => {
            warn!("no heartbeat: {}", problems.join("; "));
            None
        }
    }
}

async fn work(worker: Worker, settings: Settings, identity: Identity, start: Start) -> Result<Ended, Error> {
    let shutdown = Shutdown::default();
    tokio::spawn(production::listen_for_signals(shutdown.clone())?);
    let options = worker.options().clone();
    #[cfg(feature = "metrics")]
    let _metrics = options.metrics.serve();
    let held = Arc::new(Held::new(options.held_results, options.held_bytes));
    let desk = Arc::new(Desk::new(held, settings.queue));
    let app = Arc::new(App::new(settings, desk, identity));
    // From here on health checks are answered, and requests refused.
    let server = Server::start(app.clone()).await?;
    start.starting.mark("listening");
    let handlers = start.handlers.clone();
    let work = serve(worker, &app, start, shutdown.clone());
    let ended = runtime::live(&options, &handlers, &shutdown, work).await;
    app.desk.hang_up();
    server.stop(LAST_ANSWERS).await;
    ended
}

/// Gets the worker ready and works. Until then requests are refused, and health checks say so.
async fn serve(worker: Worker, app: &App, start: Start, shutdown: Shutdown) -> Result<Ended, Error> {
    let desk = app.desk.clone();
    let ready = tokio::select! {
        biased;
        () = shutdown.drain.cancelled() => {
            info!("told to stop before the worker was ready");
            return Ok(Ended::Drained);
        }
        ready = start.get_ready(worker, desk.held()) => ready?,
    };
    let drain = shutdown.drain.clone();
    let mut runtime = Runtime::new(
        desk.clone(),
        ready.handler,
        ready.options,
        app.identity.clone(),
        desk.held().clone(),
        shutdown,
    );
    runtime.handlers = start.handlers;
    desk.open(runtime.slots.clone());
    info!("ready for requests");
    start.starting.finish_without_take("ready");
    let closing = async {
        drain.cancelled().await;
        desk.close();
        std::future::pending::<()>().await;
    };
    tokio::select! {
        biased;
        ended = runtime.remove_leftovers().run() => ended,
        () = closing => Ok(Ended::Drained),
    }
}

/// A worker that can begin.
struct Ready {
    options: Options,
    handler: Arc<dyn ErasedHandler>,
    /// Beats until it is dropped.
    _heartbeat: Option<HeartbeatThread>,
}

impl Start {
    /// The fitness checks, then the heartbeat, then the state.
    async fn get_ready(&self, mut worker: Worker, held: &Arc<Held>) -> Result<Ready, Error> {
        let mut checks = worker.take_fitness_checks();
        let options = worker.options();
        let automatic = fitness::automatic(options.automatic_checks, self.deployed, &self.surroundings);
        let seen = &self.surroundings;
        let somewhere = seen.platform.is_some() || !seen.network_targets.is_empty();
        checks.extend(automatic.before);
        // Nothing waits at the door while this one is made, so it need not be made beside the work.
        checks.extend(automatic.beside.filter(|_| somewhere));
        let limit = options.fitness_limit;
        if let Err(unfit) = fitness::run(checks, self.surroundings.clone(), limit, &self.handlers).await {
            return Err(match &self.heartbeat {
                Some(config) => production::report_unfit(config.clone(), unfit).await,
                None => {
                    let Unfit { check, reason } = unfit;
                    Error::Unfit { check, reason }
                }
            });
        }
        self.starting.mark("fitness");

        let (options, load) = worker.into_parts();
        let liveness = Arc::new(Liveness::new(options.stuck_after));
        tokio::spawn(liveness.clone().keep_fresh(production::SIGN_OF_LIFE));
        let heartbeat = match &self.heartbeat {
            Some(config) => {
                let started = production::start_heartbeat(config, held, &liveness, &options.events)?;
                self.starting.mark("heartbeat");
                started
            }
            None => None,
        };
        let loading = self.handlers.spawn(load()).await;
        let handler = loading
            .map_err(|panicked| Error::Startup(format!("loading the state panicked: {panicked}").into()))??;
        self.starting.mark("state");
        Ok(Ready {
            options,
            handler,
            _heartbeat: heartbeat,
        })
    }
}
