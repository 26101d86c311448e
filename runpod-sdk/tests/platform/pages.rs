//! Pages of the program that runs the platform.

use axum::Router;
use axum::routing::get;
use reqwest::StatusCode;
use runpod_sdk::local::LocalPlatform;

use crate::support::{EP, http_client};

async fn platform() -> LocalPlatform {
    let pages = Router::new()
        .route("/", get(async || "start"))
        .route("/console/a.js", get(async || "script"))
        .route("/console/api/jobs", get(async || "jobs"));
    let builder = LocalPlatform::builder().endpoint(EP).api_key("k").pages(pages);
    builder.start().await.unwrap()
}

#[tokio::test]
async fn a_browser_gets_pages_without_a_key_and_what_they_show_with_one() {
    let platform = platform().await;
    let get = async |path: &str, key: &str| {
        let request = http_client()
            .get(format!("{}{path}", platform.url()))
            .bearer_auth(key);
        request.send().await.unwrap().status()
    };
    assert_eq!(get("/", "").await, StatusCode::OK);
    assert_eq!(get("/console/a.js", "").await, StatusCode::OK);
    assert_eq!(get("/console/api/jobs", "wrong").await, StatusCode::UNAUTHORIZED);
    assert_eq!(get("/console/api/jobs", "k").await, StatusCode::OK);
    assert_eq!(get("/console/none", "k").await, StatusCode::NOT_FOUND);
    // The platform's own paths are as they were.
    assert_eq!(get("/v2/ep/health", "").await, StatusCode::UNAUTHORIZED);
    assert_eq!(get("/v2/ep/health", "k").await, StatusCode::OK);
}

#[tokio::test]
async fn pages_of_other_sites_get_none_of_them() {
    let platform = platform().await;
    for path in ["/", "/console/a.js", "/console/api/jobs"] {
        let request = http_client()
            .get(format!("{}{path}", platform.url()))
            .bearer_auth("k");
        let answer = request
            .header("origin", "https://evil.example")
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{path}");
        let request = http_client()
            .get(format!("{}{path}", platform.url()))
            .bearer_auth("k");
        let answer = request.header("host", "evil.example").send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{path}");
    }
}

#[tokio::test]
async fn a_webhook_of_a_platform_reaches_the_pages_that_take_webhooks_and_nothing_that_queues_jobs() {
    let platform = platform().await;
    for (path, status) in [
        ("/console/a.js", StatusCode::OK),
        ("/console/api/jobs", StatusCode::FORBIDDEN),
        ("/v2/ep/health", StatusCode::FORBIDDEN),
    ] {
        let request = http_client()
            .get(format!("{}{path}", platform.url()))
            .bearer_auth("k");
        let marked = request.header("x-runpod-local-webhook", "1");
        assert_eq!(marked.send().await.unwrap().status(), status, "{path}");
    }
}
