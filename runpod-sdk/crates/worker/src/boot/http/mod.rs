//! Modes in which the worker answers HTTP requests itself: realtime and load-balancing endpoints
//! (`docs/protocol/worker-protocol.md` §13, `docs/protocol/endpoint-api.md`, load balancing).
//!
//! A request becomes a job and runs like any other, with the same deadlines, panics, cancellation and hooks.
//! [`request_queue`] is the platform from which jobs come and to which results go.

mod answer;
mod body;
mod held;
mod json_response;
mod own;
mod refused;
mod request;
mod request_queue;
mod routes;
mod server;
mod settings;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use runpod_protocol::variable;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use self::own::OwnService;
use self::request_queue::RequestQueue;
use self::routes::App;
use self::server::Server;
use self::settings::HttpSettings;
use super::HttpMode;
use super::descriptors;
use super::fitness_plan::FitnessPlan;
use super::launch::{Launch, StartReporting, at_hand};
use super::stop_signals::{StopThread, WhenStuck};
use super::threads::Threads;
use crate::error::Error;
use crate::events::{Events, StartTimer};
use crate::fitness::{self, CheckEnvironment};
use crate::runtime::{ActiveJobs, Ended, Shutdown, Slots};
use crate::settings::{Config, TakeAhead, Template, WhenAbandoned, local_identity};
use crate::worker::Worker;

/// The URL of requests that such a worker does not send.
const NOWHERE: &str = "http://127.0.0.1:9/unused";
/// The time for answers that are still being written when all jobs have ended.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

/// Answers requests until SIGTERM or SIGINT.
pub(super) fn run(
    mut worker: Worker,
    mode: HttpMode,
    lookup: impl Fn(&str) -> Option<String> + Copy,
    timer: StartTimer,
) -> Result<Ended, Error> {
    descriptors::check()?;
    let http = prepare(&mut worker, mode, lookup).map_err(Error::Config)?;
    let heartbeat = match mode {
        HttpMode::Realtime { .. } => heartbeat_config(lookup),
        HttpMode::LoadBalancing => None,
    };
    let fitness = fitness_plan(&worker, heartbeat.clone(), lookup);
    let identity = local_identity(lookup);
    let signals = Shutdown::default();
    let when_stuck = WhenStuck::ExitAfter(worker.settings().limits.stuck_after);
    let listening = StopThread::start(signals.clone(), when_stuck)?;
    let threads = Threads::new(worker.settings())?;
    timer.mark("config");
    threads.run(|handlers| async move {
        let settings = worker.settings();
        let limits = settings.limits;
        let active_jobs = Arc::new(ActiveJobs::new(
            limits.undelivered_results,
            limits.undelivered_bytes,
        ));
        tokio::spawn(listening.answer(active_jobs.clone(), settings.shutdown_grace));
        let slots = Slots::of(&settings.concurrency);
        let requests = Arc::new(RequestQueue::new(active_jobs.clone(), http.queue));
        let own = worker.own_routes().map(|routes| {
            let (at_once, waiting) = (settings.concurrency.get(), http.queue);
            OwnService::new(routes, at_once, waiting, http.body_limit, signals.drain.clone())
        });
        let (has_own, grace) = (own.is_some(), settings.shutdown_grace);
        let app = Arc::new(App::new(http, requests.clone(), identity.clone()).with_own(own));
        // From here on health checks are answered. Requests are refused until the worker is ready.
        let server = Server::start(app.clone(), &handlers).await?;
        timer.mark("listening");
        tokio::spawn(close_when_drained(requests.clone(), signals.clone()));
        // The program's own requests are answered to their end before the worker itself drains and calls its hooks.
        let drain = if has_own {
            CancellationToken::new()
        } else {
            signals.drain.clone()
        };
        let shutdown = Shutdown {
            drain: drain.clone(),
            abandon: signals.abandon.clone(),
        };
        let launch = Launch {
            identity,
            active_jobs,
            slots: slots.clone(),
            handlers,
            shutdown,
            fitness,
            heartbeat,
            connect: at_hand(requests.clone()),
            random: fastrand::Rng::new(),
            start: StartReporting::Ready(timer, open(app, slots)),
            worker,
        };
        if !has_own {
            let ended = launch.run().await;
            requests.hang_up();
            server.stop(LAST_ANSWERS).await;
            return ended;
        }
        let stopped = tokio::spawn(answer_to_the_end(server, signals.clone(), grace, drain));
        let ended = launch.run().await;
        requests.hang_up();
        // The worker may have ended for a reason of its own.
        signals.drain.cancel();
        let _ = stopped.await;
        ended
    })
}

/// Reads the settings of the HTTP modes and adapts those of the worker. The error has one line for each variable that
/// cannot be read.
fn prepare(
    worker: &mut Worker,
    mode: HttpMode,
    lookup: impl Fn(&str) -> Option<String> + Copy,
) -> Result<HttpSettings, Vec<String>> {
    let settings = worker.settings_mut();
    let mut problems = settings.override_from(lookup);
    // No other worker can answer the request.
    settings.when_abandoned = WhenAbandoned::PostError;
    settings.take_ahead = TakeAhead::Off;
    if settings.journal.take().is_some() {
        warn!(
            "the journal is not used: a result belongs to a request, and the request ends with this process"
        );
    }
    let http = HttpSettings::read(mode, settings, lookup).map_err(|problem| problems.push(problem));
    match http {
        Ok(http) if problems.is_empty() => Ok(http),
        _ => Err(problems),
    }
}

/// The fitness checks of a worker that takes no jobs. All are made before it is ready.
fn fitness_plan(
    worker: &Worker,
    heartbeat: Option<Arc<Config>>,
    lookup: impl Fn(&str) -> Option<String> + Copy,
) -> FitnessPlan {
    let ping = heartbeat.as_ref().and_then(|config| config.ping.as_ref());
    let environment = CheckEnvironment::new(lookup, ping, &worker.settings().network_targets);
    for warning in &environment.warnings {
        warn!("{warning}");
    }
    // The automatic checks are for pods.
    let deployed = variable::unless_blank(lookup(variable::WORKER_ID)).is_some()
        && !ping.is_some_and(Template::is_loopback);
    let mut automatic = fitness::automatic(worker.settings().automatic_checks, deployed, &environment);
    let network = automatic.beside.take();
    automatic.before.extend(
        network.filter(|_| environment.platform.is_some() || !environment.network_targets.is_empty()),
    );
    FitnessPlan {
        automatic,
        environment: Arc::new(environment),
        report: heartbeat,
        enabled: true,
    }
}

/// Opens the queue once the worker is ready.
fn open(app: Arc<App>, slots: Slots) -> Box<dyn FnOnce(&Events) + Send + Sync> {
    Box::new(move |events| {
        if let Some(own) = &app.own {
            own.report_to(events);
        }
        app.requests.open(slots);
        info!("ready for requests");
    })
}

/// Waits for the signal to stop, then for the answers and WebSockets of the program's own routes, and then drains the
/// worker.
async fn answer_to_the_end(server: Server, signals: Shutdown, grace: Duration, drain: CancellationToken) {
    signals.drain.cancelled().await;
    tokio::select! {
        biased;
        () = server.stop(grace) => {}
        () = signals.abandon.cancelled() => warn!("leaving at once, with requests unanswered"),
    }
    drain.cancel();
}

/// Refuses requests once the worker drains.
async fn close_when_drained(requests: Arc<RequestQueue>, shutdown: Shutdown) {
    shutdown.drain.cancelled().await;
    requests.close();
}

/// The platform of a realtime worker's heartbeat. Such a worker takes no jobs, so it needs no URLs for them.
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
