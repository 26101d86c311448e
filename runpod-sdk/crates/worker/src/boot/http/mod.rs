//! Modes in which the worker answers HTTP requests itself: realtime and load-balancing endpoints
//! (`docs/protocol/worker-protocol.md` §13, `docs/protocol/endpoint-api.md`, load balancing).
//!
//! A request is a job: it goes the way of every other job, with the same deadlines, panics, cancellation
//! and hooks. Only its ends are different: [`request_queue`] is the platform that jobs come from and results go to.

mod answer;
mod body;
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

use tracing::{info, warn};

use self::request_queue::RequestQueue;
use self::routes::App;
use self::server::Server;
use self::settings::HttpSettings;
use super::HttpMode;
use super::fitness_plan::FitnessPlan;
use super::launch::{Launch, StartReporting};
use super::stop_signals::drain_on_signals;
use super::threads::Threads;
use crate::error::Error;
use crate::events::StartTimer;
use crate::fitness::{self, CheckEnvironment};
use crate::runtime::{ActiveJobs, Ended, Shutdown, Slots};
use crate::settings::{Config, TakeAhead, Template, WhenAbandoned, local_identity, removed};
use crate::worker::Worker;

/// In the place of URLs that such a worker does not use.
const NOWHERE: &str = "http://127.0.0.1:9/unused";
/// How long answers that are still being written get when all jobs have ended.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

/// Answers requests until told to stop.
pub(super) fn run(
    mut worker: Worker,
    mode: HttpMode,
    lookup: impl Fn(&str) -> Option<String> + Copy,
    timer: StartTimer,
) -> Result<Ended, Error> {
    let http = prepare(&mut worker, mode, lookup).map_err(Error::Config)?;
    let heartbeat = match mode {
        HttpMode::Realtime { .. } => heartbeat_config(lookup),
        HttpMode::LoadBalancing => None,
    };
    let fitness = fitness_plan(&worker, heartbeat.clone(), lookup);
    let identity = local_identity(lookup);
    let threads = Threads::new(worker.settings())?;
    timer.mark("config");
    threads.run(|handlers| async move {
        let shutdown = Shutdown::default();
        tokio::spawn(drain_on_signals(shutdown.clone())?);
        let settings = worker.settings();
        let limits = settings.limits;
        let active_jobs = Arc::new(ActiveJobs::new(
            limits.undelivered_results,
            limits.undelivered_bytes,
        ));
        let slots = Slots::of(&settings.concurrency);
        let requests = Arc::new(RequestQueue::new(active_jobs.clone(), http.queue));
        let app = Arc::new(App::new(http, requests.clone(), identity.clone()));
        // From here on health checks are answered, and requests refused.
        let server = Server::start(app.clone()).await?;
        timer.mark("listening");
        tokio::spawn(close_when_drained(requests.clone(), shutdown.clone()));
        let launch = Launch {
            identity,
            active_jobs,
            slots: slots.clone(),
            handlers,
            shutdown,
            fitness,
            heartbeat,
            connect: async { Ok(requests.clone().into()) },
            random: fastrand::Rng::new(),
            start: StartReporting::Ready(timer, open(requests.clone(), slots)),
            worker,
        };
        let ended = launch.run().await;
        requests.hang_up();
        server.stop(LAST_ANSWERS).await;
        ended
    })
}

/// Settles how requests are answered. Returns one line for each variable that cannot be read.
fn prepare(
    worker: &mut Worker,
    mode: HttpMode,
    lookup: impl Fn(&str) -> Option<String> + Copy,
) -> Result<HttpSettings, Vec<String>> {
    let settings = worker.settings_mut();
    let mut problems = settings.override_from(lookup);
    // Nobody else would answer the request.
    settings.when_abandoned = WhenAbandoned::PostError;
    settings.take_ahead = TakeAhead::Off;
    if settings.journal.take().is_some() {
        warn!(
            "the journal is not used: a result belongs to a request, and the request ends with this process"
        );
    }
    for warning in removed(lookup) {
        warn!("{warning}");
    }
    let http = HttpSettings::read(mode, settings, lookup).map_err(|problem| problems.push(problem));
    match http {
        Ok(http) if problems.is_empty() => Ok(http),
        _ => Err(problems),
    }
}

/// The checks of a worker that takes no jobs. They are all made before it is ready: nothing waits meanwhile.
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
    // Only a pod has a duty to be fit.
    let deployed =
        lookup("RUNPOD_POD_ID").is_some_and(|id| !id.is_empty()) && !ping.is_some_and(Template::is_loopback);
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
fn open(requests: Arc<RequestQueue>, slots: Slots) -> Box<dyn FnOnce() + Send + Sync> {
    Box::new(move || {
        requests.open(slots);
        info!("ready for requests");
    })
}

/// Refuses requests once the worker is told to stop.
async fn close_when_drained(requests: Arc<RequestQueue>, shutdown: Shutdown) {
    shutdown.drain.cancelled().await;
    requests.close();
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
