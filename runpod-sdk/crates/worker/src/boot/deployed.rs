//! A deployed worker: takes jobs from the platform that the environment names.

use std::sync::Arc;

use tracing::warn;

use super::descriptors;
use super::fitness_plan::FitnessPlan;
use super::http_client::http_client;
use super::launch::{Connected, Launch, StartReporting};
use super::stop_signals::{StopThread, WhenStuck};
use super::threads::Threads;
use crate::error::Error;
use crate::events::StartTimer;
use crate::fitness::{self, CheckEnvironment};
use crate::journal::JournalHandle;
use crate::platform::HttpPlatform;
use crate::runtime::{ActiveJobs, Ended, Shutdown, Slots};
use crate::settings::{Config, Journal, WorkerLimits};
use crate::worker::Worker;

/// Runs the worker until `shutdown`, SIGTERM or SIGINT.
pub(super) fn run(
    worker: Worker,
    lookup: impl Fn(&str) -> Option<String>,
    timer: StartTimer,
    shutdown: Shutdown,
) -> Result<Ended, Error> {
    run_on(worker, None, lookup, timer, shutdown)
}

/// Runs the worker like [`run`], with its handlers on the runtime `handlers` if there is one. Blocks this thread, which
/// becomes the control loop's.
pub(super) fn run_on(
    mut worker: Worker,
    handlers: Option<tokio::runtime::Handle>,
    lookup: impl Fn(&str) -> Option<String>,
    timer: StartTimer,
    shutdown: Shutdown,
) -> Result<Ended, Error> {
    descriptors::check()?;
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
    for warning in config.warnings.iter().chain(&environment.warnings) {
        warn!("{warning}");
    }
    let stuck_after = worker.settings().limits.stuck_after;
    let when_stuck = match handlers {
        // The program's own process.
        Some(_) => WhenStuck::GoOn,
        None => WhenStuck::ExitAfter(stuck_after),
    };
    let signals = StopThread::start(shutdown.clone(), when_stuck)?;
    let threads = match handlers {
        Some(handlers) => Threads::beside(handlers)?,
        None => Threads::new(worker.settings())?,
    };
    timer.mark("config");
    threads.run(|handlers| async move {
        let settings = worker.settings();
        let limits = settings.limits;
        let active_jobs = Arc::new(ActiveJobs::new(
            limits.undelivered_results,
            limits.undelivered_bytes,
        ));
        tokio::spawn(signals.answer(active_jobs.clone(), settings.shutdown_grace));
        let deployed = !config.take.is_loopback();
        let launch = Launch {
            identity: config.identity(),
            active_jobs,
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
            connect: Box::pin(connect(config, limits, settings.journal.clone())),
            random: fastrand::Rng::new(),
            start: StartReporting::FirstTake(timer),
            worker,
        };
        launch.run().await
    })
}

/// Makes the client and opens the journal, concurrently.
async fn connect(
    config: Arc<Config>,
    limits: WorkerLimits,
    journal: Option<Journal>,
) -> Result<Connected, Error> {
    let opening = async { Ok(JournalHandle::open(journal).await) };
    let (client, journal) = tokio::try_join!(http_client(config.clone(), limits), opening)?;
    let platform = Arc::new(HttpPlatform::new(&config, limits, client));
    Ok(Connected { platform, journal })
}
