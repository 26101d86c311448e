//! A failed job shows the last lines that it has logged.

use std::time::Duration;

use serde_json::{Value, json};

use super::support::Running;
use crate::runtime::Ended;
use crate::{Context, JobError, JobResult, Worker, telemetry};

/// A worker whose jobs log three lines and end as their input says.
fn talkative() -> Worker {
    async fn work(how: String, ctx: Context) -> JobResult<()> {
        for step in 1..=2 {
            tracing::info!(target: "worker", "step {step} of {}", ctx.job_id());
            tokio::task::yield_now().await;
        }
        tracing::warn!(target: "worker", url = "https://user:secret@host/", "no answer");
        match how.as_str() {
            "works" => Ok(()),
            "panics" => panic!("on purpose"),
            "hangs" => std::future::pending().await,
            "is refused" => Err(JobError::invalid_input("no")),
            "brings its own" => Err(JobError::message_only("no").with_log_tail(["mine".to_owned()])),
            _ => Err("no".into()),
        }
    }
    Worker::new(work).timeout(Duration::from_mins(1))
}

/// The `log_tail` in the result of a job.
async fn tail(running: &Running, id: &str, how: &str) -> Value {
    running.platform.submit(id, json!(how));
    let body: Value = serde_json::from_str(&running.platform.result(id).await).unwrap();
    let Some(error) = body["error"].as_str() else {
        return body;
    };
    serde_json::from_str::<Value>(error).unwrap()["log_tail"].take()
}

#[tokio::test(start_paused = true)]
async fn a_failed_job_shows_its_own_last_lines() {
    let _log = tracing::subscriber::set_default(telemetry::subscriber());
    let running = Running::start(talkative().concurrency(2)).await;
    for how in ["fails", "panics", "hangs"] {
        assert_eq!(
            tail(&running, how, how).await,
            json!([
                format!("INFO step 1 of {how}"),
                format!("INFO step 2 of {how}"),
                "WARN no answer url=https://[secret]@host/",
            ])
        );
    }
    assert_eq!(tail(&running, "a", "brings its own").await, json!(["mine"]));
    assert_eq!(tail(&running, "b", "is refused").await, Value::Null);
    assert_eq!(tail(&running, "c", "works").await, json!({ "output": null }));
    assert_eq!(running.drained().await, Ended::Drained);
}

#[tokio::test(start_paused = true)]
async fn it_shows_as_many_as_the_worker_wants() {
    let _log = tracing::subscriber::set_default(telemetry::subscriber());
    let running = Running::start(talkative().log_tail(1)).await;
    assert_eq!(
        tail(&running, "one", "fails").await,
        json!(["WARN no answer url=https://[secret]@host/"])
    );
    running.drained().await;
    let running = Running::start(talkative().log_tail(0)).await;
    assert_eq!(tail(&running, "none", "fails").await, Value::Null);
    running.drained().await;
}

#[tokio::test(start_paused = true)]
async fn without_the_workers_own_log_there_are_no_lines() {
    let running = Running::start(talkative()).await;
    assert_eq!(tail(&running, "j", "fails").await, Value::Null);
    running.drained().await;
}
