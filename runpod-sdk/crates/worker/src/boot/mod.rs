//! `start`: the whole `main` of a worker.
//!
//! `start` reads the command line and selects the mode of the worker. Each mode has a file that fills in a `Launch`,
//! and `launch` runs it:
//!
//! - `deployed`: jobs from the platform's queue. `http`: requests that the worker answers itself.
//! - `one_job`: one local job. `dev_server`: the platform on this machine, and the worker under it.

mod deployed;
mod descriptors;
#[cfg(feature = "local-server")]
mod dev_server;
mod fitness_plan;
mod flags;
mod heartbeat;
#[cfg(feature = "http-modes")]
mod http;
mod http_client;
mod json_slip;
mod launch;
mod logging;
mod one_job;
mod run;
mod schema;
mod stop_signals;
mod test_job;
#[cfg(test)]
mod tests;
mod threads;

use std::io::Write as _;
use std::process::ExitCode;

use tracing::{error, info, warn};

use crate::error::Error;
use crate::events::StartTimer;
use crate::exit::WaitBeforeExit;
use crate::log_writer::{self, FlushAtEnd};
use crate::panics;
use crate::router::Router;
use crate::runtime::{Ended, Shutdown};
use crate::settings::{self, Config, Environment, PROTOCOL_VERSION, Realtime, WorkerMode};
use crate::telemetry;
use crate::worker::Worker;
use runpod_protocol::{tls, variable};

#[cfg(any(test, feature = "testing"))]
pub(crate) use fitness_plan::FitnessPlan;
pub use flags::{FLAGS, Flag};
use flags::{Flags, Parsed};
#[cfg(test)]
pub(crate) use launch::Connected;
#[cfg(any(test, feature = "testing"))]
pub(crate) use launch::{Launch, StartReporting, at_hand};

/// The line that the platform's log viewers search for. It names both versions, because errors and heartbeats name that of
/// the protocol alone.
fn banner() -> String {
    format!(
        "--- Starting Serverless Worker |  Version {}, protocol {PROTOCOL_VERSION} ---",
        env!("CARGO_PKG_VERSION")
    )
}

const BAD_FLAG: u8 = 2;

const INSIDE_A_RUNTIME: &str = "error: runpod_sdk::start was called inside a tokio runtime, and makes its own.\n\n\
    Call it from a plain `fn main`, without #[tokio::main], or await `Worker::run()` in its place.";

/// Runs a worker until it ends, and returns the exit code of the process.
///
/// It is the whole `main`: it sets up logging and the runtime, reads the command line and the
/// environment, and maps the result to an exit code. Inside a tokio runtime it refuses to start; use
/// [`Worker::run`] there.
///
/// The first of these modes that applies is run:
///
/// 1. With `--rp_serve_api` (feature `local-server`), or `RUNPOD_WORKER_SERVE_API` without the platform's variables, it
///    serves RunPod's API on this machine and takes its jobs from there. With `--test_input JSON` as well it submits that one job to the API, prints
///    what a client sees of it, and exits.
/// 2. With `RUNPOD_REALTIME_PORT` (feature `http-modes`) it answers realtime requests.
/// 3. With `--test_input JSON` it runs that one job locally. SIGTERM or SIGINT cancels the job; a second signal ends
///    the process without waiting for it.
/// 4. With `RUNPOD_WORKER_MODE=load-balancing`, or if the program calls `Worker::load_balancing`
///    (feature `http-modes`), it answers the requests of a load-balancing endpoint.
/// 5. Without the platform's variables it runs one job locally: the one in `test_input.json`.
/// 6. With the platform's variables it takes jobs until SIGTERM or SIGINT. Then it finishes what
///    it has and exits; a second signal ends it at once.
///
/// With `--schema` it prints the JSON Schema of the input ([`Worker::schema`]) instead, and nothing else.
///
/// | exit code | meaning |
/// |---|---|
/// | 0 | stopped by a signal, and every result was delivered; or the local test passed |
/// | 1 | could not start or go on; or jobs were left behind; or the local test failed |
/// | 2 | a flag that cannot be understood, or one for something that this worker does not have |
/// | 130, 143 | the local test was stopped by SIGINT, by SIGTERM |
///
/// Unknown flags are left to the program.
#[doc(alias = "serverless")]
#[must_use = "return the exit code from `main`"]
pub fn start(worker: impl Startable) -> ExitCode {
    start_worker(worker.into_worker())
}

/// What [`start`] runs: a [`Worker`] that has everything that its handler needs, or a [`Router`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be started",
    label = "not a worker that has everything it needs",
    note = "if its handler takes `State`, give the state first: `greet::worker().state(…)`, or `.state_with(…)` to load it",
    note = "a function with `#[handler]` is started by its worker: `start(greet::worker())`"
)]
pub trait Startable {
    #[doc(hidden)]
    fn into_worker(self) -> Worker;
}

impl Startable for Worker {
    fn into_worker(self) -> Worker {
        self
    }
}

impl Startable for Router {
    fn into_worker(self) -> Worker {
        self.into_worker()
    }
}

fn start_worker(worker: Worker) -> ExitCode {
    let timer = StartTimer::now();
    // Dropped last, so that it has the last lines of everything else.
    let _log = FlushAtEnd;
    let _wait = WaitBeforeExit;
    let lookup = variable::from_environment;
    let parsed = Flags::parse(std::env::args().skip(1)).and_then(|parsed| with_environment(parsed, lookup));
    let flags = match parsed {
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
    if tokio::runtime::Handle::try_current().is_ok() {
        complain(INSIDE_A_RUNTIME);
        return ExitCode::FAILURE;
    }
    let of_log = for_log(lookup);
    if let Err(error) = telemetry::start_writing(of_log) {
        complain(&format!("error: no thread for the log: {error}"));
        return ExitCode::FAILURE;
    }
    log_writer::write(format!("{}\n", banner()));
    // Before any of the worker's own code runs, because the loading of a state may need TLS.
    tls::install_provider();
    timer.mark("tls");
    // Dropped after the worker, so that it sends the last spans.
    let _traces = match logging::set_up(&flags, of_log) {
        Ok(traces) => traces,
        Err(problem) => {
            complain(&format!("error: --rp_log_level: {problem}"));
            return ExitCode::from(BAD_FLAG);
        }
    };
    panics::install_panic_hook();
    panics::warn_if_panics_abort();
    for flag in &flags.misspelt {
        warn!("{flag}");
    }
    warn_of_unread_variables();

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

/// The variables for the log. A worker of a platform on this machine logs for a person, though its endpoint has an id.
fn for_log(lookup: impl Fn(&str) -> Option<String> + Copy) -> impl Fn(&str) -> Option<String> + Copy {
    #[cfg(feature = "local-server")]
    let of_local_platform = dev_server::belongs_to_platform();
    #[cfg(not(feature = "local-server"))]
    let of_local_platform = false;
    move |name| lookup(name).filter(|_| !(of_local_platform && name == variable::ENDPOINT_ID))
}

/// Adds what the environment asks for beside the flags. A deployed worker serves no platform.
fn with_environment(
    parsed: Parsed,
    lookup: impl Fn(&str) -> Option<String> + Copy,
) -> Result<Parsed, String> {
    match parsed {
        Parsed::Run(mut flags) if !Config::is_production(lookup) => {
            // A variable that cannot be read is reported with all the others, later.
            let serve = Environment::read(lookup).0.serve_api;
            flags.serve_at(serve.and_then(Into::into))?;
            Ok(Parsed::Run(flags))
        }
        parsed => Ok(parsed),
    }
}

/// Logs a warning for each variable of the worker's own that is set and not read.
fn warn_of_unread_variables() {
    for unread in settings::unread(settings::set_variables()) {
        warn!("{unread}");
    }
}

/// A mode in which the worker answers HTTP requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HttpMode {
    LoadBalancing,
    Realtime(Realtime),
}

/// The HTTP mode of the worker, if it has one. `PORT` alone selects none, because it is set in many environments.
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
    // A variable that cannot be read is reported with all the others, later.
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

/// Prints a line that is not a log line, after the log lines before it. It waits for a reader of standard output.
fn say(text: &str) {
    log_writer::flush();
    // Without a stdout the line is lost.
    let _ = writeln!(std::io::stdout(), "{text}");
}

fn complain(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
