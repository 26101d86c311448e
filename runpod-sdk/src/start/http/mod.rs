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
use crate::config::{self, Config, Template};
use crate::error::Error;
use crate::fitness::{self, Surroundings, Unfit};
use crate::job::Identity;
use crate::runtime::{self, Ended, Held, Liveness, Runtime, Shutdown};
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
    let heartbeat = match mode {
        HttpMode::Realtime { .. } => heartbeat_config(lookup),
        HttpMode::LoadBalancing => None,
    };
    let control = production::control_runtime()?;
    let handlers = handlers.unwrap_or(control.handle()).clone();
    let identity = config::local_identity(lookup);
    let surroundings = surroundings(lookup)?.or_else_as_in(worker.options());
    let start = Start {
        heartbeat,
        surroundings: Arc::new(surroundings),
        handlers,
        starting,
    };
    start.starting.mark("config");
    let ended = control.block_on(work(worker, settings, identity, start));
    control.shutdown_background();
    ended
}

/// What the worker's own checks look at. There is no URL of the platform to look for.
fn surroundings(lookup: impl Fn(&str) -> Option<String>) -> Result<Surroundings, Error> {
    let nowhere = Template::parse(NOWHERE).map_err(|problem| Error::Startup(problem.into()))?;
    let surroundings = Surroundings::new(lookup, &nowhere);
    for warning in &surroundings.warnings {
        warn!("{warning}");
    }
    Ok(surroundings)
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

/// What a start needs to know.
struct Start {
    heartbeat: Option<Arc<Config>>,
    surroundings: Arc<Surroundings>,
    handlers: Handle,
    starting: Starting,
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
    let liveness = Arc::new(Liveness::new(worker.options().stuck_after));
    tokio::spawn(liveness.clone().keep_fresh(production::SIGN_OF_LIFE));
    let _heartbeat = match &start.heartbeat {
        Some(config) => {
            let events = &worker.options().events;
            production::start_heartbeat(config, desk.held(), &liveness, events)?
        }
        None => None,
    };
    let ready = tokio::select! {
        biased;
        () = shutdown.drain.cancelled() => {
            info!("told to stop before the worker was ready");
            return Ok(Ended::Drained);
        }
        ready = get_ready(worker, &start) => ready?,
    };
    let (options, handler) = ready;
    let identity = app.identity.clone();
    let drain = shutdown.drain.clone();
    let mut runtime = Runtime::new(
        desk.clone(),
        handler,
        options,
        identity,
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

/// The worker's own fitness checks, then its state.
async fn get_ready(
    mut worker: Worker,
    start: &Start,
) -> Result<(Options, Arc<dyn crate::handler::ErasedHandler>), Error> {
    let checks = worker.take_fitness_checks();
    let limit = worker.options().fitness_limit;
    let checking = fitness::run(checks, start.surroundings.clone(), limit);
    let fit = start.handlers.spawn(checking).await;
    if let Err(unfit) = fit.map_err(|lost| Error::Runtime(lost.to_string()))? {
        return Err(match &start.heartbeat {
            Some(config) => production::report_unfit(config.clone(), unfit).await,
            None => {
                let Unfit { check, reason } = unfit;
                Error::Unfit { check, reason }
            }
        });
    }
    start.starting.mark("fitness");
    let (options, load) = worker.into_parts();
    let handler = start
        .handlers
        .spawn(load())
        .await
        .map_err(|panicked| Error::Startup(format!("loading the state panicked: {panicked}").into()))??;
    start.starting.mark("state");
    Ok((options, handler))
}
