//! What the worker sees of the WebUI's jobs in `/progress`, what it makes of it, and how it does without.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::support::{EXAMPLE, RawWebUi, Reply, Stage, aside, soon};

fn state(text: &str) -> Reply {
    Reply::json(200, format!(r#"{{"progress": 0.1, "state": {text}}}"#))
}

#[tokio::test]
async fn an_answer_waits_only_a_moment_for_a_webui_that_does_not_say_what_it_is_doing() {
    const ANSWER: &str = r#"{"images": ["aGk="], "info": "{}"}"#;
    let rendered = Arc::new(AtomicU32::new(0));
    let webui = RawWebUi::start(move |request| {
        let rendered = rendered.clone();
        match request.start() {
            "POST /sdapi/v1/txt2img" => {
                rendered.fetch_add(1, SeqCst);
                Box::pin(async { Reply::json(200, ANSWER) })
            }
            start if start.starts_with("GET /sdapi/v1/progress") => Box::pin(async move {
                if rendered.load(SeqCst) > 0 {
                    std::future::pending::<()>().await;
                }
                state(r#"{"job_count": 0, "job_timestamp": "0"}"#)
            }),
            _ => aside(&request),
        }
    })
    .await;
    let stage = Stage::new(&webui.url).await;
    let began = Instant::now();
    for _ in 0..4 {
        assert_eq!(stage.complete(EXAMPLE).await, ANSWER.as_bytes());
    }
    // To wait for each of them takes 8 s.
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    let told = stage
        .worker
        .log()
        .matches("does not say what it is doing")
        .count();
    assert_eq!(told, 1, "{}", stage.worker.log());
}

#[tokio::test]
async fn a_request_that_is_lost_after_a_cancelled_job_is_sent_again_if_it_never_began() {
    let sent = Arc::new(AtomicU32::new(0));
    let (begun, stopped) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let busy = Arc::new(AtomicU32::new(0));
    let server = (sent.clone(), begun.clone(), stopped, busy);
    let webui = RawWebUi::start(move |request| {
        let (sent, begun, stopped, busy) = server.clone();
        match request.start() {
            "POST /sdapi/v1/txt2img" => Box::pin(async move {
                match sent.fetch_add(1, SeqCst) {
                    0 => {
                        busy.store(1, SeqCst);
                        begun.notify_one();
                        stopped.notified().await;
                        busy.store(0, SeqCst);
                        Reply::json(200, "{}")
                    }
                    // Read by nobody: no job begins.
                    1 => Reply::Cut(Vec::new()),
                    _ => Reply::json(200, "{}"),
                }
            }),
            "POST /sdapi/v1/interrupt" => Box::pin(async move {
                stopped.notify_one();
                Reply::json(200, "{}")
            }),
            start if start.starts_with("GET /sdapi/v1/progress") => Box::pin(async move {
                let begun = if sent.load(SeqCst) == 0 {
                    "0"
                } else {
                    "20260101000000"
                };
                let busy = busy.load(SeqCst);
                state(&format!(r#"{{"job_count": {busy}, "job_timestamp": "{begun}"}}"#))
            }),
            _ => aside(&request),
        }
    })
    .await;
    let stage = Stage::new(&webui.url).await;
    let unwanted = stage.submit(EXAMPLE).await;
    soon(begun.notified()).await;
    soon(unwanted.cancel()).await.unwrap();
    stage.worker.says("the render has stopped").await;
    // The WebUI tells the times of its jobs in whole seconds: what is sent within one can't be told apart.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    stage.complete(EXAMPLE).await;
    assert_eq!(sent.load(SeqCst), 3);
}
