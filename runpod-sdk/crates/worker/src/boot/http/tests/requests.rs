//! Whole requests, without sockets.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, Request, StatusCode, header};
use serde_json::{Value, json};

use super::super::body;
use super::super::routes::App;
use super::super::settings::HttpSettings;
use super::{app, work};
use crate::boot::HttpMode;
use crate::job::WorkerIdentity;
use crate::prelude::*;
use crate::settings::Settings;

/// A request of a program on this machine.
fn get(path: &str) -> http::request::Builder {
    Request::get(path).header(header::HOST, "localhost:8000")
}

fn post(path: &str) -> http::request::Builder {
    Request::post(path).header(header::HOST, "localhost:8000")
}

async fn ask(app: &App, request: http::request::Builder, body: &'static str) -> (StatusCode, String) {
    let response = app.answer(request.body(Body::from(body)).unwrap()).await;
    let status = response.status();
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn a_worker_that_starts_says_204_and_sends_requests_elsewhere() {
    let app = app();
    assert_eq!(ask(&app, get("/ping"), "").await.0, StatusCode::NO_CONTENT);
    let response = app.answer(post("/").body(Body::from("1")).unwrap()).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers()[header::RETRY_AFTER], "1");
    work(&app, Worker::new(|n: u32| async move { JobResult::Ok(n * 2) })).await;
    assert_eq!(ask(&app, get("/ping"), "").await.0, StatusCode::OK);
    assert_eq!(
        ask(&app, post("/"), "21").await,
        (StatusCode::OK, "42".to_owned())
    );
}

#[tokio::test]
async fn on_loopback_neither_a_web_page_nor_a_strange_name_gets_an_answer() {
    let app = app();
    work(&app, Worker::new(|n: u32| async move { JobResult::Ok(n * 2) })).await;
    let named = |host| Request::post("/").header(header::HOST, host);
    for foreign in [
        named("evil.example"),
        named("127.0.0.1.evil.example:8000"),
        Request::post("/"),
        post("/").header(header::ORIGIN, "https://evil.example"),
        post("/").header(header::ORIGIN, "null"),
        post("/").header("sec-fetch-site", "cross-site"),
        Request::get("/ping").header(header::HOST, "evil.example"),
    ] {
        let shown = format!("{foreign:?}");
        let (status, body) = ask(&app, foreign, "21").await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{shown}");
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["error"]["code"], "FORBIDDEN");
    }
    let own_page = post("/").header(header::ORIGIN, "http://localhost:8000");
    assert_eq!(ask(&app, own_page, "21").await, (StatusCode::OK, "42".to_owned()));
}

#[tokio::test]
async fn a_worker_that_other_machines_reach_answers_any_name() {
    let pod = |name: &str| (name == "RUNPOD_POD_ID").then(|| "w1".to_owned());
    let settings = HttpSettings::read(HttpMode::LoadBalancing, &Settings::default(), pod).unwrap();
    let app = Arc::new(App::new(settings, super::requests(1), WorkerIdentity::default()));
    work(&app, Worker::new(|n: u32| async move { JobResult::Ok(n * 2) })).await;
    let request = Request::post("/")
        .header(header::HOST, "w1.proxy.example")
        .header(header::ORIGIN, "https://shop.example");
    assert_eq!(ask(&app, request, "21").await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_panic_is_an_answer_and_the_next_request_is_served() {
    let app = app();
    let worker = Worker::new(|n: u32| async move {
        assert!(n > 0, "nothing to do");
        JobResult::Ok(n)
    });
    work(&app, worker).await;
    let (status, body) = ask(&app, post("/"), "0").await;
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (status, &body["error"]["code"]),
        (StatusCode::INTERNAL_SERVER_ERROR, &json!("PANIC"))
    );
    assert_eq!(ask(&app, post("/"), "1").await.0, StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_runs_too_long_is_504_and_one_that_outlives_its_worker_503() {
    let app = app();
    let worker = Worker::new(|_: u32| std::future::pending::<JobResult<()>>());
    let shutdown = work(
        &app,
        worker
            .timeout(Duration::from_secs(5))
            .shutdown_grace(Duration::from_secs(1)),
    )
    .await;
    let (status, _) = ask(&app, post("/"), "1").await;
    assert_eq!(status, StatusCode::GATEWAY_TIMEOUT);
    let (answer, ()) = tokio::join!(ask(&app, post("/"), "1"), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        shutdown.drain.cancel();
    });
    assert_eq!(answer.0, StatusCode::SERVICE_UNAVAILABLE, "{}", answer.1);
    assert!(answer.1.contains("WORKER_STOPPED"), "{}", answer.1);
}

#[tokio::test]
async fn a_value_is_the_last_event_where_events_are_wanted() {
    let app = app();
    work(&app, Worker::new(|n: u32| async move { JobResult::Ok(n * 2) })).await;
    let request = post("/").header(header::ACCEPT, "text/event-stream, */*;q=0.1");
    assert_eq!(ask(&app, request, "21").await.1, "event: end\ndata: 42\n\n");
    let request = post("/").header(header::ACCEPT, "application/jsonl");
    assert_eq!(ask(&app, request, "21").await.1, "{\"output\": 42}\n");
}

fn refused(read: Result<Bytes, super::super::refused::Refused>) -> StatusCode {
    read.unwrap_err()
        .into_response(&WorkerIdentity::default())
        .status()
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_given_up() {
    let endless = Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
    let read = body::read(&HeaderMap::new(), endless, 100).await;
    assert_eq!(refused(read), StatusCode::REQUEST_TIMEOUT);
}

#[tokio::test]
async fn a_body_that_breaks_off_or_grows_too_large_is_refused() {
    let pieces = [Ok(Bytes::from_static(b"{")), Err(std::io::Error::other("reset"))];
    let read = body::read(&HeaderMap::new(), Body::from_stream(stream::iter(pieces)), 100).await;
    assert_eq!(refused(read), StatusCode::BAD_REQUEST);
    let large = stream::repeat(Ok::<_, Infallible>(Bytes::from_static(b"0123456789")));
    let read = body::read(&HeaderMap::new(), Body::from_stream(large), 100).await;
    assert_eq!(refused(read), StatusCode::PAYLOAD_TOO_LARGE);
}
