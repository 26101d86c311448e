//! Chunks on their way from a worker to a client.

use std::time::Duration;

use runpod_sdk::local::EndpointSettings;
use serde_json::{Value, json};

use crate::support::{Rig, Worker};

async fn running(rig: &Rig) -> (Worker, String) {
    let worker = rig.worker("w1");
    let id = rig.run(json!({})).await;
    worker.take_now().await;
    (worker, id)
}

fn page(status: &str, chunks: &[Value]) -> Value {
    let elements: Vec<Value> = chunks.iter().map(|chunk| json!({"output": chunk})).collect();
    json!({"status": status, "stream": elements})
}

#[tokio::test]
async fn a_poll_gets_everything_that_waits_and_gets_it_once() {
    let rig = Rig::new().await;
    let (worker, id) = running(&rig).await;
    worker.chunk(&id, &json!("a")).await;
    worker.chunk(&id, &json!({"b": 1})).await;
    let stream = format!("stream/{id}");
    assert_eq!(
        rig.get(&stream).await.ok(),
        page("IN_PROGRESS", &[json!("a"), json!({"b": 1})])
    );
    worker.chunk(&id, &json!(null)).await;
    assert_eq!(
        rig.post(&stream, json!({})).await.ok(),
        page("IN_PROGRESS", &[Value::Null])
    );
}

#[tokio::test]
async fn the_final_status_comes_with_the_last_chunks_and_then_alone() {
    let rig = Rig::new().await;
    let (worker, id) = running(&rig).await;
    worker.chunk(&id, &json!(1)).await;
    worker.chunk(&id, &json!(2)).await;
    worker.done(&id, &json!({"output": []})).await;
    let stream = format!("stream/{id}");
    assert_eq!(
        rig.get(&stream).await.ok(),
        page("COMPLETED", &[json!(1), json!(2)])
    );
    assert_eq!(rig.get(&stream).await.ok(), page("COMPLETED", &[]));
    assert_eq!(rig.status(&id).await["output"], json!([]));
}

#[tokio::test]
async fn an_empty_poll_is_held_until_a_chunk_comes() {
    let rig = Rig::new().await;
    let (worker, id) = running(&rig).await;
    let poll = rig.getting(&format!("stream/{id}?wait=90000"));
    rig.holding(1).await;
    worker.chunk(&id, &json!("now")).await;
    assert_eq!(poll.await.unwrap().ok(), page("IN_PROGRESS", &[json!("now")]));
}

#[tokio::test]
async fn an_empty_poll_is_held_for_a_second_unless_it_says_otherwise() {
    let rig = Rig::new().await;
    let id = rig.run(json!(1)).await;
    let poll = rig.getting(&format!("stream/{id}"));
    rig.holding(1).await;
    rig.advance(Duration::from_secs(1));
    assert_eq!(poll.await.unwrap().ok(), page("IN_QUEUE", &[]));
    let poll = rig.getting(&format!("stream/{id}?wait=1500"));
    rig.holding(1).await;
    rig.advance(Duration::from_millis(1500));
    assert_eq!(poll.await.unwrap().ok(), page("IN_QUEUE", &[]));
}

#[tokio::test]
async fn a_held_poll_ends_with_the_job() {
    let rig = Rig::new().await;
    let (worker, id) = running(&rig).await;
    let poll = rig.getting(&format!("stream/{id}"));
    rig.holding(1).await;
    worker.done(&id, &json!({"error": "no"})).await;
    assert_eq!(poll.await.unwrap().ok(), page("FAILED", &[]));
}

#[tokio::test]
async fn a_large_string_arrives_in_several_chunks_and_other_large_values_are_refused() {
    let rig = Rig::new().await;
    let (worker, id) = running(&rig).await;
    let text = "é".repeat(1_200_000);
    assert_eq!(worker.chunk(&id, &json!(text)).await.status, 200);
    let answer = rig.get(&format!("stream/{id}")).await.ok();
    let parts: Vec<&str> = answer["stream"]
        .as_array()
        .unwrap()
        .iter()
        .map(|part| part["output"].as_str().unwrap())
        .collect();
    assert_eq!(parts.len(), 3);
    assert_eq!(parts.concat(), text);

    let text = worker.chunk(&id, &json!([text])).await.error(400);
    assert!(text.contains("max body size"), "{text}");
    assert_eq!(
        rig.violations(),
        [runpod_sdk::local::ViolationKind::ChunkTooLarge]
    );
}

#[tokio::test]
async fn a_worker_is_held_back_when_nobody_reads() {
    let rig = Rig::with(EndpointSettings::default().max_unread_chunks(1)).await;
    let (worker, id) = running(&rig).await;
    assert_eq!(worker.chunk(&id, &json!(1)).await.status, 200);
    worker.chunk(&id, &json!(2)).await.error(429);
    rig.get(&format!("stream/{id}")).await.ok();
    assert_eq!(worker.chunk(&id, &json!(2)).await.status, 200);
    assert!(rig.violations().is_empty());
}

#[tokio::test]
async fn a_job_that_does_not_stream_ends_with_nothing() {
    let rig = Rig::new().await;
    let (worker, id) = running(&rig).await;
    worker.done(&id, &json!({"output": 1})).await;
    assert_eq!(
        rig.get(&format!("stream/{id}")).await.ok(),
        page("COMPLETED", &[])
    );
}

#[tokio::test]
async fn a_retried_job_begins_its_stream_anew() {
    let rig = Rig::new().await;
    let (worker, id) = running(&rig).await;
    worker.chunk(&id, &json!("old")).await;
    worker.done(&id, &json!({"error": "no"})).await;
    rig.post(&format!("retry/{id}"), json!({})).await.ok();
    worker.take_now().await;
    worker.chunk(&id, &json!("new")).await;
    assert_eq!(
        rig.get(&format!("stream/{id}")).await.ok(),
        page("IN_PROGRESS", &[json!("new")])
    );
}
