//! Reading a job's chunks and its updates.

use futures_util::{StreamExt, pin_mut};
use runpod_sdk::client::{ClientError, JobStatus};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::support::Rig;

#[tokio::test]
async fn chunks_come_in_order_once_and_as_they_are_posted() {
    let rig = Rig::new().await;
    let (worker, job, id) = rig.running().await;
    let chunks = job.stream::<u32>();
    pin_mut!(chunks);
    for n in 0..3 {
        worker.chunk(&id, json!(n)).await;
        assert_eq!(chunks.next().await.unwrap().unwrap(), n);
    }
    worker.chunk(&id, json!(3)).await;
    worker.chunk(&id, json!(4)).await;
    worker.done(&id, json!({"output": []})).await;
    let rest: Vec<u32> = chunks.map(Result::unwrap).collect().await;
    assert_eq!(rest, [3, 4]);
}

#[tokio::test]
async fn a_failure_in_mid_stream_comes_after_the_chunks_before_it() {
    let rig = Rig::new().await;
    let (worker, job, id) = rig.running().await;
    worker.chunk(&id, json!("a")).await;
    worker.done(&id, json!({"error": "it broke"})).await;
    let all: Vec<_> = job.stream::<String>().collect().await;
    assert_eq!(all.len(), 2);
    assert_eq!(all[0].as_ref().unwrap(), "a");
    assert!(matches!(&all[1], Err(ClientError::Job(failure)) if failure.text == "it broke"));
}

#[tokio::test]
async fn chunks_can_be_had_as_received_and_one_that_does_not_fit_is_skipped() {
    let rig = Rig::new().await;
    let (worker, job, id) = rig.running().await;
    worker.chunk_text(&id, r#"{"output": {"b" :1.0,"a":2} }"#).await;
    worker.done(&id, json!({"output": []})).await;
    let raw: Vec<Box<RawValue>> = job.stream().map(Result::unwrap).collect().await;
    assert_eq!(raw[0].get(), r#"{"b" :1.0,"a":2}"#);

    let job = rig.client.run(&1).await.unwrap();
    let (id, _) = worker.take().await;
    worker.chunk(&id, json!("no number")).await;
    worker.chunk(&id, json!(7)).await;
    worker.done(&id, json!({"output": []})).await;
    let all: Vec<_> = job.stream::<u32>().collect().await;
    assert!(matches!(all[0], Err(ClientError::Output(_))));
    assert_eq!(*all[1].as_ref().unwrap(), 7);
}

#[tokio::test]
async fn a_cancelled_job_ends_its_stream() {
    let rig = Rig::new().await;
    let job = rig.client.run(&1).await.unwrap();
    let reading = tokio::spawn(job.stream::<Value>().collect::<Vec<_>>());
    rig.platform.until("ep", |activity| activity.held == 1).await;
    job.cancel().await.unwrap();
    let all = reading.await.unwrap();
    assert!(matches!(&all[..], [Err(ClientError::Job(failure))] if failure.status == JobStatus::Cancelled));
}

#[tokio::test]
async fn updates_end_with_the_final_report_or_the_first_error() {
    let rig = Rig::new().await;
    let job = rig.client.run(&1).await.unwrap();
    let updates = job.updates();
    pin_mut!(updates);
    assert_eq!(updates.next().await.unwrap().unwrap().status, JobStatus::InQueue);
    job.cancel().await.unwrap();
    assert_eq!(
        updates.next().await.unwrap().unwrap().status,
        JobStatus::Cancelled
    );
    assert!(updates.next().await.is_none());

    let missing: Vec<_> = rig.client.handle("missing").updates().collect().await;
    assert!(matches!(&missing[..], [Err(ClientError::JobNotFound(_))]));
}
