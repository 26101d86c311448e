//! The side workers call.

use std::time::Duration;

use runpod_sdk::local::EndpointSettings;
use runpod_sdk::local::ViolationKind as V;
use serde_json::json;

use crate::support::Rig;

#[tokio::test]
async fn a_take_without_work_is_held_and_then_answered_with_204() {
    let rig = Rig::new().await;
    let take = tokio::spawn(rig.worker("w1").take(false));
    rig.holding(1).await;
    rig.advance(Duration::from_secs(20));
    assert_eq!(take.await.unwrap().status, 204);
}

#[tokio::test]
async fn a_waiting_take_gets_the_next_job() {
    let rig = Rig::new().await;
    let take = tokio::spawn(rig.worker("w1").take(false));
    rig.holding(1).await;
    let id = rig.run(json!({"n": 1})).await;
    assert_eq!(take.await.unwrap().ok(), json!({"id": id, "input": {"n": 1}}));
}

#[tokio::test]
async fn jobs_are_handed_out_in_order_each_to_one_of_many_waiting_workers() {
    let rig = Rig::new().await;
    let takes: Vec<_> = (0..8)
        .map(|n| tokio::spawn(rig.worker(&format!("w{n}")).take(false)))
        .collect();
    rig.holding(8).await;
    let mut submitted = Vec::new();
    for n in 0..8 {
        submitted.push(rig.run(json!(n)).await);
    }
    let mut handed_out = Vec::new();
    for take in takes {
        handed_out.push(take.await.unwrap().ok()["id"].as_str().unwrap().to_owned());
    }
    handed_out.sort();
    submitted.sort();
    assert_eq!(handed_out, submitted);
}

#[tokio::test]
async fn a_batch_take_gets_what_is_there_up_to_its_size() {
    let rig = Rig::new().await;
    for n in 0..3 {
        rig.run(json!(n)).await;
    }
    let worker = rig.worker("w1");
    let inputs = |answer: serde_json::Value| {
        answer
            .as_array()
            .unwrap()
            .iter()
            .map(|job| job["input"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(inputs(worker.take_batch(2).await.ok()), [0, 1]);
    assert_eq!(inputs(worker.take_batch(2).await.ok()), [2]);
}

#[tokio::test]
async fn a_worker_that_hangs_up_while_it_waits_takes_no_job_with_it() {
    let rig = Rig::new().await;
    let gone = tokio::spawn(rig.worker("gone").take(false));
    rig.holding(1).await;
    gone.abort();
    rig.until(|activity| activity.held == 0).await;
    let id = rig.run(json!(1)).await;
    assert_eq!(rig.worker("w2").take_now().await["id"], *id);
}

/// Sends a GET and hangs up without reading the answer.
async fn ask_and_leave(rig: &Rig, operation: &str) {
    use tokio::io::AsyncWriteExt as _;
    let mut connection = tokio::net::TcpStream::connect(rig.platform.address())
        .await
        .unwrap();
    let request = format!("GET /v2/ep/{operation} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    connection.write_all(request.as_bytes()).await.unwrap();
    // The first byte of the answer: the job or the chunks are on their way.
    connection.readable().await.unwrap();
}

#[tokio::test]
async fn a_worker_that_hangs_up_while_it_is_sent_its_jobs_loses_none() {
    let rig = Rig::with(EndpointSettings::default().run_limit(64 << 20)).await;
    let first = rig.run(json!("x".repeat(16 << 20))).await;
    let second = rig.run(json!(2)).await;
    ask_and_leave(&rig, "job-take-batch/gone?batch_size=2").await;
    let batch = rig.worker("w2").take_batch(2).await.ok();
    assert_eq!(
        (&batch[0]["id"], &batch[1]["id"]),
        (&json!(first), &json!(second))
    );
    assert!(rig.violations().is_empty());
}

#[tokio::test]
async fn a_reader_that_hangs_up_while_it_is_sent_chunks_leaves_them_to_the_next() {
    let rig = Rig::with(
        EndpointSettings::default()
            .chunk_limit(64 << 20)
            .result_limit(64 << 20),
    )
    .await;
    let worker = rig.worker("w1");
    let id = rig.run(json!(1)).await;
    worker.take_now().await;
    worker.chunk(&id, &json!("x".repeat(16 << 20))).await;
    worker.chunk(&id, &json!(2)).await;
    ask_and_leave(&rig, &format!("stream/{id}")).await;
    let page = rig.get(&format!("stream/{id}?wait=300000")).await.ok();
    assert_eq!(page["stream"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_workers_wish_to_be_replaced_and_its_health_are_known() {
    let rig = Rig::new().await;
    let worker = rig.worker("w1");
    let id = rig.run(json!(1)).await;
    worker.take_now().await;
    rig.advance(Duration::from_secs(3));
    worker.ping(&[&id]).await;
    let of = |rig: &Rig| rig.platform.snapshot("ep").unwrap().workers.remove(0);
    let known = of(&rig);
    assert_eq!(
        (known.held, known.version.as_deref()),
        (vec![id.clone()], Some("1.12.0"))
    );
    assert_eq!(known.last_ping, Some(Duration::from_secs(3)));
    worker.done(&id, &json!({"output": 1, "stopPod": true})).await;
    worker.report_unhealthy().await;
    let known = of(&rig);
    assert!(known.asked_to_be_replaced && known.held.is_empty());
    assert_eq!(known.unhealthy.as_deref(), Some("gpu: none"));
}

#[tokio::test]
async fn a_stop_is_told_once() {
    let rig = Rig::new().await;
    let worker = rig.worker("w1");
    let id = rig.run(json!(1)).await;
    worker.take_now().await;
    rig.post(&format!("cancel/{id}"), json!({})).await.ok();
    assert_eq!(worker.stops().await.ok(), json!({"jobsToStop": [id]}));
    let second = tokio::spawn(worker.stops());
    rig.holding(1).await;
    rig.advance(Duration::from_secs(20));
    assert_eq!(second.await.unwrap().status, 204);
}

#[tokio::test]
async fn a_stop_is_sent_again_while_the_worker_lists_the_job() {
    let rig = Rig::new().await;
    let worker = rig.worker("w1");
    let id = rig.run(json!(1)).await;
    worker.take_now().await;
    rig.post(&format!("cancel/{id}"), json!({})).await.ok();
    let stops = json!({"jobsToStop": [id]});
    assert_eq!(worker.stops().await.ok(), stops);
    for _ in 0..2 {
        // The signal was lost, so the worker goes on.
        let poll = tokio::spawn(worker.stops());
        rig.holding(1).await;
        worker.ping(&[&id]).await;
        assert_eq!(poll.await.unwrap().ok(), stops);
    }
    worker.ping(&[]).await;
    let poll = tokio::spawn(worker.stops());
    rig.holding(1).await;
    rig.advance(Duration::from_secs(20));
    assert_eq!(poll.await.unwrap().status, 204);
}

#[tokio::test]
async fn a_job_that_runs_on_after_a_stop_of_another_is_not_stopped() {
    let rig = Rig::new().await;
    let worker = rig.worker("w1");
    let (first, second) = (rig.run(json!(1)).await, rig.run(json!(2)).await);
    worker.take_batch(2).await.ok();
    rig.post(&format!("cancel/{first}"), json!({})).await.ok();
    worker.stops().await.ok();
    worker.ping(&[&first, &second]).await;
    assert_eq!(worker.stops().await.ok(), json!({"jobsToStop": [first]}));
}

#[tokio::test]
async fn a_worker_that_asks_to_be_replaced_gets_no_further_job_and_counts_as_gone() {
    let rig = Rig::with(EndpointSettings::default().ping_window(None)).await;
    let (worker, other) = (rig.worker("w1"), rig.worker("w2"));
    let id = rig.run(json!(1)).await;
    worker.take_now().await;
    let waiting = tokio::spawn(worker.take(true));
    rig.holding(1).await;
    worker.done(&id, &json!({"output": 1, "stopPod": true})).await;
    let workers = rig.get("health").await.ok()["workers"].clone();
    assert_eq!(
        (&workers["idle"], &workers["running"], &workers["ready"]),
        (&json!(0), &json!(0), &json!(0))
    );

    let other_waits = tokio::spawn(other.take(false));
    rig.holding(2).await;
    let next = rig.run(json!(2)).await;
    assert_eq!(waiting.await.unwrap().status, 204, "its open take brings nothing");
    assert_eq!(other_waits.await.unwrap().ok()["id"], *next);

    // Another take of it is held, and is in no other worker's way.
    let again = tokio::spawn(worker.take(false));
    rig.holding(1).await;
    let last = rig.run(json!(3)).await;
    assert_eq!(other.take_now().await["id"], *last);
    rig.advance(Duration::from_secs(20));
    assert_eq!(again.await.unwrap().status, 204);

    // After it has been silent, its id may be that of a new worker.
    rig.advance(Duration::from_secs(91));
    rig.run(json!(4)).await;
    assert_eq!(worker.take_now().await["input"], 4);
}

#[tokio::test]
async fn a_take_beside_a_job_is_held_for_a_second() {
    let rig = Rig::new().await;
    let worker = rig.worker("w1");
    rig.run(json!(1)).await;
    worker.take_now().await;
    let beside = tokio::spawn(worker.take(true));
    rig.holding(1).await;
    rig.advance(Duration::from_secs(1));
    assert_eq!(beside.await.unwrap().status, 204);
}

#[tokio::test]
async fn a_worker_is_ready_only_while_it_asks_for_work() {
    let rig = Rig::new().await;
    let worker = rig.worker("w1");
    let counts = async || {
        let workers = rig.get("health").await.ok()["workers"].clone();
        ["idle", "ready", "running"].map(|state| workers[state].as_u64().unwrap())
    };
    worker.ping(&[]).await;
    assert_eq!(counts().await, [1, 0, 0], "it has not asked yet");
    let take = tokio::spawn(worker.take(false));
    rig.holding(1).await;
    assert_eq!(counts().await, [1, 1, 0]);
    rig.advance(Duration::from_secs(20));
    take.await.unwrap();
    assert_eq!(counts().await, [1, 1, 0], "the next take is about to come");
    rig.advance(Duration::from_secs(6));
    worker.ping(&[]).await;
    assert_eq!(counts().await, [1, 0, 0], "it takes a pause");
    rig.run(json!(1)).await;
    worker.take_now().await;
    assert_eq!(counts().await, [0, 0, 1]);
}

#[tokio::test]
async fn what_a_worker_does_against_the_protocol_is_recorded() {
    let rig = Rig::new().await;
    let (worker, other) = (rig.worker("w1"), rig.worker("w2"));
    let id = rig.run(json!(1)).await;
    let next = rig.run(json!(2)).await;
    worker.take_now().await;
    worker.take(false).await.ok();
    other.done(&id, &json!({"output": "not yours"})).await;
    worker.done(&id, &json!({"output": "result"})).await;
    worker.done(&id, &json!({"output": "again"})).await;
    worker.progress(&id, &json!("late")).await;
    worker.chunk(&id, &json!("late")).await;
    assert_eq!(worker.done("never-seen", &json!({"output": 1})).await.status, 404);
    worker.done(&next, &json!(["no object"])).await.error(400);
    worker.done(&next, &json!({"error": {"code": 1}})).await;

    assert_eq!(
        rig.violations(),
        [
            V::IdleWhileHolding,
            V::JobNotHeld,
            V::SecondResult,
            V::ProgressAfterResult,
            V::ChunkAfterResult,
            V::UnknownJob,
            V::MalformedBody,
            V::ErrorIsNoText,
        ]
    );
    assert_eq!(rig.status(&id).await["output"], "result");
    let hidden = rig.status(&next).await;
    assert_eq!(
        (&hidden["status"], hidden.get("output")),
        (&json!("COMPLETED"), None)
    );
    let first = &rig.platform.violations()[0];
    assert_eq!(
        (first.worker.as_str(), first.job.as_deref()),
        ("w1", Some(id.as_str()))
    );
}

#[tokio::test]
async fn the_variables_for_a_worker_have_the_platforms_shape() {
    let rig = Rig::new().await;
    let env: std::collections::BTreeMap<_, _> = rig.platform.worker_env("ep", "w1").into_iter().collect();
    let env = serde_json::to_string(&env)
        .unwrap()
        .replace(&rig.platform.url(), "<url>");
    insta::assert_json_snapshot!(serde_json::from_str::<serde_json::Value>(&env).unwrap());
}
