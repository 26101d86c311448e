//! `--rp_serve_api`: the platform on this machine, and the worker's own production loop against it.
//!
//! What runs is what is deployed. Only the URLs in the environment are different.

mod errand;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use super::flags::{Flags, Serve};
use super::{Starting, complain, exit_code, local_test, production, say};
use crate::error::Error;
use crate::runtime::{Ended, Shutdown};
use crate::worker::Worker;
use errand::Errand;
use runpod_local::LocalPlatform;

const ENDPOINT: &str = "local";
const WORKER: &str = "local-worker";

/// A job to be run, and what is expected of it: the flags `--test_input` and `--test_output`.
struct Trial {
    job: String,
    expected: Option<serde_json::Value>,
}

/// Serves until told to stop or, with a job from the command line, until that has ended.
pub(super) fn run(
    worker: Worker,
    flags: &Flags,
    serve: &Serve,
    lookup: impl Fn(&str) -> Option<String> + Copy,
    starting: Starting,
) -> ExitCode {
    let trial = match flags
        .test_input
        .as_deref()
        .map(|job| read_trial(job, flags))
        .transpose()
    {
        Ok(trial) => trial,
        Err(problem) => {
            complain(&format!("error: {problem}"));
            return ExitCode::FAILURE;
        }
    };
    match serve_platform(worker, trial, serve, lookup, starting) {
        Ok((ended, true)) => exit_code(Ok(ended)),
        Ok((_, false)) => ExitCode::FAILURE,
        Err(error) => exit_code(Err(error)),
    }
}

fn read_trial(job: &str, flags: &Flags) -> Result<Trial, String> {
    local_test::read_job(job).map_err(|problem| format!("--test_input: {problem}"))?;
    Ok(Trial {
        job: job.to_owned(),
        expected: flags.expected_output()?,
    })
}

/// How the worker ended, and whether the job from the command line did as it should.
fn serve_platform(
    worker: Worker,
    trial: Option<Trial>,
    serve: &Serve,
    lookup: impl Fn(&str) -> Option<String> + Copy,
    starting: Starting,
) -> Result<(Ended, bool), Error> {
    let worker = match serve.concurrency {
        Some(jobs) => worker.concurrency(jobs.get()),
        None => worker,
    };
    // The platform gets threads of its own: it is another machine in production.
    let platform_threads = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("local-platform")
        .enable_all()
        .build()
        .map_err(|error| Error::Startup(format!("no runtime for the local platform: {error}").into()))?;
    let endpoint = lookup("RUNPOD_ENDPOINT_ID")
        .filter(|id| !id.is_empty())
        .unwrap_or_else(|| ENDPOINT.to_owned());
    let mut builder = LocalPlatform::builder().endpoint(&endpoint).listen(serve.address);
    if let Some(key) = lookup("RUNPOD_API_KEY").filter(|key| !key.is_empty()) {
        builder = builder.api_key(key);
    }
    let platform = platform_threads
        .block_on(builder.start())
        .map_err(|error| Error::Startup(error.into()))?;

    let url = platform.url();
    say(&format!(
        "RunPod's API for this worker: {url} (endpoint `{endpoint}`)"
    ));
    if trial.is_none() {
        say(&format!(
            "Try it:  curl -s {url}/runsync -d '{{\"input\": …}}'\n\
             Clients: RUNPOD_ENDPOINT_BASE_URL={}\n\
             Stop it: Ctrl-C",
            platform.client_base_url(),
        ));
    }
    let shutdown = Shutdown::default();
    let errand = trial.map(|Trial { job, expected }| {
        let errand = Errand {
            endpoint: format!("{}/{endpoint}", platform.client_base_url()),
            key: platform.key().to_owned(),
            job,
            expected,
        };
        let (drain, passed) = (shutdown.drain.clone(), Arc::new(OnceLock::new()));
        let told = passed.clone();
        platform_threads.spawn(async move {
            // Before the worker is told to end: it may have ended before this task has.
            let _ = told.set(errand.run(say).await);
            drain.cancel();
        });
        passed
    });
    let environment: BTreeMap<String, String> = platform.worker_env(&endpoint, WORKER).into_iter().collect();
    let environment = &environment;
    let environment = |name: &str| environment.get(name).cloned().or_else(|| lookup(name));
    let ended = production::run_until(worker, environment, starting, shutdown);
    // A worker that ended by itself leaves a job that nobody will run.
    let passed = errand.is_none_or(|passed| passed.get().copied().unwrap_or(false));
    platform_threads.block_on(platform.shutdown());
    platform_threads.shutdown_background();
    Ok((ended?, passed))
}
