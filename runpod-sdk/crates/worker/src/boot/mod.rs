//! `start`: everything a worker's `main` has to do.
//!
//! `start` reads the command line and decides what the worker was started for. Each purpose has a file that fills in
//! a [`Launch`], and `launch` runs it:
//!
//! - `deployed`: jobs from the platform's queue. `http`: requests that the worker answers itself.
//! - `one_job`: one local job. `dev_server`: the platform on this machine, and the worker under it.

mod deployed;
#[cfg(feature = "local-server")]
mod dev_server;
mod fitness_plan;
mod flags;
mod heartbeat;
#[cfg(feature = "http-modes")]
mod http;
mod launch;
mod one_job;
mod schema;
mod stop_signals;
#[cfg(test)]
mod tests;
mod threads;

use std::io::Write as _;
use std::process::ExitCode;

use tracing::{error, info, warn};

use crate::error::{Error, StartupError};
use crate::events::StartTimer;
use crate::exit::WaitBeforeExit;
use crate::panics;
use crate::redact;
use crate::runtime::{Ended, Shutdown};
use crate::settings::{Config, Environment, Realtime, WorkerMode};
use crate::telemetry;
use crate::worker::Worker;
use runpod_protocol::tls;

#[cfg(any(test, feature = "testing"))]
pub(crate) use fitness_plan::FitnessPlan;
pub use flags::{FLAGS, Flag};
use flags::{Flags, Parsed};
#[cfg(test)]
pub(crate) use launch::Connected;
#[cfg(any(test, feature = "testing"))]
pub(crate) use launch::{Launch, StartReporting};

/// The platform's own log viewers look for this line.
const BANNER: &str = concat!(
    "--- Starting Serverless Worker |  Version ",
    env!("CARGO_PKG_VERSION"),
    " ---"
);

const BAD_FLAG: u8 = 2;

/// Runs a worker until it is told to stop, and says how it ended.
///
/// Give it the whole `main`: it sets up logging and the runtime, reads the command line and the
/// environment, and maps the result to an exit code.
///
/// What it does depends on where it is, in this order:
///
/// 1. With `--rp_serve_api` (feature `local-server`) it serves RunPod's API on this machine and
///    takes its jobs from there. With `--test_input JSON` as well it submits that one job to the API, prints
///    what a client sees of it, and exits.
/// 2. With `RUNPOD_REALTIME_PORT` (feature `http-modes`) it answers realtime requests.
/// 3. With `--test_input JSON` it runs that one job locally. SIGTERM or SIGINT cancels the job; a second signal ends
///    the process without waiting for it.
/// 4. With `RUNPOD_WORKER_MODE=load-balancing`, or if the program says so by `Worker::load_balancing`
///    (feature `http-modes`), it answers the requests of a load-balancing endpoint.
/// 5. Without the platform's variables it runs one job locally: the one in `test_input.json`.
/// 6. With the platform's variables it takes jobs until SIGTERM or SIGINT. Then it finishes what
///    it has and exits; a second signal ends it at once.
///
/// With `--schema` it prints the JSON Schema of the input ([`Worker::schema`]) instead, and nothing else.
///
/// | exit code | meaning |
/// |---|---|
/// | 0 | told to stop, and every result was handed over; or the local test passed |
/// | 1 | could not start or go on; or jobs were left behind; or the local test failed |
/// | 2 | a flag that cannot be understood, or one for something that this worker does not have |
/// | 130, 143 | the local test was stopped by SIGINT, by SIGTERM |
///
/// Flags it does not know are left to the program.
#[must_use = "return the exit code from `main`"]
pub fn start(worker: Worker) -> ExitCode {
    let timer = StartTimer::now();
    let _wait = WaitBeforeExit;
    let lookup = |name: &str| std::env::var(name).ok();
    let flags = match Flags::parse(std::env::args().skip(1)) {
        Ok(Parsed::Run(flags)) => flags,
        Ok(Parsed::Help) => {
            say(&flags::help());
            return ExitCode::SUCCESS;
        }
        Err(problem) => {
            complain(&format!("error: {problem}\n\n--help lists all flags."));
            return ExitCode::from(BAD_FLAG);
        }
    };
    if flags.schema {
        return schema::print(&worker);
    }
    say(BANNER);
    // Before any of the worker's own code runs: a state that is being loaded may need TLS, too.
    tls::install_provider();
    timer.mark("tls");
    // Ends after the worker, and then still sends the last spans.
    #[cfg(feature = "otlp")]
    let traces = telemetry::otlp::Traces::start(lookup);
    #[cfg(feature = "otlp")]
    let installed = telemetry::install(
        flags.log_level.as_deref(),
        lookup,
        traces.as_ref().ok().and_then(Option::as_ref),
    );
    #[cfg(not(feature = "otlp"))]
    let installed = telemetry::install(flags.log_level.as_deref(), lookup);
    match installed {
        Ok(None) => {}
        Ok(Some(warning)) => warn!("{warning}"),
        Err(problem) => {
            complain(&format!("error: --rp_log_level: {problem}"));
            return ExitCode::from(BAD_FLAG);
        }
    }
    if let Some(level) = &flags.log_level {
        info!("Log level set to {}", level.to_ascii_uppercase());
    }
    redact::hide_environment(lookup);
    #[cfg(feature = "otlp")]
    match &traces {
        Ok(None) => {}
        Ok(Some(traces)) => info!("traces go to {}", traces.host()),
        Err(problem) => warn!("{problem}"),
    }
    panics::install_panic_hook();
    panics::warn_if_panics_abort();

    #[cfg(feature = "local-server")]
    if let Some(serve) = &flags.serve {
        return dev_server::run(worker, &flags, serve, lookup, timer);
    }
    match http_mode(&worker, &flags, lookup) {
        #[cfg(feature = "http-modes")]
        Ok(Some(mode)) => return exit_code(http::run(worker, mode, lookup, timer)),
        // Without the feature there is no such mode.
        #[cfg(not(feature = "http-modes"))]
        Ok(Some(_)) => {}
        Ok(None) => {}
        Err(problem) => {
            complain(&format!("error: {problem}"));
            return ExitCode::from(BAD_FLAG);
        }
    }
    if flags.test_input.is_some() || !Config::is_production(lookup) {
        return one_job::run(worker, &flags, lookup);
    }
    exit_code(deployed::run(worker, lookup, timer, Shutdown::default()))
}

/// A way of working in which the worker answers HTTP requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HttpMode {
    LoadBalancing,
    Realtime(Realtime),
}

/// Whether the worker is to answer requests itself. `PORT` alone says nothing: it is set in many places.
fn http_mode(
    worker: &Worker,
    flags: &Flags,
    lookup: impl Fn(&str) -> Option<String> + Copy,
) -> Result<Option<HttpMode>, String> {
    let without = |what: &str| {
        format!(
            "{what}: this worker was built without it; build it with the feature `http-modes` of runpod-sdk"
        )
    };
    if let Some(realtime) = Realtime::from_lookup(lookup) {
        return if cfg!(feature = "http-modes") {
            Ok(Some(HttpMode::Realtime(realtime)))
        } else {
            Err(without(&format!("RUNPOD_REALTIME_PORT={}", realtime.port)))
        };
    }
    // One that cannot be read is named with all others that cannot.
    let mode = Environment::read(lookup).0.mode.unwrap_or(worker.settings().mode);
    if flags.test_input.is_some() || mode != WorkerMode::LoadBalancing {
        return Ok(None);
    }
    if cfg!(feature = "http-modes") {
        Ok(Some(HttpMode::LoadBalancing))
    } else {
        Err(without("RUNPOD_WORKER_MODE=load-balancing"))
    }
}

fn exit_code(ended: Result<Ended, Error>) -> ExitCode {
    match ended {
        Ok(Ended::Drained) => {
            info!("all jobs are done; exiting");
            ExitCode::SUCCESS
        }
        Ok(Ended::Abandoned { jobs }) => {
            error!(jobs, "exiting with jobs left for other workers");
            ExitCode::FAILURE
        }
        Err(error) => {
            error!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// [`Worker::run`]: the production mode on a runtime that exists already.
pub(crate) async fn run(worker: Worker) -> Result<(), Error> {
    let timer = StartTimer::now();
    let handlers = tokio::runtime::Handle::current();
    let (ended, outcome) = tokio::sync::oneshot::channel();
    let control = move || {
        let lookup = |name: &str| std::env::var(name).ok();
        // The caller may have stopped waiting.
        let _ = ended.send(deployed::run_on(
            worker,
            Some(handlers),
            lookup,
            timer,
            Shutdown::default(),
        ));
    };
    std::thread::Builder::new()
        .name("runpod-control".to_owned())
        .spawn(control)
        .map_err(|source| StartupError::NoThread {
            what: "thread for the worker's control loop",
            source,
        })?;
    match outcome.await {
        Ok(Ok(Ended::Drained)) => Ok(()),
        Ok(Ok(Ended::Abandoned { jobs })) => Err(Error::Abandoned { jobs }),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(Error::Runtime("the control thread panicked".to_owned())),
    }
}

/// Prints a line that is not a log line.
fn say(text: &str) {
    // Without a stdout there is nobody to tell.
    let _ = writeln!(std::io::stdout(), "{text}");
}

fn complain(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
