//! What a client's own server is told.

use std::time::Duration;

use runpod_sdk::local::EndpointSettings;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use wiremock::matchers::method;
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use crate::support::Rig;

/// A server that answers with these statuses, then 200, and passes on what it got.
async fn receiver(statuses: &'static [u16]) -> (MockServer, mpsc::UnboundedReceiver<Request>) {
    let server = MockServer::start().await;
    let (tell, told) = mpsc::unbounded_channel();
    let count = std::sync::atomic::AtomicUsize::new(0);
    Mock::given(method("POST"))
        .respond_with(move |request: &Request| {
            tell.send(request.clone()).unwrap();
            let n = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            ResponseTemplate::new(statuses.get(n).copied().unwrap_or(200))
        })
        .mount(&server)
        .await;
    (server, told)
}

async fn finish(rig: &Rig, url: &str, input: Value, body: Value) -> String {
    let worker = rig.worker("w1");
    let queued = rig
        .post("run", json!({"input": input, "webhook": url}))
        .await
        .ok();
    let id = queued["id"].as_str().unwrap().to_owned();
    rig.advance(Duration::from_millis(10));
    worker.take_now().await;
    rig.advance(Duration::from_millis(20));
    worker.done(&id, &body).await;
    id
}

#[tokio::test]
async fn a_finished_job_is_posted_with_its_input_and_the_url() {
    let rig = Rig::new().await;
    let (server, mut told) = receiver(&[]).await;
    let url = format!("{}/done", server.uri());
    for (input, body) in [
        (json!({"n": 1}), json!({"output": [1, 2]})),
        (json!(2), json!({"error": "no"})),
    ] {
        let failed = body.get("error").is_some();
        let id = finish(&rig, &url, input, body).await;
        let request = told.recv().await.unwrap();
        assert_eq!(request.headers["content-type"], "application/json");
        assert_eq!(request.headers["user-agent"], "Go-http-client/2.0");
        let body = String::from_utf8(request.body)
            .unwrap()
            .replace(&id, "<id>")
            .replace(&server.uri(), "<server>");
        let body: Value = serde_json::from_str(&body).unwrap();
        insta::assert_json_snapshot!(
            if failed {
                "webhook of a failure"
            } else {
                "webhook of a success"
            },
            body
        );
    }
}

#[tokio::test]
async fn an_undelivered_webhook_is_tried_twice_more_ten_seconds_apart() {
    let rig = Rig::new().await;
    let (server, mut told) = receiver(&[500, 404, 503]).await;
    let id = finish(&rig, &server.uri(), json!(1), json!({"output": 1})).await;
    told.recv().await.unwrap();
    for _ in 0..2 {
        rig.until(|activity| activity.webhooks_waiting == 1).await;
        assert!(told.try_recv().is_err());
        rig.advance(Duration::from_secs(10));
        told.recv().await.unwrap();
    }
    rig.until(|activity| activity.webhooks_under_way == 0).await;
    assert!(told.try_recv().is_err());
    assert_eq!(rig.status(&id).await["status"], "COMPLETED");
}

#[tokio::test]
async fn any_2xx_counts_as_delivered() {
    let rig = Rig::new().await;
    let (server, mut told) = receiver(&[204]).await;
    finish(&rig, &server.uri(), json!(1), json!({"output": 1})).await;
    told.recv().await.unwrap();
    let activity = rig
        .until(|activity| activity.webhooks_under_way == 0 || activity.webhooks_waiting > 0)
        .await;
    assert_eq!((activity.webhooks_delivered, activity.webhooks_waiting), (1, 0));
    assert!(told.try_recv().is_err());
}

#[tokio::test]
async fn a_job_given_up_by_the_platform_is_told_too() {
    let rig = Rig::with(EndpointSettings::default().retry_limit(0)).await;
    let (server, mut told) = receiver(&[]).await;
    let request = json!({"input": 1, "webhook": server.uri()});
    rig.post("run", request).await.ok();
    rig.worker("w1").take_now().await;
    rig.advance(Duration::from_secs(40));
    let body: Value = serde_json::from_slice(&told.recv().await.unwrap().body).unwrap();
    assert_eq!(
        (&body["status"], &body["error"]),
        (&json!("FAILED"), &json!("job timed out after 0 retries"))
    );
}

#[tokio::test]
async fn a_webhook_that_leads_to_the_platform_itself_queues_no_job() {
    let rig = Rig::new().await;
    let own = rig
        .request(reqwest::Method::POST, "run")
        .build()
        .unwrap()
        .url()
        .to_string();
    let id = finish(&rig, &own, json!(1), json!({"output": 1})).await;
    for tries in 0..2 {
        rig.until(|activity| activity.webhooks_waiting == 1).await;
        assert_eq!(
            rig.get("health").await.ok()["jobs"]["inQueue"],
            0,
            "after {tries} more tries"
        );
        rig.advance(Duration::from_secs(10));
    }
    let activity = rig.until(|activity| activity.webhooks_under_way == 0).await;
    assert_eq!((activity.webhooks_delivered, activity.webhooks_given_up), (0, 1));
    assert_eq!(rig.get("health").await.ok()["jobs"]["inQueue"], 0);
    assert_eq!(rig.status(&id).await["status"], "COMPLETED");
}

#[tokio::test]
async fn a_webhook_that_is_redirected_does_not_say_where_it_came_from() {
    let rig = Rig::new().await;
    let server = MockServer::start().await;
    let (tell, mut told) = mpsc::unbounded_channel();
    let seen = tell.clone();
    Mock::given(method("POST"))
        .respond_with(move |request: &Request| {
            seen.send(request.clone()).unwrap();
            ResponseTemplate::new(303).insert_header("location", "/elsewhere")
        })
        .mount(&server)
        .await;
    Mock::given(method("GET"))
        .respond_with(move |request: &Request| {
            tell.send(request.clone()).unwrap();
            ResponseTemplate::new(200)
        })
        .mount(&server)
        .await;
    let secret = format!("{}/done?token=t0k", server.uri());
    finish(&rig, &secret, json!(1), json!({"output": 1})).await;
    for path in ["/done", "/elsewhere"] {
        let request = told.recv().await.unwrap();
        assert_eq!(request.url.path(), path);
        assert!(!request.headers.contains_key("referer"), "{:?}", request.headers);
    }
}
