//! One job without a platform (`docs/protocol/worker-protocol.md` §13).

use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use runpod_protocol::{error_key, variable};
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::runtime::Handle;
use tracing::{error, info, warn};

use super::fitness_plan::FitnessPlan;
use super::flags::Flags;
use super::launch::{Launch, StartReporting, at_hand};
use super::stop_signals::{StopSignal, StopSignals};
use super::test_job::{INPUT_FILE, TestJob};
use super::{complain, say};
use crate::context::CancelReason;
use crate::job::{Job, JobId, JobReport};
use crate::platform::OncePlatform;
use crate::runtime::{ActiveJobs, Shutdown, Slots};
use crate::settings::local_identity;
use crate::worker::Worker;

/// The outcome of a local test.
enum TestOutcome {
    Passed,
    Failed,
    /// The job failed, for this reason.
    JobFailed(Option<String>),
    /// A signal ended it.
    Stopped(StopSignal),
}

pub(super) fn run(
    mut worker: Worker,
    flags: &Flags,
    lookup: impl Fn(&str) -> Option<String> + Copy,
) -> ExitCode {
    let found = find_job(flags, Path::new(INPUT_FILE), lookup);
    let job = match found.and_then(|found| found.job().map(|job| (job, found.note))) {
        Ok((job, note)) => {
            if let Some(note) = note {
                info!("{note}");
            }
            job
        }
        Err(problem) => {
            complain(&problem);
            return ExitCode::FAILURE;
        }
    };
    let expected = match flags.expected_output() {
        Ok(expected) => expected,
        Err(problem) => {
            complain(&format!("error: {problem}"));
            return ExitCode::FAILURE;
        }
    };
    for problem in worker.settings_mut().override_from(lookup) {
        warn!("{problem}");
    }
    // One job needs one slot and no journal: its result is printed.
    worker.settings_mut().concurrency = 1.into();
    worker.settings_mut().journal = None;
    let tokio = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(tokio) => tokio,
        Err(error) => {
            complain(&format!("error: no runtime: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let test = tokio.block_on(one_job(worker, job, expected.as_ref(), lookup));
    tokio.shutdown_background();
    let code = match test {
        TestOutcome::Passed => ExitCode::SUCCESS,
        TestOutcome::Failed => ExitCode::FAILURE,
        TestOutcome::JobFailed(reason) => {
            info!("Local testing complete, exiting.");
            if let Some(reason) = reason {
                complain(&reason);
            }
            return ExitCode::FAILURE;
        }
        TestOutcome::Stopped(signal) => {
            info!("Local testing was stopped by {}, exiting.", signal.name());
            return ExitCode::from(signal.exit_code());
        }
    };
    info!("Local testing complete, exiting.");
    code
}

/// The job from the flag, else from the file.
fn find_job(flags: &Flags, file: &Path, lookup: impl Fn(&str) -> Option<String>) -> Result<TestJob, String> {
    let found = match &flags.test_input {
        Some(value) => TestJob::from_flag(value).map(Some),
        None => TestJob::from_file(file),
    };
    match found {
        Ok(Some(job)) => Ok(job),
        Ok(None) => Err(nothing_to_do(
            variable::unless_blank(lookup(variable::WORKER_ID)).is_some(),
        )),
        Err(problem) => Err(format!("error: {problem}")),
    }
}

/// What a worker says that has neither a platform nor a job.
fn nothing_to_do(on_a_pod: bool) -> String {
    let mut text = format!(
        "{INPUT_FILE} not found, exiting.\n\n\
         This worker found neither RunPod's environment nor a job to test.\n"
    );
    if on_a_pod {
        text.push_str(
            "This is a plain Pod, which starts again what exits: RunPod gives jobs to the workers of a Serverless endpoint.\n",
        );
    }
    text.push_str("Test it here:  --test_input '{\"input\": …}', or write that object to ");
    text.push_str(INPUT_FILE);
    if cfg!(feature = "local-server") {
        text.push_str(
            ".\nServe it here: --rp_serve_api, or RUNPOD_WORKER_SERVE_API=8000: RunPod's API on this machine",
        );
    }
    text.push_str(".\nDeploy it:     RunPod sets RUNPOD_WEBHOOK_GET_JOB and the rest. All flags: --help.");
    text
}

async fn one_job(
    worker: Worker,
    job: Job,
    expected: Option<&Value>,
    lookup: impl Fn(&str) -> Option<String>,
) -> TestOutcome {
    let signals = match StopSignals::listen() {
        Ok(signals) => signals,
        Err(problem) => {
            error!("{problem}");
            return TestOutcome::Failed;
        }
    };
    let id = job.id().clone();
    let shutdown = Shutdown::default();
    let platform = Arc::new(OncePlatform::new(job, shutdown.drain.clone(), say_update));
    let limits = worker.settings().limits;
    let active_jobs = Arc::new(ActiveJobs::new(
        limits.undelivered_results,
        limits.undelivered_bytes,
    ));
    let stopped = Arc::new(OnceLock::new());
    let stopping = stop(signals, stopped.clone(), active_jobs.clone(), shutdown.clone());
    let listening = tokio::spawn(stopping);
    let launch = Launch {
        identity: local_identity(lookup),
        active_jobs,
        slots: Slots::of(&worker.settings().concurrency),
        handlers: Handle::current(),
        shutdown,
        fitness: FitnessPlan::none(),
        heartbeat: None,
        connect: at_hand(platform.clone()),
        random: fastrand::Rng::new(),
        start: StartReporting::Silent,
        worker,
    };
    let lived = launch.run().await;
    let again = StopSignals::listen();
    listening.abort();
    let mut again = match lived.and(again) {
        Ok(again) => again,
        Err(problem) => {
            error!("{problem}");
            return TestOutcome::Failed;
        }
    };
    if let Some(signal) = stopped.get() {
        return TestOutcome::Stopped(*signal);
    }
    let expected = expected.cloned();
    let judging = tokio::task::spawn_blocking(move || judge(&platform, &id, expected.as_ref()));
    // The result is written directly, so it waits for its reader.
    tokio::select! {
        judged = judging => judged.unwrap_or(TestOutcome::Failed),
        signal = again.next() => TestOutcome::Stopped(signal),
    }
}

/// Prints what the job has given, and compares it with the expected output.
fn judge(platform: &OncePlatform, id: &JobId, expected: Option<&Value>) -> TestOutcome {
    let Some(report) = platform.take_result() else {
        error!("Job {id} gave no result.");
        return TestOutcome::Failed;
    };
    let body = report.pieces().concat();
    let text = String::from_utf8_lossy(&body);
    if report.is_failure() {
        error!("Job {id} failed.");
        say(&format!("Job result: {text}"));
        return TestOutcome::JobFailed(plain_error(&body));
    }
    info!("Job {id} completed successfully.");
    say(&format!("Job result: {text}"));
    if let Some(expected) = expected.filter(|expected| !is_expected(expected, &body)) {
        error!("the output is not what --test_output expects: {expected}");
        return TestOutcome::Failed;
    }
    TestOutcome::Passed
}

/// Prints a chunk or a progress update.
fn say_update(report: &JobReport) {
    let body = report.pieces().concat();
    let text = String::from_utf8_lossy(&body);
    if !report.is_progress() {
        say(&format!("Job chunk: {text}"));
    } else if let Ok(UpdateBody { output }) = serde_json::from_slice(&body) {
        say(&format!("Job progress: {output}"));
    }
}

/// The body of a progress update.
#[derive(serde::Deserialize)]
struct UpdateBody<'a> {
    #[serde(borrow)]
    output: &'a RawValue,
}

/// The reason of a failed job in one plain line: the first of its message, without the words that every input error
/// begins with. The error is the one of a job's result or of its status.
pub(super) fn plain_error(result: &[u8]) -> Option<String> {
    let result: Value = serde_json::from_slice(result).ok()?;
    let error: Value = serde_json::from_str(result.get("error")?.as_str()?).ok()?;
    let message = error.get(error_key::ERROR_MESSAGE)?.as_str()?;
    let plain = message.strip_prefix("invalid input: ").unwrap_or(message);
    plain.lines().next().map(str::to_owned)
}

/// Cancels the job at the first signal and abandons it at the second. A signal that is listened for no longer ends the
/// process by itself.
async fn stop(
    mut signals: StopSignals,
    stopped: Arc<OnceLock<StopSignal>>,
    active_jobs: Arc<ActiveJobs>,
    shutdown: Shutdown,
) {
    let signal = signals.next().await;
    // It is set here only.
    let _ = stopped.set(signal);
    info!(
        "{} received. Stopping the job; a second signal leaves at once.",
        signal.name()
    );
    shutdown.drain.cancel();
    // The platform may be handing out the job at this moment, so jobs that are added later are cancelled, too.
    let cancelling = active_jobs.until(|jobs| {
        jobs.cancel_all(CancelReason::ShuttingDown);
        false
    });
    tokio::select! {
        () = cancelling => {}
        again = signals.next() => warn!("{} received again. Leaving at once.", again.name()),
    }
    shutdown.abandon.cancel();
}

/// Whether a result equals the value of `--test_output`: as a whole, like in the Python worker, or by its output alone.
pub(super) fn is_expected(expected: &Value, result: &[u8]) -> bool {
    let actual: Value = serde_json::from_slice(result).unwrap_or_default();
    *expected == actual || actual.get("output") == Some(expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_file_is_explained_and_a_pod_is_told_that_it_will_be_started_again() {
        let file = Path::new("no/such/test_input.json");
        let explained = |pod: Option<&str>| {
            let id = pod.map(str::to_owned);
            find_job(&Flags::default(), file, |name| {
                id.clone().filter(|_| name == "RUNPOD_POD_ID")
            })
            .unwrap_err()
        };
        assert_eq!(explained(Some(" ")), explained(None));
        let (laptop, pod) = (explained(None), explained(Some("abc123")));
        let both = format!("{laptop}\n\nOn a Pod:\n\n{pod}");
        if cfg!(feature = "local-server") {
            insta::assert_snapshot!(both);
        } else {
            assert!(!both.contains("--rp_serve_api"), "it is not built in: {both}");
        }
    }
}
