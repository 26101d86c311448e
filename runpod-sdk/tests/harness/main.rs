//! How to test a handler: the whole worker runs inside the test, on a paused clock.
#![allow(clippy::unwrap_used, reason = "the helpers of a test are tests, too")]

use std::time::Duration;

use runpod_sdk::Job;
use runpod_sdk::prelude::*;
#[cfg(feature = "upload")]
use runpod_sdk::storage::Bucket;
use runpod_sdk::testing::{Harness, JobEnd};
use serde_json::json;

#[handler(timeout = "1h")]
async fn paint(steps: u32, ctx: Context) -> JobResult<String> {
    for done in 1..=steps {
        tokio::time::sleep(Duration::from_secs(1)).await;
        ctx.progress(json!({ "done": done, "of": steps }));
        if ctx.is_cancelled() {
            return Err(JobError::message_only("cancelled"));
        }
    }
    if steps == 0 {
        return Err(JobError::invalid_input("steps must be at least 1"));
    }
    Ok(format!("painted in {steps} steps"))
}

#[tokio::test(start_paused = true)]
async fn a_whole_run_fits_into_a_snapshot() {
    let harness = Harness::new(paint::worker());
    let run = harness.submit(3).finished().await;
    insta::assert_json_snapshot!(run);
}

#[tokio::test(start_paused = true)]
async fn cancelling_stops_the_painting() {
    let harness = Harness::new(paint::worker());
    let mut job = harness.submit(1_000_000);
    assert_eq!(job.next_progress().await, json!({ "done": 1, "of": 1_000_000 }));
    job.cancel();
    assert_eq!(job.finished().await.end, JobEnd::Stopped);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_waits_in_the_queue_can_be_cancelled() {
    let harness = Harness::new(paint::worker());
    let first = harness.submit(2);
    first.taken().await;
    let second = harness.submit(2);
    second.cancel();
    assert_eq!(second.finished().await.end, JobEnd::Stopped);
    assert_eq!(
        first.finished().await.output(),
        Some(&json!("painted in 2 steps"))
    );
}

#[tokio::test(start_paused = true)]
async fn an_hour_of_painting_costs_no_time_and_is_too_much() {
    let harness = Harness::new(paint::worker());
    let run = harness.submit(4000).finished().await;
    assert_eq!(run.error_code(), Some("TIMEOUT"));
}

#[tokio::test(start_paused = true)]
async fn errors_have_codes() {
    let harness = Harness::new(paint::worker());
    let run = harness.submit(0).finished().await;
    assert_eq!(
        (run.error_code(), run.error_message()),
        (Some("INVALID_INPUT"), Some("steps must be at least 1"))
    );
    let run = harness.submit("three").finished().await;
    assert!(run.error_message().unwrap().contains("expected integer"));
    assert!(harness.shut_down().await);
}

#[handler]
async fn limited(millis: u64, ctx: Context) -> JobResult<(String, Option<String>)> {
    tokio::time::sleep(Duration::from_millis(millis)).await;
    let webhook = ctx.job().get::<String>("webhook")?;
    Ok((ctx.job_id().to_string(), webhook))
}

#[tokio::test(start_paused = true)]
async fn a_whole_job_keeps_its_id_its_policy_and_what_else_it_has() {
    let harness = Harness::new(limited::worker());
    let job = |millis: u64| {
        let whole = json!({
            "id": format!("sync-{millis}"), "input": millis, "webhook": "http://x",
            "policy": { "executionTimeout": 5000 },
        });
        Job::from_json(whole.to_string()).unwrap()
    };
    let run = harness.submit_job(job(1)).finished().await;
    assert_eq!(run.output(), Some(&json!(["sync-1", "http://x"])));
    let run = harness.submit_job(job(60_000)).finished().await;
    assert_eq!(run.error_code(), Some("TIMEOUT"));
}

#[cfg(feature = "upload")]
#[handler]
async fn store(text: String, ctx: Context) -> JobResult<String> {
    let bucket = Bucket::for_job(ctx.job())?;
    Ok(bucket
        .put(&format!("{}.txt", ctx.job_id()), text, None)
        .await?
        .key)
}

#[cfg(feature = "upload")]
#[tokio::test]
async fn an_injected_bucket_takes_the_place_of_the_jobs_and_the_environments() {
    let folder = tempfile::tempdir().unwrap();
    let bucket = Bucket::directory(folder.path());
    let harness = Harness::new(store::worker()).inject(bucket);
    let s3 = json!({ "endpointUrl": "https://s3.example", "accessId": "a", "accessSecret": "b" });
    let whole = json!({ "id": "j1", "input": "text", "s3Config": s3 });
    let run = harness
        .submit_job(Job::from_json(whole.to_string()).unwrap())
        .finished()
        .await;
    assert_eq!(run.output(), Some(&json!("j1.txt")));
    assert_eq!(std::fs::read(folder.path().join("j1.txt")).unwrap(), b"text");
    // Without it, nothing is configured.
    let run = Harness::new(store::worker()).submit("text").finished().await;
    assert_eq!(run.error_code(), Some("UPLOAD_NOT_CONFIGURED"));
}
