//! A job's way through the platform.

use std::time::Duration;

use reqwest::Method;
use runpod_sdk::local::{EndpointSettings, LocalPlatform};
use serde_json::{Value, json};

use crate::support::{EP, Rig, send};

#[tokio::test]
async fn a_job_travels_to_a_worker_and_its_result_back() {
    let rig = Rig::new().await;
    let worker = rig.worker("w1");
    let mut seen = Vec::new();

    let request = json!({
        "input": {"prompt": "a cat", "steps": 25},
        "policy": {"executionTimeout": 60_000},
        "s3Config": {"bucketName": "b"},
        "timeout": 5,
    });
    let queued = rig.post("run", request).await.ok();
    let id = queued["id"].as_str().unwrap().to_owned();
    seen.push(("the client is told", queued));
    rig.advance(Duration::from_millis(1500));
    seen.push(("the worker takes", worker.take(false).await.ok()));
    seen.push(("while it runs", rig.status(&id).await));
    rig.advance(Duration::from_millis(200));
    worker.progress(&id, &json!({"done": 1, "of": 25})).await;
    seen.push(("after an update", rig.status(&id).await));
    rig.advance(Duration::from_millis(2300));
    worker.done(&id, &json!({"output": {"images": []}})).await;
    seen.push(("at the end", rig.status(&id).await));

    let seen = json!(seen).to_string().replace(&id, "<id>");
    let seen: Value = serde_json::from_str(&seen).unwrap();
    insta::assert_json_snapshot!(seen);
    assert!(rig.violations().is_empty());
}

#[tokio::test]
async fn an_error_text_fails_the_job() {
    let rig = Rig::new().await;
    let worker = rig.worker("w1");
    let id = rig.run(json!({})).await;
    worker.take_now().await;
    worker
        .done(&id, &json!({"error": "{\"error_message\":\"no\"}"}))
        .await;
    let job = rig.status(&id).await;
    assert_eq!(job["status"], "FAILED");
    assert_eq!(job["error"], "{\"error_message\":\"no\"}");
    assert_eq!(job["workerId"], "w1");
    assert!(job.get("output").is_none());
}

#[tokio::test]
async fn runsync_answers_when_the_job_is_final() {
    let rig = Rig::new().await;
    let worker = rig.worker("w1");
    let answer = rig.posting("runsync", &json!({"input": 1}));
    let job = worker.take(false).await.ok();
    let id = job["id"].as_str().unwrap();
    assert!(id.starts_with("sync-"));
    rig.holding(1).await;
    worker.done(id, &json!({"output": 2})).await;
    let answer = answer.await.unwrap().ok();
    assert_eq!(
        (&answer["status"], &answer["output"]),
        (&json!("COMPLETED"), &json!(2))
    );
}

#[tokio::test]
async fn runsync_past_its_wait_answers_with_the_unfinished_job() {
    let rig = Rig::new().await;
    let answer = rig.posting("runsync?wait=5000", &json!({"input": 1}));
    rig.holding(1).await;
    rig.advance(Duration::from_secs(5));
    let answer = answer.await.unwrap().ok();
    assert_eq!(answer["status"], "IN_QUEUE");
    assert!(answer.get("output").is_none());

    let id = answer["id"].as_str().unwrap();
    let worker = rig.worker("w1");
    worker.take_now().await;
    worker.done(id, &json!({"output": "late"})).await;
    assert_eq!(rig.status(id).await["output"], "late");
}

#[tokio::test]
async fn a_client_that_hangs_up_on_runsync_leaves_its_job_behind() {
    let rig = Rig::new().await;
    let asking = rig.posting("runsync", &json!({"input": 1}));
    rig.holding(1).await;
    asking.abort();
    rig.until(|activity| activity.held == 0).await;
    assert_eq!(rig.worker("w1").take_now().await["input"], 1);
}

#[tokio::test]
async fn a_wait_outside_the_documented_range_is_refused_on_every_route_that_has_one() {
    let rig = Rig::new().await;
    let id = rig.run(json!(1)).await;
    let routes = [
        "runsync".to_owned(),
        format!("status-sync/{id}"),
        format!("stream/{id}"),
    ];
    for route in &routes {
        for wait in ["0", "29", "999", "300001", "-1"] {
            let text = rig
                .post(&format!("{route}?wait={wait}"), json!({"input": 1}))
                .await
                .error(400);
            assert!(
                text.contains("`wait` must be between 1000 and 300000"),
                "{route}: {text}"
            );
        }
        let text = rig
            .post(&format!("{route}?wait=soon"), json!({"input": 1}))
            .await
            .error(400);
        assert!(text.contains("`wait` is a number of milliseconds"), "{text}");
    }
    assert_eq!(
        rig.platform.snapshot(EP).unwrap().in_queue,
        1,
        "a refused request queues no job"
    );
}

#[tokio::test]
async fn status_sync_waits_for_the_end() {
    let rig = Rig::new().await;
    let worker = rig.worker("w1");
    let id = rig.run(json!(1)).await;
    worker.take_now().await;
    let answer = rig.getting(&format!("status-sync/{id}"));
    rig.holding(1).await;
    worker.progress(&id, &json!(50)).await;
    worker.done(&id, &json!({"output": 100})).await;
    assert_eq!(answer.await.unwrap().ok()["output"], 100);
}

#[tokio::test]
async fn a_cancelled_job_leaves_the_queue() {
    let rig = Rig::new().await;
    let first = rig.run(json!(1)).await;
    let second = rig.run(json!(2)).await;
    let cancelled = rig.post(&format!("cancel/{first}"), json!({})).await.ok();
    assert_eq!(cancelled, json!({"id": first, "status": "CANCELLED"}));
    assert_eq!(rig.worker("w1").take_now().await["id"], *second);
}

#[tokio::test]
async fn cancelling_a_running_job_tells_its_worker_and_drops_its_result() {
    let rig = Rig::new().await;
    let worker = rig.worker("w1");
    let id = rig.run(json!(1)).await;
    worker.take_now().await;
    let stops = tokio::spawn(worker.stops());
    rig.holding(1).await;
    rig.post(&format!("cancel/{id}"), json!({})).await.ok();
    assert_eq!(stops.await.unwrap().ok(), json!({"jobsToStop": [id]}));

    assert_eq!(worker.done(&id, &json!({"output": 1})).await.status, 200);
    assert_eq!(rig.status(&id).await, json!({"id": id, "status": "CANCELLED"}));
    assert!(rig.violations().is_empty());
}

#[tokio::test]
async fn cancelling_a_finished_job_answers_with_what_it_is() {
    let rig = Rig::new().await;
    let worker = rig.worker("w1");
    let id = rig.run(json!(1)).await;
    worker.take_now().await;
    worker.done(&id, &json!({"output": 7})).await;
    let answer = rig.post(&format!("cancel/{id}"), json!({})).await.ok();
    assert_eq!(
        (&answer["status"], &answer["output"]),
        (&json!("COMPLETED"), &json!(7))
    );
}

#[tokio::test]
async fn health_counts_jobs_and_workers() {
    let rig = Rig::new().await;
    let (busy, idle, ill) = (rig.worker("busy"), rig.worker("idle"), rig.worker("ill"));
    for n in 0..4 {
        rig.run(json!(n)).await;
    }
    for body in [json!({"output": 1}), json!({"error": "no"})] {
        let job = busy.take_now().await;
        busy.done(job["id"].as_str().unwrap(), &body).await;
    }
    busy.take_now().await;
    idle.ping(&[]).await;
    ill.report_unhealthy().await;
    insta::assert_json_snapshot!(rig.get("health").await.ok());
}

#[tokio::test]
async fn every_form_of_an_empty_body_is_taken() {
    let rig = Rig::new().await;
    for request in [
        rig.request(Method::POST, "purge-queue"),
        rig.request(Method::POST, "purge-queue").body("{}"),
        rig.request(Method::POST, "purge-queue")
            .header("content-type", "application/json")
            .body(""),
    ] {
        rig.run(json!(1)).await;
        assert_eq!(
            send(request).await.ok(),
            json!({"removed": 1, "status": "completed"})
        );
    }
}

#[tokio::test]
async fn a_purged_job_is_cancelled_and_a_running_one_goes_on() {
    let rig = Rig::new().await;
    let worker = rig.worker("w1");
    let running = rig.run(json!(1)).await;
    let queued = rig.run(json!(2)).await;
    worker.take_now().await;
    rig.post("purge-queue", json!({})).await.ok();
    assert_eq!(rig.status(&queued).await["status"], "CANCELLED");
    assert_eq!(rig.status(&running).await["status"], "IN_PROGRESS");
}

#[tokio::test]
async fn only_a_failed_job_can_be_retried_and_starts_anew() {
    let rig = Rig::new().await;
    let worker = rig.worker("w1");
    let id = rig.run(json!({"n": 1})).await;
    worker.take_now().await;
    let text = rig.post(&format!("retry/{id}"), json!({})).await.error(400);
    assert!(text.contains("IN_PROGRESS"), "{text}");

    worker.done(&id, &json!({"error": "no"})).await;
    assert_eq!(
        rig.post(&format!("retry/{id}"), json!({})).await.ok(),
        json!({"id": id, "status": "IN_QUEUE"})
    );
    assert_eq!(rig.status(&id).await, json!({"id": id, "status": "IN_QUEUE"}));
    assert_eq!(worker.take_now().await, json!({"id": id, "input": {"n": 1}}));
    worker.done(&id, &json!({"output": "better"})).await;
    assert_eq!(rig.status(&id).await["output"], "better");
}

#[tokio::test]
async fn what_is_not_a_job_request_is_refused_with_a_reason() {
    let rig = Rig::new().await;
    for body in ["", "{}", "null", "{\"input\":", "input=1"] {
        let text = send(rig.request(Method::POST, "run").body(body)).await.error(400);
        assert!(text.starts_with("bad request: body:"), "{body}: {text}");
    }
    rig.post("run", json!({"input": null})).await.ok();
}

#[tokio::test]
async fn bodies_over_the_limits_get_the_gateways_words() {
    let rig = Rig::new().await;
    let body = json!({"input": "x".repeat(10 * 1024 * 1024)});
    let text = rig.post("run", body.clone()).await.error(400);
    assert_eq!(text, "bad request: body: exceeded max body size of 10MiB");
    let waiting = rig.posting("runsync?wait=1000", &body);
    rig.holding(1).await;
    rig.advance(Duration::from_secs(1));
    waiting.await.unwrap().ok();
}

#[tokio::test]
async fn a_full_queue_refuses_and_finished_jobs_make_room() {
    let rig = Rig::with(EndpointSettings::default().max_jobs(2)).await;
    let worker = rig.worker("w1");
    let first = rig.run(json!(1)).await;
    rig.run(json!(2)).await;
    rig.post("run", json!({"input": 3})).await.error(429);
    worker.take_now().await;
    worker.done(&first, &json!({"output": 1})).await;
    rig.run(json!(3)).await;
    rig.get(&format!("status/{first}")).await.error(404);
}

#[tokio::test]
async fn the_list_of_requests_shows_jobs_without_their_payloads() {
    let rig = Rig::new().await;
    let worker = rig.worker("w1");
    let first = rig.run(json!("a long input")).await;
    rig.advance(Duration::from_millis(30));
    let second = rig.run(json!(2)).await;
    worker.take_now().await;
    let list = rig
        .get("requests")
        .await
        .ok()
        .to_string()
        .replace(&first, "<first>")
        .replace(&second, "<second>");
    insta::assert_json_snapshot!(serde_json::from_str::<Value>(&list).unwrap());
    let queued = rig.get("requests?status=IN_QUEUE&limit=5").await.ok();
    assert_eq!(queued["requests"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn endpoints_of_one_platform_share_nothing() {
    let rig = Rig::build(LocalPlatform::builder().endpoint(EP).endpoint("other")).await;
    rig.run(json!(1)).await;
    let other = rig.platform.client_base_url() + "/other/health";
    let health = send(crate::support::http_client().get(other)).await.ok();
    assert_eq!(health["jobs"]["inQueue"], 0);
    let missing =
        send(crate::support::http_client().get(rig.platform.client_base_url() + "/nope/health")).await;
    assert_eq!(
        missing.error(404),
        "endpoint not found; this platform has: ep, other"
    );
}
