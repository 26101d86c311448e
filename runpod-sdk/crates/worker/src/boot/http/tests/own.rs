//! A program's own routes, without sockets.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use http::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::super::own::OwnService;
use super::super::routes::App;
use super::super::server;
use super::{app, work};
use crate::prelude::*;
use crate::web::Draining;

/// An app with a worker's own routes, which are there once the worker has started.
fn app_of(worker: &Worker, at_once: usize, waiting: usize) -> (Arc<App>, CancellationToken) {
    let drain = CancellationToken::new();
    let own = worker.own_routes().unwrap();
    let own = OwnService::new(own, at_once, waiting, 10, drain.clone());
    let app = Arc::into_inner(app()).unwrap().with_own(Some(own));
    (Arc::new(app), drain)
}

async fn ask(app: &App, request: http::request::Builder, body: &'static str) -> (StatusCode, String) {
    let request = request.header(http::header::HOST, "localhost");
    let response = app.answer(request.body(Body::from(body)).unwrap()).await;
    let status = response.status();
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

/// Waits until the state is loaded.
async fn loaded(app: &App) {
    while app.own.as_ref().unwrap().is_loading() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn routes_get_the_state_and_wait_for_it() {
    let go = Arc::new(Notify::new());
    let loading = go.clone();
    let worker =
        Worker::serving(|model: &'static str| Router::new().route("/", get(move || async move { model })))
            .state_with(move || async move {
                loading.notified().await;
                Ok::<_, std::io::Error>("tiny")
            });
    let (app, _) = app_of(&worker, 8, 0);
    let (status, body) = ask(&app, Request::get("/"), "").await;
    assert!(
        status == StatusCode::SERVICE_UNAVAILABLE && body.contains("WORKER_STARTING"),
        "{body}"
    );
    assert_eq!(
        ask(&app, Request::get("/ping"), "").await.0,
        StatusCode::NO_CONTENT
    );
    work(&app, worker).await;
    go.notify_one();
    loaded(&app).await;
    assert_eq!(
        ask(&app, Request::get("/"), "").await,
        (StatusCode::OK, "tiny".to_owned())
    );
    assert_eq!(ask(&app, Request::get("/ping"), "").await.0, StatusCode::OK);
    app.requests.close();
    assert_eq!(
        ask(&app, Request::get("/ping"), "").await.0,
        StatusCode::SERVICE_UNAVAILABLE
    );
    assert_eq!(
        ask(&app, Request::get("/"), "").await.0,
        StatusCode::SERVICE_UNAVAILABLE
    );
}

#[tokio::test]
async fn a_handler_keeps_its_two_routes_and_the_program_has_the_others() {
    let worker = Worker::new(|n: u32| async move { JobResult::Ok(n * 2) }).routes(|()| {
        Router::new()
            .route("/", get(async || "page"))
            .route("/runsync", get(async || "own"))
    });
    let (app, _) = app_of(&worker, 1, 0);
    work(&app, worker).await;
    loaded(&app).await;
    assert_eq!(ask(&app, Request::post("/"), "21").await.1, "42");
    assert_eq!(ask(&app, Request::get("/"), "").await.1, "page");
    assert_eq!(ask(&app, Request::get("/runsync"), "").await.1, "own");
    let (status, body) = ask(&app, Request::post("/runsync"), r#"{"input": 1}"#).await;
    assert!(
        status == StatusCode::OK && body.contains(r#""output": 2"#),
        "{body}"
    );
    assert_eq!(
        ask(&app, Request::get("/other"), "").await.0,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn requests_beyond_the_limit_wait_and_then_are_refused() {
    let go = Arc::new(Notify::new());
    let waiting = go.clone();
    let worker = Worker::serving(|()| {
        let wait = move || {
            let go = waiting.clone();
            async move { go.notified().await }
        };
        Router::new()
            .route("/wait", get(wait))
            .route("/size", post(async |body: Bytes| body.len().to_string()))
    });
    let (app, drain) = app_of(&worker, 1, 1);
    work(&app, worker).await;
    loaded(&app).await;
    let request = || {
        let app = app.clone();
        tokio::spawn(async move { ask(&app, Request::get("/wait"), "").await.0 })
    };
    let (first, second) = (request(), request());
    tokio::task::yield_now().await;
    let (status, body) = ask(&app, Request::get("/wait"), "").await;
    assert!(
        status == StatusCode::SERVICE_UNAVAILABLE && body.contains("WORKER_BUSY"),
        "{body}"
    );
    go.notify_one();
    assert_eq!(first.await.unwrap(), StatusCode::OK);
    go.notify_one();
    assert_eq!(second.await.unwrap(), StatusCode::OK);
    assert_eq!(ask(&app, Request::post("/size"), "0123456789").await.1, "10");
    assert_eq!(
        ask(&app, Request::post("/size"), "0123456789+").await.0,
        StatusCode::PAYLOAD_TOO_LARGE
    );
    drain.cancel();
}

#[tokio::test]
async fn a_panic_is_a_500_and_a_handler_learns_of_the_end() {
    let worker = Worker::serving(|()| {
        let broken = async || -> &'static str { panic!("a bug") };
        let wait = async |draining: Draining| {
            draining.started().await;
            "goodbye"
        };
        Router::new()
            .route("/broken", get(broken))
            .route("/wait", get(wait))
    });
    let (app, drain) = app_of(&worker, 8, 0);
    work(&app, worker).await;
    loaded(&app).await;
    let (status, body) = ask(&app, Request::get("/broken"), "").await;
    assert!(
        status == StatusCode::INTERNAL_SERVER_ERROR && body.contains("PANIC"),
        "{body}"
    );
    let waiting = app.clone();
    let waiting = tokio::spawn(async move { ask(&waiting, Request::get("/wait"), "").await.1 });
    drain.cancel();
    assert_eq!(waiting.await.unwrap(), "goodbye");
}

/// Takes over its connection, and reads until the client goes.
async fn take_over(mut request: Request<Body>) -> Response {
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let mut client = TokioIo::new(upgrade.await.unwrap());
        let _ = client.read_to_end(&mut Vec::new()).await;
    });
    let headers = [("connection", "upgrade"), ("upgrade", "test")];
    (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
}

#[tokio::test]
async fn a_request_that_takes_over_its_connection_keeps_its_place_until_the_client_goes() {
    let worker = Worker::serving(|()| {
        Router::new()
            .route("/take-over", get(take_over))
            .route("/free", get(async || "free"))
    });
    let (app, _) = app_of(&worker, 1, 0);
    work(&app, worker).await;
    loaded(&app).await;
    let (mut client, served) = tokio::io::duplex(1024);
    tokio::spawn(server::answer(served, app.clone(), CancellationToken::new()));
    let head = b"GET /take-over HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade\r\nUpgrade: test\r\n\r\n";
    client.write_all(head).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(client.read_u8().await.unwrap());
    }
    assert!(answer.starts_with(b"HTTP/1.1 101 "));
    assert_eq!(
        ask(&app, Request::get("/free"), "").await.0,
        StatusCode::SERVICE_UNAVAILABLE
    );
    drop(client);
    let freed = async {
        while ask(&app, Request::get("/free"), "").await.0 != StatusCode::OK {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), freed)
        .await
        .unwrap();
}
