//! The lines about a job that people search the log for.

use std::time::Duration;

use serde_json::{Value, json};

use super::support::{Running, results};
use crate::json::RawJson;
use crate::platform::memory::{Exchange, Fault};
use crate::runtime::ActiveJobs;
use crate::telemetry::log_capture::LogCapture;
use crate::{Context, ErrorClass, ErrorCode, JobError, JobResult, Worker};

fn echo() -> Worker {
    Worker::new(|input: RawJson| async move { Ok::<_, JobError>(input) })
}

/// Answers the first `times` results with this status.
fn refusing(times: usize, status: u16) -> impl FnMut(&Exchange) -> Option<Fault> {
    let mut left = times;
    move |exchange| {
        let hit = matches!(exchange, Exchange::Result { .. }) && left > 0;
        hit.then(|| {
            left -= 1;
            Fault::Refuse(status)
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_job_is_started_and_finished_under_its_id() {
    let log = LogCapture::begin();
    let running = Running::start(echo()).await;
    running.platform.submit("j1", json!(1));
    running.platform.result("j1").await;
    running.active_jobs.until(ActiveJobs::is_empty).await;
    let text = log.text();
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("INFO   | j1 |"))
        .collect();
    assert_eq!(lines[0], "INFO   | j1 | Started.");
    assert!(lines[1].contains("job timeline: "), "{text}");
    assert_eq!(lines[2..], ["INFO   | j1 | Finished."]);
    assert!(text.contains("INFO   | Jobs in progress: 1\n"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn finished_is_said_when_the_result_has_arrived_and_not_before() {
    let log = LogCapture::begin();
    let running = Running::start(echo()).await;
    running.platform.with_faults(refusing(4, 503));
    running.platform.submit("j1", json!(1));
    running
        .platform
        .until(|exchanges| (results(exchanges).len() == 1).then_some(()))
        .await;
    running.active_jobs.until(ActiveJobs::is_empty).await;
    let text = log.text();
    assert_eq!(log.lines_with("Finished.").len(), 1, "{text}");
    assert_eq!(log.lines_with("could not deliver the result").len(), 1, "{text}");
    assert!(
        text.find("could not deliver").unwrap() < text.find("Finished.").unwrap(),
        "{text}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_result_that_did_not_arrive_is_not_called_finished() {
    for status in [404, 410] {
        let log = LogCapture::begin();
        let running = Running::start(echo()).await;
        // The refusal arrives before the job is released.
        let (refused, mut refusals) = tokio::sync::mpsc::unbounded_channel();
        running.platform.with_faults(move |exchange| {
            matches!(exchange, Exchange::Result { .. }).then(|| {
                refused.send(()).unwrap();
                Fault::Refuse(status)
            })
        });
        running.platform.submit("j1", json!(1));
        refusals.recv().await.unwrap();
        running.active_jobs.until(ActiveJobs::is_empty).await;
        assert!(log.lines_with("Finished.").is_empty());
        let warning = &log.lines_with("no longer knows this job")[0];
        assert!(warning.starts_with("WARN   | j1 | "), "{warning}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_result_is_one_error_with_its_job_its_size_and_the_last_cause() {
    let log = LogCapture::begin();
    let running = Running::start(echo()).await;
    running.platform.with_faults(refusing(usize::MAX, 503));
    running.platform.submit("j1", json!("gone"));
    running.active_jobs.until(|jobs| jobs.len() == 1).await;
    running.active_jobs.until(ActiveJobs::is_empty).await;
    let text = log.text();
    let errors: Vec<&str> = text.lines().filter(|line| line.starts_with("ERROR")).collect();
    let [error] = errors.as_slice() else {
        panic!("{text}")
    };
    assert!(
        error.starts_with("ERROR  | j1 | the result could not be delivered and is lost"),
        "{error}"
    );
    assert!(
        error.contains("bytes=18") && error.contains("answered 503"),
        "{error}"
    );
    assert!(log.lines_with("Finished.").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_refused_key_is_logged_once_for_each_result() {
    for status in [401, 403] {
        let log = LogCapture::begin();
        let running = Running::start(echo()).await;
        running.platform.with_faults(refusing(20, status));
        running.platform.submit("j1", json!(1));
        running.platform.result("j1").await;
        let logged = log.lines_with("check RUNPOD_AI_API_KEY");
        assert_eq!(logged.len(), 1, "{}", log.text());
        assert!(logged[0].starts_with("ERROR  | j1 | "), "{}", logged[0]);
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_of_the_handler_is_logged_whole_over_several_lines() {
    let log = LogCapture::begin();
    let fails = |_: RawJson| async { Err::<(), _>(JobError::message_only("the model is gone")) };
    let running = Running::start(Worker::new(fails)).await;
    running.platform.submit("j1", json!(1));
    running.platform.result("j1").await;
    running.active_jobs.until(ActiveJobs::is_empty).await;
    let text = log.text();
    let (_, after) = text
        .split_once("ERROR  | j1 | Captured Handler Exception\n")
        .unwrap_or_else(|| panic!("{text}"));
    let end = "\n    }";
    let pretty = &after[..after.find(end).unwrap() + end.len()];
    let error: Value = serde_json::from_str(pretty).unwrap();
    assert_eq!(error["error_message"], "the model is gone");
    assert!(pretty.contains("\n      \"code\": \"HANDLER_ERROR\""), "{pretty}");
    assert_eq!(log.lines_with("INFO   | j1 | Finished.").len(), 1, "{text}");
}

#[tokio::test(start_paused = true)]
async fn what_a_caller_got_wrong_is_logged_without_what_the_caller_wrote() {
    let log = LogCapture::begin();
    let refuses = |input: String| async move {
        let message = format!("{input} is no colour");
        Err::<(), _>(JobError::new(
            ErrorCode::new("NO_COLOUR"),
            ErrorClass::User,
            message,
        ))
    };
    let running = Running::start(Worker::new(refuses)).await;
    running.platform.submit("j1", json!("a private matter"));
    let body = running.platform.result("j1").await;
    assert!(
        body.contains("a private matter"),
        "the caller may read it: {body}"
    );
    let line = &log.lines_with("Captured Handler Exception")[0];
    assert!(
        line.starts_with("WARN   | j1 | ") && line.contains("NO_COLOUR"),
        "{line}"
    );
    let text = log.text();
    let shown = text.lines().filter(|line| !line.starts_with("TRACE"));
    assert!(!shown.collect::<String>().contains("private"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn progress_is_no_end_of_a_job() {
    async fn half(_: u32, ctx: Context) -> JobResult<()> {
        ctx.progress("half");
        std::future::pending().await
    }
    let log = LogCapture::begin();
    let running = Running::start(Worker::new(half)).await;
    running.platform.submit("j1", json!(1));
    running
        .platform
        .until(|exchanges| {
            exchanges
                .iter()
                .any(|exchange| matches!(exchange, Exchange::Progress { .. }))
                .then_some(())
        })
        .await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(log.lines_with("Finished.").is_empty());
}

#[tokio::test(start_paused = true)]
async fn numbers_that_json_does_not_have_are_null() {
    let broken = |_: RawJson| async { Ok::<_, JobError>(vec![f64::NAN, 0.5, f64::INFINITY]) };
    let running = Running::start(Worker::new(broken)).await;
    running.platform.submit("j1", json!(1));
    assert_eq!(
        running.platform.result("j1").await,
        r#"{"output": [null,0.5,null]}"#
    );
}

#[tokio::test(start_paused = true)]
async fn a_result_above_the_documented_limit_is_sent_with_a_warning() {
    // `{"output": "…"}` is 14 bytes more than the text in it.
    for (id, limit) in [("j1", 10_000_000), ("sync-1", 20_000_000)] {
        for (bytes, warned) in [(limit, false), (limit + 1, true)] {
            let sized = move |_: RawJson| async move { Ok::<_, JobError>("x".repeat(bytes - 14)) };
            let log = LogCapture::begin();
            let running = Running::start(Worker::new(sized)).await;
            running.platform.submit(id, json!(1));
            assert_eq!(running.platform.result(id).await.len(), bytes, "it is sent");
            let warnings = log.lines_with("larger than the platform's documented limit");
            assert_eq!(!warnings.is_empty(), warned, "{id}: {bytes}");
            assert!(
                warnings.iter().all(|line| line.starts_with("WARN")),
                "{warnings:?}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn jobs_are_counted_as_they_arrive_wait_start_and_finish() {
    let log = LogCapture::begin();
    let running = Running::start(Worker::new(|seconds: u64| async move {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        JobResult::Ok(())
    }))
    .await;
    running.platform.hand_out_more_than_asked(1);
    running.platform.submit("runs", json!(5));
    running.platform.submit("waits", json!(5));
    running.platform.result("waits").await;
    running.active_jobs.until(ActiveJobs::is_empty).await;
    let text = log.text();
    let known = ["Jobs in", "Started.", "Finished."];
    let lines = text.lines().filter_map(|line| line.rsplit("| ").next());
    let lines: Vec<&str> = lines
        .filter(|line| known.iter().any(|known| line.starts_with(known)))
        .collect();
    // The second begins while the first one's result is on its way.
    assert_eq!(
        lines,
        [
            "Jobs in progress: 1",
            "Jobs in progress: 2",
            "Jobs in queue: 1",
            "Started.",
            "Started.",
            "Finished.",
            "Finished.",
        ]
    );
}
