//! One job without a platform (`docs/protocol/worker-protocol.md` §13).

use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use serde_json::Value;
use serde_json::value::RawValue;
use tokio::runtime::Handle;
use tracing::{error, info, warn};

use super::fitness_plan::FitnessPlan;
use super::flags::Flags;
use super::launch::{Launch, StartReporting, at_hand};
use super::stop_signals::{StopSignal, StopSignals};
use super::{complain, say};
use crate::context::CancelReason;
use crate::job::{Job, JobId};
use crate::platform::OncePlatform;
use crate::runtime::{ActiveJobs, Shutdown, Slots};
use crate::settings::local_identity;
use crate::worker::Worker;

const INPUT_FILE: &str = "test_input.json";

/// The outcome of a local test.
enum TestOutcome {
    Passed,
    Failed,
    /// A signal ended it.
    Stopped(StopSignal),
}

pub(super) fn run(
    mut worker: Worker,
    flags: &Flags,
    lookup: impl Fn(&str) -> Option<String> + Copy,
) -> ExitCode {
    let job = match find_job(flags, Path::new(INPUT_FILE)) {
        Ok(job) => job,
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
        TestOutcome::Stopped(signal) => {
            info!("Local testing was stopped by {}, exiting.", signal.name());
            return ExitCode::from(signal.exit_code());
        }
    };
    info!("Local testing complete, exiting.");
    code
}

/// The job from the flag, else from the file.
fn find_job(flags: &Flags, file: &Path) -> Result<Job, String> {
    let (text, source) = match &flags.test_input {
        Some(text) => (text.clone(), "--test_input".to_owned()),
        None => match std::fs::read_to_string(file) {
            Ok(text) => (text, file.display().to_string()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(format!(
                    "{INPUT_FILE} not found, exiting.\n\n\
                     This worker found neither RunPod's environment nor a job to test.\n\
                     Test it here:  --test_input '{{\"input\": …}}', or write that object to {INPUT_FILE}.\n\
                     Deploy it:     RunPod sets RUNPOD_WEBHOOK_GET_JOB and the rest. All flags: --help."
                ));
            }
            Err(error) => return Err(format!("error: {} can't be read: {error}", file.display())),
        },
    };
    read_job(&text).map_err(|problem| format!("error: {source}: {problem}"))
}

/// Reads a job, and gives it the id `local_test` if it has none.
pub(super) fn read_job(text: &str) -> Result<Job, String> {
    let fields: std::collections::BTreeMap<String, &RawValue> =
        serde_json::from_str(text).map_err(|error| format!("not a JSON object: {error}"))?;
    if fields.get("input").is_none_or(|input| input.get() == "null") {
        return Err("the object has no \"input\"".to_owned());
    }
    let whole = if fields.contains_key("id") {
        text.to_owned()
    } else {
        text.replacen('{', "{\"id\":\"local_test\",", 1)
    };
    Job::read(whole.into(), false).map_err(|error| error.to_string())
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
    let platform = Arc::new(OncePlatform::new(job, shutdown.drain.clone()));
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
    let (chunks, report) = platform.take_result();
    for chunk in chunks {
        say(&format!("Job chunk: {}", String::from_utf8_lossy(&chunk)));
    }
    let Some(report) = report else {
        error!("Job {id} gave no result.");
        return TestOutcome::Failed;
    };
    let body = report.pieces().concat();
    let text = String::from_utf8_lossy(&body);
    if report.is_failure() {
        error!("Job {id} failed.");
        say(&format!("Job result: {text}"));
        return TestOutcome::Failed;
    }
    info!("Job {id} completed successfully.");
    say(&format!("Job result: {text}"));
    if let Some(expected) = expected.filter(|expected| !is_expected(expected, &body)) {
        error!("the output is not what --test_output expects: {expected}");
        return TestOutcome::Failed;
    }
    TestOutcome::Passed
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
    info!("{} received. Stopping the job.", signal.name());
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
    fn an_id_is_made_up_only_where_there_is_none() {
        assert_eq!(
            read_job(r#"{"input": {"n": 1.0}}"#).unwrap().id().as_str(),
            "local_test"
        );
        assert_eq!(
            read_job(r#"{"input": 1, "id": "mine"}"#).unwrap().id().as_str(),
            "mine"
        );
        assert_eq!(
            read_job(r#"{"input": {"n": 1.0}}"#).unwrap().input().as_bytes(),
            br#"{"n": 1.0}"#
        );
    }

    #[test]
    fn a_missing_or_null_input_is_named() {
        for text in ["{}", r#"{"input": null}"#] {
            assert_eq!(read_job(text).unwrap_err(), "the object has no \"input\"");
        }
        assert!(read_job("[1]").unwrap_err().starts_with("not a JSON object"));
    }

    #[test]
    fn a_missing_file_is_explained() {
        let problem = find_job(&Flags::default(), Path::new("no/such/test_input.json")).unwrap_err();
        insta::assert_snapshot!(problem);
    }
}
