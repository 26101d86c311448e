//! A deployed worker: takes jobs from the platform that the environment names.

use std::sync::Arc;

use tracing::warn;

use super::fitness_plan::FitnessPlan;
use super::launch::{Connected, Launch, StartReporting};
use super::stop_signals::drain_on_signals;
use super::threads::Threads;
use crate::error::{Error, StartupError};
use crate::events::StartTimer;
use crate::fitness::{self, CheckEnvironment};
use crate::journal::JournalHandle;
use crate::platform::{HttpPlatform, client};
use crate::runtime::{ActiveJobs, Ended, Shutdown, Slots};
use crate::settings::{Config, Journal, Limits, removed};
use crate::worker::Worker;

/// Runs the worker until `shutdown` or a signal tells it to stop.
pub(super) fn run(
    worker: Worker,
    lookup: impl Fn(&str) -> Option<String>,
    timer: StartTimer,
    shutdown: Shutdown,
) -> Result<Ended, Error> {
    run_on(worker, None, lookup, timer, shutdown)
}

/// The same with its handlers on `threads`, if they are there already. Blocks this thread, which becomes the control
/// loop's.
pub(super) fn run_on(
    mut worker: Worker,
    handlers: Option<tokio::runtime::Handle>,
    lookup: impl Fn(&str) -> Option<String>,
    timer: StartTimer,
    shutdown: Shutdown,
) -> Result<Ended, Error> {
    let problems = worker.settings_mut().override_from(&lookup);
    let config = match Config::from_lookup(&lookup) {
        Ok(config) if problems.is_empty() => Arc::new(config),
        Ok(_) => return Err(Error::Config(problems)),
        Err(mut all) => {
            all.extend(problems);
            return Err(Error::Config(all));
        }
    };
    let environment = CheckEnvironment::new(&lookup, Some(&config.take), &worker.settings().network_targets);
    let removed = removed(&lookup);
    for warning in config
        .warnings
        .iter()
        .chain(&environment.warnings)
        .chain(&removed)
    {
        warn!("{warning}");
    }
    let threads = match handlers {
        Some(handlers) => Threads::beside(handlers)?,
        None => Threads::new(worker.settings())?,
    };
    timer.mark("config");
    threads.run(|handlers| async move {
        tokio::spawn(drain_on_signals(shutdown.clone())?);
        let settings = worker.settings();
        let limits = settings.limits;
        let deployed = !config.take.is_loopback();
        let launch = Launch {
            identity: config.identity(),
            active_jobs: Arc::new(ActiveJobs::new(
                limits.undelivered_results,
                limits.undelivered_bytes,
            )),
            slots: Slots::of(&settings.concurrency),
            handlers,
            shutdown,
            fitness: FitnessPlan {
                automatic: fitness::automatic(settings.automatic_checks, deployed, &environment),
                environment: Arc::new(environment),
                report: Some(config.clone()),
                enabled: true,
            },
            heartbeat: Some(config.clone()),
            connect: connect(config, limits, settings.journal.clone()),
            random: fastrand::Rng::new(),
            start: StartReporting::FirstTake(timer),
            worker,
        };
        launch.run().await
    })
}

/// Makes the client and opens the journal, both at once.
async fn connect(
    config: Arc<Config>,
    limits: Limits,
    journal: Option<Journal>,
) -> Result<Connected<HttpPlatform>, Error> {
    let opening = async { Ok(JournalHandle::open(journal).await) };
    let (client, journal) = tokio::try_join!(http_client(config.clone(), limits), opening)?;
    let platform = Arc::new(HttpPlatform::new(&config, limits, client));
    Ok(Connected { platform, journal })
}

/// Makes the HTTP client. Reading the system's certificates takes a while and does not depend on
/// the worker's state, so it happens beside that, and only where a URL needs them.
pub(super) async fn http_client(config: Arc<Config>, limits: Limits) -> Result<reqwest::Client, Error> {
    if !config.needs_tls() {
        return Ok(client(&config, limits, false)?);
    }
    let made = tokio::task::spawn_blocking(move || client(&config, limits, true)).await;
    match made {
        Ok(client) => Ok(client?),
        Err(panicked) => Err(StartupError::NoThread {
            what: "HTTPS client",
            source: panicked.into(),
        }
        .into()),
    }
}
