//! Workers that vanish at any moment, in real time.

use std::time::Duration;

use reqwest::Client;
use runpod_sdk::local::{EndpointSettings, LocalPlatform};
use serde_json::json;
use tokio::task::JoinSet;

use crate::support::{EP, http_client, send};

const JOBS: usize = 150;

/// Takes jobs and finishes them, but drops its connection whenever a take lasts longer than its patience.
async fn work(http: Client, base: String, name: String, random: fastrand::Rng) {
    let mut random = random;
    loop {
        let patience = Duration::from_micros(random.u64(0..3000));
        let take = send(http.get(format!("{base}/job-take/{name}?job_in_progress=0")));
        let Ok(answer) = tokio::time::timeout(patience, take).await else {
            continue;
        };
        if let Some(id) = answer.body["id"].as_str() {
            let done = format!("{base}/job-done/{name}/{id}");
            send(
                http.post(done)
                    .body(json!({"output": answer.body["input"]}).to_string()),
            )
            .await;
        }
    }
}

#[tokio::test]
async fn every_job_is_done_in_the_end() {
    // Answers that reach a closed socket's buffer count as lost workers.
    let settings = EndpointSettings::default()
        .ping_window(Duration::from_millis(100))
        .retry_limit(u32::MAX);
    let platform = LocalPlatform::builder()
        .endpoint_with(EP, settings)
        .start()
        .await
        .unwrap();
    let base = format!("{}/{EP}", platform.client_base_url());
    let mut workers = JoinSet::new();
    for n in 0..6 {
        let seed = fastrand::Rng::with_seed(n);
        workers.spawn(work(http_client(), base.clone(), format!("w{n}"), seed));
    }
    let http = http_client();
    let mut clients = JoinSet::new();
    for n in 0..JOBS {
        clients.spawn(send(
            http.post(format!("{base}/runsync"))
                .body(json!({"input": n}).to_string()),
        ));
    }
    let mut outputs = Vec::new();
    while let Some(answer) = clients.join_next().await {
        let answer = answer.unwrap().ok();
        assert_eq!(answer["status"], "COMPLETED", "{answer}");
        outputs.push(answer["output"].as_u64().unwrap());
    }
    outputs.sort_unstable();
    assert_eq!(json!(outputs), json!((0..JOBS).collect::<Vec<_>>()));
    assert_eq!(platform.snapshot(EP).unwrap().completed, JOBS as u64);
}
