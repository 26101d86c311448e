//! Jobs whose process died are counted, and no others.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;

use super::{dies_while_running, echo, endless, files, life, until_files};
use crate::runtime::Ended;
use crate::runtime::tests::support::{Running, results};
use crate::{Context, JobResult, Journal, Worker};

#[test]
fn a_job_that_crashed_its_process_three_times_fails_as_poison() {
    let dir = TempDir::new().unwrap();
    for nth in 1..=3 {
        dies_while_running(&dir, nth);
    }
    life(async {
        let ran = Arc::default();
        let running = Running::start(echo(&dir, &ran)).await;
        running.platform.submit("j", json!(0));
        running.platform.submit("other", json!(1));
        let body = running.platform.result("j").await;
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        let error: serde_json::Value = serde_json::from_str(body["error"].as_str().unwrap()).unwrap();
        assert_eq!(
            (&error["code"], &error["class"], &error["retryable"]),
            (&json!("POISON_JOB"), &json!("worker"), &json!(false)),
        );
        assert_eq!(error["details"]["crashes"], 3);
        let message = error["error_message"].as_str().unwrap();
        let last = error["details"]["crashed_at"][2].as_str().unwrap();
        assert!(
            message.contains("last 3 times") && message.contains(last),
            "{message}"
        );
        assert_eq!(running.platform.result("other").await, r#"{"output": 1}"#);
        assert_eq!(ran.load(Ordering::SeqCst), 1, "only the other job ran");

        // Who sends it again on purpose gets a run.
        until_files(&dir, "started", 0).await;
        running.platform.submit("j", json!(2));
        running
            .platform
            .until(|exchanges| {
                results(exchanges)
                    .iter()
                    .any(|(_, body)| body == r#"{"output": 2}"#)
                    .then_some(())
            })
            .await;
    });
}

#[test]
fn a_limit_of_none_runs_a_job_however_often_it_crashed() {
    let dir = TempDir::new().unwrap();
    for nth in 1..=3 {
        dies_while_running(&dir, nth);
    }
    life(async {
        let worker = echo(&dir, &Arc::default()).journal(Journal::at(dir.path()).crashes(0));
        let running = Running::start(worker).await;
        running.platform.submit("j", json!("ran"));
        assert_eq!(running.platform.result("j").await, r#"{"output": "ran"}"#);
    });
}

#[test]
fn an_end_of_a_job_clears_its_crashes() {
    let dir = TempDir::new().unwrap();
    for nth in 1..=2 {
        dies_while_running(&dir, nth);
    }
    life(async {
        let running = Running::start(echo(&dir, &Arc::default())).await;
        running.platform.submit("j", json!(0));
        running.platform.result("j").await;
        assert_eq!(running.drained().await, Ended::Drained);
    });
    assert!(files(&dir, "started").is_empty());
}

#[test]
fn a_panic_a_stop_and_a_deadline_are_no_crashes() {
    async fn acts(deed: String, ctx: Context) -> JobResult<()> {
        if deed == "panic" {
            std::panic::resume_unwind(Box::new("a panic without its message"));
        }
        ctx.cancelled().await;
        Ok(())
    }
    let dir = TempDir::new().unwrap();
    life(async {
        let worker: Worker = Worker::new(acts);
        let worker = worker
            .timeout(Duration::from_secs(5))
            .journal(Journal::at(dir.path()).crashes(1));
        let running = Running::start(worker).await;
        for deed in ["panic", "deadline", "stop"] {
            running.platform.submit(deed, json!(deed));
        }
        running.platform.result("deadline").await;
        running
            .active_jobs
            .until(|jobs| jobs.contains(&"stop".into()))
            .await;
        running.platform.stop("stop");
        running
            .active_jobs
            .until(crate::runtime::ActiveJobs::is_empty)
            .await;
        until_files(&dir, "started", 0).await;
    });
}

#[test]
fn a_job_that_was_abandoned_in_good_order_has_not_crashed() {
    let dir = TempDir::new().unwrap();
    for second_signal in [false, true] {
        life(async {
            let running = Running::start(endless(&dir).shutdown_grace(Duration::from_secs(1))).await;
            running.platform.submit("j", json!(0));
            running.active_jobs.until(|jobs| jobs.len() == 1).await;
            until_files(&dir, "started", 1).await;
            running.shutdown.drain.cancel();
            if second_signal {
                running.shutdown.abandon.cancel();
            }
            assert_eq!(running.ended().await, Ended::Abandoned { jobs: 1 });
        });
        assert!(
            files(&dir, "started").is_empty(),
            "second signal: {second_signal}"
        );
    }
}
