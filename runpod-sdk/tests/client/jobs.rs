//! Submitting, waiting, cancelling.

use std::collections::HashMap;
use std::time::Duration;

use runpod_sdk::client::{ClientError, EndpointClient, EndpointClientBuilder, JobStatus};
use runpod_sdk::local::LocalPlatform;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::support::Rig;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Prompt {
    prompt: String,
}

#[tokio::test]
async fn typed_input_goes_out_and_typed_output_comes_back() {
    let rig = Rig::new().await;
    let worker = rig.worker();
    let job = rig
        .client
        .run(&Prompt {
            prompt: "a cat".to_owned(),
        })
        .await
        .unwrap();
    let (id, input) = worker.take().await;
    assert_eq!((id.as_str(), input), (job.id(), json!({"prompt": "a cat"})));
    worker.done(&id, json!({"output": {"prompt": "a dog"}})).await;
    assert_eq!(
        job.output::<Prompt>().await.unwrap(),
        Prompt {
            prompt: "a dog".to_owned()
        }
    );
}

#[tokio::test]
async fn run_sync_waits_for_the_end() {
    let rig = Rig::new().await;
    let worker = rig.worker();
    let working = tokio::spawn(async move {
        let (id, input) = worker.take().await;
        worker.done(&id, json!({"output": input})).await;
    });
    let report = rig.client.run_sync(&json!({"n": 1})).await.unwrap();
    working.await.unwrap();
    assert_eq!(report.status, JobStatus::Completed);
    assert_eq!(report.into_result::<Value>().unwrap(), json!({"n": 1}));
}

#[tokio::test]
async fn whoever_waits_with_an_ear_open_hears_every_change() {
    let rig = Rig::new().await;
    let worker = rig.worker();
    let client = EndpointClient::builder("ep")
        .base_url(rig.platform.client_base_url())
        .api_key("k")
        .progress_interval(Duration::from_millis(5));
    let job = client.build().unwrap().run(&1).await.unwrap();
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let waiting = {
        let job = job.clone();
        tokio::spawn(async move {
            let tell = |report: &runpod_sdk::client::JobReport| {
                let _ = tell.send((report.status.clone(), report.output::<u32>().ok()));
            };
            job.wait_with(tell).await
        })
    };
    assert_eq!(told.recv().await, Some((JobStatus::InQueue, None)));
    let (id, _) = worker.take().await;
    assert_eq!(told.recv().await, Some((JobStatus::InProgress, None)));
    worker.progress(&id, json!(50)).await;
    assert_eq!(told.recv().await, Some((JobStatus::InProgress, Some(50))));
    worker.done(&id, json!({"output": 100})).await;
    assert_eq!(told.recv().await, Some((JobStatus::Completed, Some(100))));
    assert_eq!(waiting.await.unwrap().unwrap().output::<u32>().unwrap(), 100);
}

#[tokio::test]
async fn changes_are_also_heard_by_long_polls() {
    let rig = Rig::new().await;
    let (worker, job, id) = rig.running().await;
    let mut seen = Vec::new();
    let waiting = job.wait_with(|report| seen.push(report.status.clone()));
    let working = async {
        rig.platform.until("ep", |activity| activity.held == 1).await;
        worker.done(&id, json!({"output": 1})).await;
    };
    tokio::join!(waiting, working).0.unwrap();
    assert_eq!(seen, [JobStatus::InProgress, JobStatus::Completed]);
}

#[tokio::test]
async fn a_failed_job_keeps_its_text_and_its_code() {
    let rig = Rig::new().await;
    let (worker, job, id) = rig.running().await;
    let text = json!({"error_message": "too large", "code": "OOM", "class": "backend"}).to_string();
    worker.done(&id, json!({"error": text})).await;
    let Err(ClientError::Job(failure)) = job.output::<Value>().await else {
        panic!("the job failed")
    };
    assert_eq!(
        (failure.text.as_str(), failure.code.as_deref()),
        (text.as_str(), Some("OOM"))
    );
    assert_eq!(
        failure.to_string(),
        format!("job {id} ended as FAILED: too large [OOM]")
    );
}

#[tokio::test]
async fn cancelling_ends_the_wait() {
    let rig = Rig::new().await;
    let job = rig.client.run(&1).await.unwrap();
    let waiting = tokio::spawn({
        let job = job.clone();
        async move { job.wait().await }
    });
    rig.platform.until("ep", |activity| activity.held == 1).await;
    assert_eq!(job.cancel().await.unwrap().status, JobStatus::Cancelled);
    assert_eq!(waiting.await.unwrap().unwrap().status, JobStatus::Cancelled);
}

#[tokio::test]
async fn the_platforms_variables_are_enough_for_a_client() {
    let platform = LocalPlatform::builder()
        .endpoint("ep")
        .api_key("the-key")
        .start()
        .await
        .unwrap();
    let env: HashMap<String, String> = platform.client_env().into_iter().collect();
    let builder = EndpointClientBuilder::from_lookup("ep", |name| env.get(name).cloned());
    builder.build().unwrap().health().await.unwrap();
    let stranger = EndpointClientBuilder::from_lookup("ep", |name| env.get(name).cloned()).api_key("another");
    assert!(matches!(
        stranger.build().unwrap().health().await,
        Err(ClientError::Unauthorized)
    ));
}

#[tokio::test]
async fn a_failed_job_can_be_retried_and_a_finished_one_not() {
    let rig = Rig::new().await;
    let (worker, job, id) = rig.running().await;
    worker.done(&id, json!({"error": "no"})).await;
    assert_eq!(job.retry().await.unwrap().status, JobStatus::InQueue);
    worker.take().await;
    worker.done(&id, json!({"output": 2})).await;
    assert_eq!(job.output::<u32>().await.unwrap(), 2);
    assert!(matches!(job.retry().await, Err(ClientError::Status { status, .. }) if status.as_u16() == 400));
}

#[tokio::test]
async fn a_policy_reaches_the_platform() {
    let rig = Rig::new().await;
    let submission = rig
        .client
        .job(&1)
        .unwrap()
        .execution_timeout(Duration::from_secs(30))
        .low_priority(true);
    submission.run().await.unwrap();
    let job = rig.worker().take_whole().await;
    assert_eq!(
        job["policy"],
        json!({"executionTimeout": 30_000, "lowPriority": true})
    );
}

#[tokio::test]
async fn health_and_purge_count_the_queue() {
    let rig = Rig::new().await;
    rig.client.run(&1).await.unwrap();
    rig.client.run(&2).await.unwrap();
    assert_eq!(rig.client.health().await.unwrap().jobs.in_queue, 2);
    assert_eq!(rig.client.purge_queue().await.unwrap(), 2);
    assert_eq!(rig.client.health().await.unwrap().jobs.in_queue, 0);
}

#[tokio::test]
async fn unknown_jobs_and_endpoints_are_told_apart() {
    let rig = Rig::new().await;
    let missing = rig.client.handle("no-such-job");
    assert!(
        matches!(missing.status().await, Err(ClientError::JobNotFound(id)) if id.as_str() == "no-such-job")
    );
    assert!(matches!(missing.wait().await, Err(ClientError::JobNotFound(_))));
    let base = rig.platform.client_base_url();
    let other = EndpointClient::builder("other")
        .base_url(base)
        .api_key("k")
        .build()
        .unwrap();
    assert!(matches!(other.run(&1).await, Err(ClientError::EndpointNotFound(id)) if id == "other"));
}

#[tokio::test]
async fn a_server_without_ids_is_called_by_its_url_alone() {
    let platform = LocalPlatform::builder().endpoint("ep").start().await.unwrap();
    for url in [platform.url(), format!("{}/", platform.url())] {
        let client = EndpointClient::at(url).build().unwrap();
        let job = client.run(&json!({"n": 1})).await.unwrap();
        assert_eq!(job.status().await.unwrap().status, JobStatus::InQueue);
        assert_eq!(job.cancel().await.unwrap().status, JobStatus::Cancelled);
        assert_eq!(client.health().await.unwrap().jobs.in_queue, 0);
        assert_eq!(client.endpoint_id(), "");
    }
}
