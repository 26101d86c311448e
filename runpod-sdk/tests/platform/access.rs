//! Who gets an answer, and to what paths and methods.

use std::net::SocketAddr;

use reqwest::{Method, StatusCode};
use runpod_sdk::local::{EndpointSettings, LocalPlatform, StartError};
use serde_json::json;

use crate::support::{EP, Rig, http_client, send};

#[tokio::test]
async fn a_platform_others_can_reach_needs_a_key() {
    let everywhere: SocketAddr = "0.0.0.0:0".parse().unwrap();
    let builder = || LocalPlatform::builder().listen(everywhere);
    for keyless in [builder(), builder().api_key(""), builder().api_key(" ")] {
        let refused = keyless.start().await.unwrap_err();
        assert!(matches!(refused, StartError::KeyRequired(address) if address == everywhere));
    }

    let platform = LocalPlatform::builder()
        .listen(everywhere)
        .api_key("k")
        .start()
        .await
        .unwrap();
    let health = format!("{}/local/health", platform.client_base_url());
    assert!(health.starts_with("http://127.0.0.1:"));
    send(http_client().get(&health)).await.error(401);
    send(
        http_client()
            .get(&health)
            .bearer_auth("k")
            .header("host", "gpu-box:8000"),
    )
    .await
    .ok();
}

#[tokio::test]
async fn an_address_in_use_and_an_unusable_id_are_start_errors() {
    let rig = Rig::new().await;
    let taken = LocalPlatform::builder()
        .listen(rig.platform.address())
        .start()
        .await
        .unwrap_err();
    assert!(matches!(taken, StartError::Listen { .. }), "{taken}");
    for id in ["", "a/b", "..", "ä"] {
        let refused = LocalPlatform::builder().endpoint(id).start().await.unwrap_err();
        assert!(matches!(refused, StartError::EndpointId(_)), "{refused}");
    }
}

#[tokio::test]
async fn the_key_is_asked_of_clients_and_workers_in_either_form() {
    let rig = Rig::build(LocalPlatform::builder().endpoint(EP).api_key("k3y")).await;
    rig.post("run", json!({"input": 1})).await.error(401);
    for form in ["k3y", "Bearer k3y"] {
        send(rig.request(Method::GET, "health").header("authorization", form))
            .await
            .ok();
    }
    // Workers are given the key.
    assert_eq!(rig.worker("w1").ping(&[]).await.status, 200);
}

#[tokio::test]
async fn web_pages_and_strange_names_get_no_answer() {
    let rig = Rig::new().await;
    let with = |name: &str, value: &str| {
        send(
            rig.request(Method::POST, "run")
                .header(name, value)
                .body("{\"input\":1}"),
        )
    };
    with("origin", "https://example.com").await.error(403);
    with("host", "rebound.example.com").await.error(403);
    with("host", "localhost").await.ok();
    assert_eq!(rig.get("health").await.ok()["jobs"]["inQueue"], 1);
}

#[tokio::test]
async fn paths_work_with_and_without_the_endpoints_name() {
    let rig = Rig::new().await;
    for path in ["/health", "/ep/health", "/v2/ep/health", "/a/proxy/v2/ep/health"] {
        send(http_client().get(rig.platform.url() + path)).await.ok();
    }
    for path in ["/v2//ep/health", "/v2/ep/nothing", "/nothing"] {
        send(http_client().get(rig.platform.url() + path))
            .await
            .error(404);
    }
}

#[tokio::test]
async fn methods_are_those_the_clients_use() {
    let rig = Rig::new().await;
    let id = rig.run(json!(1)).await;
    rig.post(&format!("status/{id}"), json!({})).await.ok();
    let response = rig.request(Method::GET, "run").send().await.unwrap();
    assert_eq!(
        (response.status(), &response.headers()["allow"]),
        (StatusCode::METHOD_NOT_ALLOWED, &"POST".parse().unwrap())
    );
    assert!(response.text().await.unwrap().contains("takes POST"));
}

#[tokio::test]
async fn rate_limits_are_applied_when_asked_for() {
    let rig = Rig::with(EndpointSettings::default().rate_limits(true)).await;
    let purge = || rig.post("purge-queue", json!({}));
    purge().await.ok();
    purge().await.ok();
    purge().await.error(429);
    rig.get("health").await.ok();
    rig.advance(std::time::Duration::from_secs(10));
    purge().await.ok();
}

#[tokio::test]
async fn a_person_who_looks_in_is_told_what_is_there() {
    let rig = Rig::new().await;
    let page = http_client()
        .get(rig.platform.url() + "/docs")
        .send()
        .await
        .unwrap();
    assert_eq!((page.status(), page.url().path()), (StatusCode::OK, "/"));
    assert!(page.text().await.unwrap().contains("POST /v2/ep/runsync"));
    let schema = send(http_client().get(rig.platform.url() + "/openapi.json"))
        .await
        .ok();
    assert!(schema["paths"]["/v2/ep/status/{id}"]["get"].is_object());
}

#[tokio::test]
async fn violations_are_shown_to_whoever_looks() {
    let rig = Rig::new().await;
    rig.worker("<w1>").done("j&1", &json!({"output": 1})).await;
    let list = rig.get("requests").await.ok();
    assert_eq!(
        list["violations"][0]["kind"],
        "report about a job the platform does not know"
    );
    let page = http_client()
        .get(rig.platform.url())
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(page.contains("color:red") && !page.contains("<w1>"), "{page}");
}

#[tokio::test]
async fn realtime_answers_with_the_workers_own_result() {
    let rig = Rig::new().await;
    let worker = rig.worker("w1");
    for body in [json!({"output": [1]}), json!({"error": "no"})] {
        let answer = rig.posting("realtime", &json!({"id": "mine", "input": 1}));
        let job = worker.take(true).await.ok();
        worker.done(job["id"].as_str().unwrap(), &body).await;
        assert_eq!(answer.await.unwrap().ok(), body);
    }
}

#[tokio::test]
async fn calls_can_be_recorded() {
    let rig = Rig::build(LocalPlatform::builder().endpoint(EP).record_calls(true)).await;
    rig.run(json!({"n": 1})).await;
    rig.advance(std::time::Duration::from_secs(2));
    rig.worker("w1").ping(&["j"]).await;
    send(rig.request(Method::GET, "health").bearer_auth("a-secret"))
        .await
        .ok();
    let calls = rig.platform.recorded_calls();
    assert!(!format!("{calls:?}").contains("a-secret"));
    assert_eq!(calls.len(), 3);
    assert_eq!(
        (&calls[0].method, &calls[0].body[..]),
        (&Method::POST, &br#"{"input":{"n":1}}"#[..])
    );
    assert_eq!(
        calls[1].path_and_query,
        "/v2/ep/ping/w1?gpu=Local+GPU&job_id=j&runpod_version=1.12.0"
    );
    assert_eq!((calls[1].at.as_secs(), calls[1].status), (2, StatusCode::OK));
}

#[tokio::test]
async fn shutting_down_ends_held_requests_and_frees_the_address() {
    let rig = Rig::new().await;
    let id = rig.run(json!(1)).await;
    let waiting = rig.getting(&format!("status-sync/{id}"));
    rig.holding(1).await;
    let address = rig.platform.address();
    rig.platform.shutdown().await;
    assert_eq!(waiting.await.unwrap().ok()["status"], "IN_QUEUE");
    LocalPlatform::builder().listen(address).start().await.unwrap();
}
