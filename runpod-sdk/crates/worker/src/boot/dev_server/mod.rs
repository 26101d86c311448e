//! `--rp_serve_api`: the platform on this machine, and a deployed worker under it.
//!
//! The worker runs as in production. Only the URLs in its environment are different. One that asks to be replaced is
//! followed by a fresh process.

mod replacement;
mod test_run;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use futures_util::FutureExt as _;
use runpod_local::LocalPlatform;
use runpod_protocol::variable;
use tracing::info;

use super::flags::{Flags, Serve};
use super::stop_signals::StopSignals;
use super::test_job::TestJob;
use super::{complain, deployed, exit_code, say};
use crate::error::{Error, StartupError};
use crate::events::StartTimer;
use crate::runtime::{Ended, Shutdown};
use crate::worker::Worker;
use replacement::Replacements;
use test_run::TestRun;

pub(super) use replacement::belongs_to_platform;

const ENDPOINT: &str = "local";
const WORKER: &str = "local-worker";

/// A job and its expected output: the flags `--test_input` and `--test_output`.
struct SubmittedJob {
    job: String,
    expected: Option<serde_json::Value>,
}

/// Serves until a signal or, with a job from the command line, until that job has ended.
pub(super) fn run(
    worker: Worker,
    flags: &Flags,
    serve: &Serve,
    lookup: impl Fn(&str) -> Option<String> + Copy,
    timer: StartTimer,
) -> ExitCode {
    let test_job = match flags
        .test_input
        .as_deref()
        .map(|job| read_test_job(job, flags))
        .transpose()
    {
        Ok(test_job) => test_job,
        Err(problem) => {
            complain(&format!("error: {problem}"));
            return ExitCode::FAILURE;
        }
    };
    match serve_platform(worker, test_job, serve, lookup, timer) {
        Ok((ended, true)) => exit_code(Ok(ended)),
        Ok((_, false)) => ExitCode::FAILURE,
        Err(error) => exit_code(Err(error)),
    }
}

fn read_test_job(value: &str, flags: &Flags) -> Result<SubmittedJob, String> {
    let TestJob { text, note } = TestJob::from_flag(value)?;
    if let Some(note) = note {
        info!("{note}");
    }
    Ok(SubmittedJob {
        job: text,
        expected: flags.expected_output()?,
    })
}

/// Runs platform and worker. Returns how the worker ended, and whether all else went well: the job from the
/// command line, or the workers after the first.
fn serve_platform(
    worker: Worker,
    test_job: Option<SubmittedJob>,
    serve: &Serve,
    lookup: impl Fn(&str) -> Option<String> + Copy,
    timer: StartTimer,
) -> Result<(Ended, bool), Error> {
    let worker = match serve.concurrency {
        Some(jobs) => worker.concurrency(jobs.get()),
        None => worker,
    };
    // The platform has threads of its own, as it has a machine of its own in production.
    let platform_threads = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("local-platform")
        .enable_all()
        .build()
        .map_err(|source| StartupError::NoThread {
            what: "runtime for the local platform",
            source,
        })?;
    let endpoint =
        variable::unless_blank(lookup(variable::ENDPOINT_ID)).unwrap_or_else(|| ENDPOINT.to_owned());
    let mut builder = LocalPlatform::builder().endpoint(&endpoint).listen(serve.address);
    if let Some(key) = variable::unless_blank(lookup(variable::CLIENT_KEY)) {
        builder = builder.api_key(key);
    }
    let platform = platform_threads
        .block_on(builder.start())
        .map_err(StartupError::LocalPlatform)?;

    let url = platform.url();
    say(&format!(
        "RunPod's API for this worker: {url} (endpoint `{endpoint}`)"
    ));
    if test_job.is_none() {
        say(&format!(
            "Try it:  curl -s {url}/runsync -d '{{\"input\": …}}'\n\
             Clients: RUNPOD_ENDPOINT_BASE_URL={}\n\
             Stop it: Ctrl-C",
            platform.client_base_url(),
        ));
    }
    let shutdown = Shutdown::default();
    let test_run = test_job.map(|SubmittedJob { job, expected }| {
        let run = TestRun {
            endpoint: format!("{}/{endpoint}", platform.client_base_url()),
            key: platform.key().to_owned(),
            job,
            expected,
        };
        let (drain, passed) = (shutdown.drain.clone(), Arc::new(OnceLock::new()));
        let outcome = passed.clone();
        platform_threads.spawn(async move {
            // Set before the drain, because the worker may end before this task does.
            let _ = outcome.set(run.run(say).await);
            drain.cancel();
        });
        passed
    });
    let environment: BTreeMap<String, String> = platform.worker_env(&endpoint, WORKER).into_iter().collect();
    let environment = &environment;
    let environment = |name: &str| environment.get(name).cloned().or_else(|| lookup(name));
    // Begins before the worker does, so that it hears each signal.
    let mut signals = platform_threads.block_on(async { StopSignals::listen() })?;
    let ended = deployed::run(worker, environment, timer, shutdown);
    let signalled = platform_threads.block_on(async { signals.next().now_or_never() });
    let well = match test_run {
        // A worker that ended by itself leaves the job unfinished.
        Some(passed) => passed.get().copied().unwrap_or(false),
        None if signalled.is_none() && matches!(ended, Ok(Ended::Drained)) => {
            let replacements = Replacements {
                platform: &platform,
                endpoint: &endpoint,
                concurrency: serve.concurrency,
            };
            platform_threads.block_on(replacements.run(&mut signals))?
        }
        None => true,
    };
    platform_threads.block_on(platform.shutdown());
    platform_threads.shutdown_background();
    Ok((ended?, well))
}
