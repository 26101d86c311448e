//! Everything that happens because time passes.

use std::time::Duration;

use runpod_sdk::local::{EndpointSettings, ExecutionEnd, TtlEnd, ViolationKind};
use serde_json::json;

use crate::support::Rig;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);

#[tokio::test]
async fn a_job_whose_worker_goes_silent_is_queued_again_once_and_then_fails() {
    let rig = Rig::new().await;
    let worker = rig.worker("w1");
    let id = rig.run(json!(1)).await;
    rig.run(json!(2)).await;
    worker.take_now().await;

    rig.advance(39 * SECOND);
    assert_eq!(rig.status(&id).await["status"], "IN_PROGRESS");
    rig.advance(SECOND);
    assert_eq!(
        rig.status(&id).await,
        json!({"id": id, "status": "IN_QUEUE", "retries": 1})
    );

    // At the front: before the second job.
    assert_eq!(rig.worker("w2").take_now().await["id"], *id);
    rig.advance(40 * SECOND);
    let job = rig.status(&id).await;
    assert_eq!(job["status"], "FAILED");
    assert_eq!(job["error"], "job timed out after 1 retries");
    assert_eq!(
        (&job["retries"], &job["delayTime"], &job["executionTime"]),
        (&json!(1), &json!(40_000), &json!(40_000))
    );
    assert_eq!(
        rig.violations(),
        [ViolationKind::MissingPings, ViolationKind::MissingPings]
    );
    assert_eq!(rig.get("health").await.ok()["jobs"]["retried"], 1);
}

#[tokio::test]
async fn pings_that_name_the_job_keep_it_with_its_worker() {
    let rig = Rig::new().await;
    let worker = rig.worker("w1");
    let first = rig.run(json!(1)).await;
    let second = rig.run(json!(2)).await;
    worker.take_batch(2).await.ok();
    for _ in 0..5 {
        rig.advance(30 * SECOND);
        worker.ping(&[&first, &second]).await;
    }
    assert_eq!(rig.status(&second).await["status"], "IN_PROGRESS");
    // A ping that does not name a job says nothing for it.
    rig.advance(30 * SECOND);
    worker.ping(&[&first]).await;
    rig.advance(10 * SECOND);
    assert_eq!(rig.status(&first).await["status"], "IN_PROGRESS");
    assert_eq!(rig.status(&second).await["status"], "IN_QUEUE");
}

#[tokio::test]
async fn a_job_held_for_too_long_fails_and_its_worker_is_told() {
    let rig = Rig::with(EndpointSettings::default().ping_window(None)).await;
    let worker = rig.worker("w1");
    let id = rig.run(json!(1)).await;
    worker.take_now().await;
    rig.advance(590 * SECOND);
    let stops = tokio::spawn(worker.stops());
    let end = rig.getting(&format!("status-sync/{id}"));
    rig.holding(2).await;
    rig.advance(10 * SECOND);
    let job = end.await.unwrap().ok();
    assert_eq!(
        (&job["status"], &job["error"]),
        (&json!("FAILED"), &json!("executionTimeout exceeded"))
    );
    assert_eq!(job["executionTime"], 600_000);
    assert_eq!(stops.await.unwrap().ok(), json!({"jobsToStop": [id]}));
}

#[tokio::test]
async fn a_jobs_own_policy_beats_the_endpoints_and_the_end_can_be_timed_out() {
    let settings = EndpointSettings::default()
        .ping_window(None)
        .execution_end(ExecutionEnd::TimedOut);
    let rig = Rig::with(settings).await;
    let request = json!({"input": 1, "policy": {"executionTimeout": 7000}});
    let id = rig.post("run", request).await.ok()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    rig.advance(MINUTE);
    rig.worker("w1").take_now().await;
    rig.advance(6999 * SECOND / 1000);
    assert_eq!(rig.status(&id).await["status"], "IN_PROGRESS");
    rig.advance(SECOND / 1000);
    assert_eq!(rig.status(&id).await["status"], "TIMED_OUT");
    rig.post(&format!("retry/{id}"), json!({})).await.ok();
}

#[tokio::test]
async fn a_job_past_its_time_to_live_is_gone_even_while_it_runs() {
    let rig = Rig::with(EndpointSettings::default().ping_window(None)).await;
    let worker = rig.worker("w1");
    let request = json!({"input": 1, "policy": {"ttl": 30_000}});
    let id = rig.post("run", request).await.ok()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    worker.take_now().await;
    let waiting = rig.getting(&format!("status-sync/{id}"));
    rig.holding(1).await;
    rig.advance(30 * SECOND);
    waiting.await.unwrap().error(404);
    assert_eq!(worker.stops().await.ok(), json!({"jobsToStop": [id]}));
    // Its worker could not know; nothing is held against it.
    assert_eq!(worker.done(&id, &json!({"output": 1})).await.status, 200);
    assert!(rig.violations().is_empty());
}

#[tokio::test]
async fn the_end_of_the_time_to_live_can_be_timed_out() {
    let rig = Rig::with(EndpointSettings::default().ttl_end(TtlEnd::TimedOut)).await;
    let id = rig.run(json!(1)).await;
    rig.advance(24 * 60 * MINUTE);
    assert_eq!(rig.status(&id).await, json!({"id": id, "status": "TIMED_OUT"}));
}

#[tokio::test]
async fn asking_for_the_status_can_shorten_the_time_to_live() {
    let rig = Rig::new().await;
    let id = rig.run(json!(1)).await;
    rig.get(&format!("status/{id}?ttl=6000")).await.ok();
    rig.advance(6 * SECOND);
    rig.get(&format!("status/{id}")).await.error(404);
}

#[tokio::test]
async fn asking_for_the_status_can_shorten_the_retention_of_a_final_job_and_not_lengthen_it() {
    let rig = Rig::new().await;
    let worker = rig.worker("w1");
    let id = rig.run(json!(1)).await;
    worker.take_now().await;
    rig.advance(20 * SECOND);
    worker.done(&id, &json!({"output": 1})).await;
    rig.advance(MINUTE);
    rig.get(&format!("status/{id}?ttl=86400000")).await.ok();
    // It is answered, although it was submitted longer ago than that.
    assert_eq!(rig.get(&format!("status/{id}?ttl=6000")).await.ok()["output"], 1);
    rig.advance(5 * SECOND);
    rig.get(&format!("status/{id}?ttl=60000")).await.ok();
    rig.advance(SECOND);
    rig.get(&format!("status/{id}")).await.error(404);
}

#[tokio::test]
async fn results_are_kept_for_half_an_hour_and_those_of_runsync_for_a_minute() {
    let rig = Rig::new().await;
    let worker = rig.worker("w1");
    let waiting = rig.posting("runsync", &json!({"input": 1}));
    rig.holding(1).await;
    let sync = worker.take_now().await["id"].as_str().unwrap().to_owned();
    worker.done(&sync, &json!({"output": 1})).await;
    waiting.await.unwrap().ok();
    let run = rig.run(json!(1)).await;
    worker.take_now().await;
    worker.done(&run, &json!({"output": 1})).await;

    rig.advance(59 * SECOND);
    rig.status(&sync).await;
    rig.advance(SECOND);
    rig.get(&format!("status/{sync}")).await.error(404);
    rig.advance(28 * MINUTE);
    rig.status(&run).await;
    rig.advance(MINUTE);
    for operation in ["status", "stream"] {
        rig.get(&format!("{operation}/{run}")).await.error(404);
    }
    rig.post(&format!("retry/{run}"), json!({})).await.error(404);
}
