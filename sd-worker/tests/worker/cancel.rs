//! A cancelled job gives the GPU back before the next one is taken.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use mock_webui::MockWebUi;
use serde_json::Value;
use tokio::sync::Notify;

use crate::support::{EXAMPLE, RawWebUi, Reply, Stage, aside, error_of, soon, verdict};

#[tokio::test]
async fn a_cancelled_job_frees_the_gpu_and_the_next_one_is_whole() {
    let webui = MockWebUi::builder().manual_clock().start().await;
    let stage = Stage::new(webui.url()).await;
    let unwanted = stage.submit(EXAMPLE).await;
    soon(webui.gpu().rendering()).await;
    soon(webui.gpu().advance(3)).await;
    let next = stage.submit(EXAMPLE).await;

    soon(unwanted.cancel()).await.unwrap();
    // The second render begins only after the first has stopped short.
    soon(async {
        while webui.gpu().renders() < 2 {
            webui.gpu().idle().await;
            webui.gpu().rendering().await;
        }
    })
    .await;
    assert_eq!(webui.gpu().steps_done(), 3);
    assert!(webui.gpu().interrupts() >= 1);
    soon(webui.gpu().advance(25)).await;
    let report = soon(next.wait()).await.unwrap();
    assert_eq!(report.status.as_str(), "COMPLETED", "{:?}", report.error());
    assert_eq!(
        webui.gpu().steps_done(),
        28,
        "the next render was not interrupted"
    );
    assert_eq!(
        soon(unwanted.status()).await.unwrap().status.as_str(),
        "CANCELLED"
    );
    assert_eq!(stage.platform.violations().len(), 0);
}

#[tokio::test]
async fn cancelling_a_waiting_job_leaves_the_render_of_another_alone() {
    let webui = MockWebUi::builder().manual_clock().start().await;
    let stage = Stage::with(webui.url(), &[("RUNPOD_WORKER_CONCURRENCY", "2")]).await;
    let first = stage.submit(EXAMPLE).await;
    soon(webui.gpu().rendering()).await;
    let waiting = stage.submit(EXAMPLE).await;
    stage
        .worker
        .says(&format!("\"{}\", \"message\": \"Started.\"", waiting.id()))
        .await;

    soon(waiting.cancel()).await.unwrap();
    stage.worker.says("Job stopped.").await;
    assert_eq!(webui.gpu().interrupts(), 0);
    soon(webui.gpu().advance(25)).await;
    let report = soon(first.wait()).await.unwrap();
    assert_eq!(report.status.as_str(), "COMPLETED", "{:?}", report.error());
    assert_eq!(webui.gpu().renders(), 1);
}

#[tokio::test]
async fn an_interrupt_that_was_lost_is_sent_again() {
    // The first interrupt comes just before the render begins and is cleared by it.
    let (begun, interrupts, stopped) = (
        Arc::new(Notify::new()),
        Arc::new(AtomicU32::new(0)),
        Arc::new(Notify::new()),
    );
    let server = (begun.clone(), interrupts.clone(), stopped.clone());
    let webui = RawWebUi::start(move |request| {
        let (begun, interrupts, stopped) = server.clone();
        match request.start() {
            "POST /sdapi/v1/txt2img" => Box::pin(async move {
                begun.notify_one();
                stopped.notified().await;
                Reply::json(200, "{}")
            }),
            "POST /sdapi/v1/interrupt" => {
                if interrupts.fetch_add(1, SeqCst) == 1 {
                    stopped.notify_one();
                }
                Box::pin(async { Reply::json(200, "{}") })
            }
            start if start.starts_with("GET /sdapi/v1/progress") => Box::pin(async {
                Reply::json(
                    200,
                    r#"{"progress":0.1,"state":{"interrupted":false,"job_count":1}}"#,
                )
            }),
            _ => aside(&request),
        }
    })
    .await;
    let stage = Stage::new(&webui.url).await;
    let job = stage.submit(EXAMPLE).await;
    soon(begun.notified()).await;
    soon(job.cancel()).await.unwrap();
    let line = stage.worker.says("the render has stopped").await;
    assert!(line.contains("interrupts=2"), "{line}");
}

#[tokio::test]
async fn a_job_is_cancelled_while_the_webui_is_slow_to_list_what_it_has() {
    let asked = Arc::new(Notify::new());
    let server = (asked.clone(), Arc::new(AtomicU32::new(0)));
    let webui = RawWebUi::start(move |request| {
        let (asked, times) = server.clone();
        match request.start() {
            // At the start, to learn whether names have to be split.
            "GET /sdapi/v1/samplers" if times.fetch_add(1, SeqCst) == 0 => {
                Box::pin(async { Reply::json(200, "[]") })
            }
            "GET /sdapi/v1/samplers" => Box::pin(async move {
                asked.notify_one();
                std::future::pending::<Reply>().await
            }),
            _ => aside(&request),
        }
    })
    .await;
    let stage = Stage::with(&webui.url, &[("SD_WORKER_CHECKS", "warn")]).await;
    let job = stage.submit(EXAMPLE).await;
    soon(asked.notified()).await;
    soon(job.cancel()).await.unwrap();
    // The list has 10 s to come.
    let stopped = tokio::time::timeout(Duration::from_secs(5), stage.worker.says("Job stopped."));
    stopped.await.expect("it waits for the list");
    assert_eq!(webui.renders().len(), 0);
}

#[tokio::test]
async fn a_job_past_its_deadline_frees_the_gpu_and_is_told_so() {
    let webui = MockWebUi::builder().manual_clock().start().await;
    let stage = Stage::with(webui.url(), &[("RUNPOD_WORKER_TIMEOUT", "500ms")]).await;
    let report = stage.run(EXAMPLE).await;
    assert_eq!(report.status.as_str(), "FAILED");
    assert_eq!(verdict(&error_of(&report)), ["TIMEOUT", "user", "final"]);
    soon(webui.gpu().idle()).await;
    assert_eq!(webui.gpu().steps_done(), 0);
}

#[tokio::test]
async fn a_render_left_behind_is_stopped_before_the_next_begins() {
    // The connection breaks, but the WebUI renders on until it is interrupted.
    let turn = AtomicU32::new(0);
    let busy = Arc::new(AtomicU32::new(0));
    let webui = RawWebUi::start(move |request| {
        let reply = match request.start() {
            "POST /sdapi/v1/txt2img" if turn.fetch_add(1, SeqCst) == 0 => {
                busy.store(1, SeqCst);
                Reply::Cut(Vec::new())
            }
            "POST /sdapi/v1/txt2img" => Reply::json(200, format!(r#"{{"busy":{}}}"#, busy.load(SeqCst))),
            "POST /sdapi/v1/interrupt" => {
                busy.store(0, SeqCst);
                Reply::json(200, "{}")
            }
            start if start.starts_with("GET /sdapi/v1/progress") => Reply::json(
                200,
                format!(
                    r#"{{"progress":0.1,"state":{{"job_count":{}}}}}"#,
                    busy.load(SeqCst)
                ),
            ),
            _ => return aside(&request),
        };
        Box::pin(async move { reply })
    })
    .await;
    let stage = Stage::new(&webui.url).await;
    assert_eq!(
        verdict(&stage.fail(EXAMPLE).await),
        ["BACKEND_LOST", "backend", "retryable"]
    );
    assert_eq!(stage.complete(EXAMPLE).await, br#"{"busy":0}"#);
    stage.worker.says("an abandoned render has stopped").await;
}

/// The render of another client: ten steps, and its answer.
fn by_another_client(webui: &MockWebUi) -> tokio::task::JoinHandle<Value> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let request = reqwest::Client::new()
        .post(format!("{}/sdapi/v1/txt2img", webui.url()))
        .body(r#"{"prompt": "theirs", "steps": 10, "width": 64, "height": 64}"#);
    tokio::spawn(async move {
        let answer = request.send().await.unwrap().bytes().await.unwrap();
        serde_json::from_slice(&answer).unwrap()
    })
}

#[tokio::test]
async fn a_job_that_waits_behind_another_client_s_render_is_cancelled_without_a_harm_to_that() {
    let webui = MockWebUi::builder().manual_clock().start().await;
    let stage = Stage::new(webui.url()).await;
    let theirs = by_another_client(&webui);
    soon(webui.gpu().rendering()).await;
    soon(webui.gpu().advance(3)).await;
    let unwanted = stage.submit(EXAMPLE).await;
    soon(webui.gpu().queued(2)).await;

    soon(unwanted.cancel()).await.unwrap();
    stage.worker.says("waits behind another client's render").await;
    stage.worker.says("Job stopped.").await;
    assert_eq!(webui.gpu().interrupts(), 0);
    soon(webui.gpu().advance(7)).await;
    let theirs = soon(theirs).await.unwrap();
    assert_eq!(theirs["images"].as_array().unwrap().len(), 1);
    assert_eq!(webui.gpu().steps_done(), 10, "theirs is whole");

    // The request cannot be taken back, so its render begins, and ends at once.
    let line = stage.worker.says("the render has stopped").await;
    assert!(line.contains("interrupts="), "{line}");
    assert_eq!(webui.gpu().steps_done(), 10);
    let next = stage.submit(EXAMPLE).await;
    soon(webui.gpu().begun(3)).await;
    soon(webui.gpu().advance(25)).await;
    let report = soon(next.wait()).await.unwrap();
    assert_eq!(report.status.as_str(), "COMPLETED", "{:?}", report.error());
    assert_eq!(webui.gpu().steps_done(), 35);
}

#[tokio::test]
async fn a_job_of_which_the_time_is_up_behind_another_client_s_render_leaves_that_alone() {
    let webui = MockWebUi::builder().manual_clock().start().await;
    let variables = [
        ("SD_WORKER_ATTEMPT_TIMEOUT", "300ms"),
        ("SD_WORKER_STALL_AFTER", "1s"),
    ];
    let stage = Stage::with(webui.url(), &variables).await;
    let theirs = by_another_client(&webui);
    soon(webui.gpu().rendering()).await;
    // Two jobs that begin in the same second are told apart by their steps.
    soon(webui.gpu().advance(3)).await;
    let error = stage.fail(EXAMPLE).await;
    assert_eq!(verdict(&error), ["BACKEND_UNAVAILABLE", "backend", "retryable"]);
    let message = error["error_message"].as_str().unwrap();
    assert!(message.contains("another client's render"), "{message}");
    assert_eq!(webui.gpu().interrupts(), 0);
    soon(webui.gpu().advance(7)).await;
    soon(theirs).await.unwrap();
    stage.worker.says("the render has stopped").await;
    assert_eq!(webui.gpu().steps_done(), 10);
}

#[tokio::test]
async fn another_client_s_render_that_stands_still_is_no_stall_of_a_job_behind_it() {
    let webui = MockWebUi::builder().manual_clock().start().await;
    let variables = [
        ("SD_WORKER_STALL_AFTER", "200ms"),
        ("SD_WORKER_PROGRESS_INTERVAL", "50ms"),
    ];
    let stage = Stage::with(webui.url(), &variables).await;
    let theirs = by_another_client(&webui);
    soon(webui.gpu().rendering()).await;
    soon(webui.gpu().advance(1)).await;
    let job = stage.submit(EXAMPLE).await;
    soon(webui.gpu().queued(2)).await;
    // Long enough for a stall of its own.
    let seen = webui.stubs().received_requests().await.unwrap().len();
    soon(async {
        while webui.stubs().received_requests().await.unwrap().len() < seen + 20 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    assert_eq!(webui.gpu().interrupts(), 0);
    soon(webui.gpu().advance(9)).await;
    soon(theirs).await.unwrap();
    soon(webui.gpu().begun(2)).await;
    soon(webui.gpu().advance(25)).await;
    let report = soon(job.wait()).await.unwrap();
    assert_eq!(report.status.as_str(), "COMPLETED", "{:?}", report.error());
}
