//! A connection that breaks, and what became of the render.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mock_webui::{Fault, MockWebUi};
use serde_json::json;
use tokio::sync::Notify;

use crate::support::{RawWebUi, Reply, Stage, aside, error_of, soon, told, verdict};

const SMALL: &str = r#"{"prompt": "x", "steps": 4, "width": 64, "height": 64, "seed": 5}"#;

#[tokio::test]
async fn a_render_that_was_lost_on_its_way_back_is_not_rendered_twice() {
    for fault in [Fault::drop_after_generate(), Fault::cut_body()] {
        let webui = MockWebUi::builder().fault(fault).start().await;
        let stage = Stage::new(webui.url()).await;
        assert_eq!(
            verdict(&stage.fail(SMALL).await),
            ["BACKEND_LOST", "backend", "retryable"]
        );
        assert_eq!(webui.gpu().renders(), 1);
        stage.complete(SMALL).await;
    }
}

#[tokio::test]
async fn an_answer_that_stands_still_is_lost_and_not_rendered_again() {
    let webui = MockWebUi::builder().fault(Fault::stall_body()).start().await;
    let stage = Stage::with(webui.url(), &[("TUNING", "answer_idle=1s")]).await;
    let error = stage.fail(SMALL).await;
    assert_eq!(verdict(&error), ["BACKEND_LOST", "backend", "retryable"]);
    let message = error["error_message"].as_str().unwrap();
    assert!(message.ends_with("nothing more of it came for 1s"), "{message}");
    assert_eq!(webui.gpu().renders(), 1);
    stage.complete(SMALL).await;
}

#[tokio::test]
async fn an_answer_that_keeps_coming_may_take_longer_than_it_may_stand_still() {
    let drip = Fault::slow_drip(50, Duration::from_millis(50));
    let webui = MockWebUi::builder().fault(drip).start().await;
    let stage = Stage::with(webui.url(), &[("TUNING", "answer_idle=1s")]).await;
    let answer = stage.complete(SMALL).await;
    let shortest = Duration::from_millis(50) * u32::try_from(answer.len() / 50).unwrap();
    assert!(shortest > Duration::from_secs(1), "{shortest:?}");
}

#[tokio::test]
async fn a_render_that_nobody_can_get_is_interrupted_before_the_next_job() {
    let webui = MockWebUi::builder()
        .manual_clock()
        .fault(Fault::drop_mid_step(2))
        .start()
        .await;
    let stage = Stage::new(webui.url()).await;
    let lost = stage.submit(SMALL).await;
    soon(webui.gpu().advance(2)).await;
    let report = soon(lost.wait()).await.unwrap();
    assert_eq!(
        verdict(&error_of(&report)),
        ["BACKEND_LOST", "backend", "retryable"]
    );
    assert_eq!(webui.gpu().steps_done(), 2, "its end was not waited for");

    let next = stage.submit(SMALL).await;
    soon(webui.gpu().begun(2)).await;
    assert_eq!(webui.gpu().steps_done(), 2, "it made no other step");
    soon(webui.gpu().advance(4)).await;
    let report = soon(next.wait()).await.unwrap();
    assert_eq!(report.status.as_str(), "COMPLETED", "{:?}", report.error());
}

#[tokio::test]
async fn a_render_that_ran_when_somebody_else_restarted_its_webui_is_not_rendered_again() {
    let webui = MockWebUi::builder().manual_clock().start().await;
    let stage = Stage::new(webui.url()).await;
    let job = stage.submit(SMALL).await;
    told(&job, |update| update["percent"].is_number()).await;
    webui.restart().await;
    let report = soon(job.wait()).await.unwrap();
    assert_eq!(
        verdict(&error_of(&report)),
        ["BACKEND_LOST", "backend", "retryable"]
    );
    assert_eq!(webui.gpu().renders(), 1);

    let next = stage.submit(SMALL).await;
    soon(webui.gpu().begun(2)).await;
    soon(webui.gpu().advance(4)).await;
    let report = soon(next.wait()).await.unwrap();
    assert_eq!(report.status.as_str(), "COMPLETED", "{:?}", report.error());
    assert_eq!(webui.gpu().renders(), 2);
}

const PICTURE: &str = r#"{"images":["iVBORw0KGgo="],"parameters":{},"info":"{}"}"#;
const EARLIER: &str = "20260101000000";

/// What an idle WebUI says whose last job began `at`.
fn idle(at: &str, interrupted: bool) -> Reply {
    let state = json!({ "job_count": 0, "job_timestamp": at, "interrupted": interrupted });
    Reply::json(200, json!({ "progress": 0.0, "state": state }).to_string())
}

/// A WebUI, or what stands before it, that says `words` to so many renders and hangs up. The time of its last job is
/// `before` until the first of them has come, and then `after`.
async fn hanging_up(
    (times, words): (usize, &'static str),
    before: &'static str,
    after: &'static str,
) -> RawWebUi {
    let came = AtomicUsize::new(0);
    RawWebUi::start(move |request| {
        let reply = match request.start() {
            "POST /sdapi/v1/txt2img" if came.fetch_add(1, Ordering::SeqCst) < times => {
                Reply::Cut(words.into())
            }
            "POST /sdapi/v1/txt2img" => Reply::json(200, PICTURE),
            start if start.starts_with("GET /sdapi/v1/progress") => match came.load(Ordering::SeqCst) {
                0 => idle(before, false),
                _ => idle(after, false),
            },
            _ => return aside(&request),
        };
        Box::pin(async move { reply })
    })
    .await
}

#[tokio::test]
async fn a_request_whose_render_never_began_is_sent_again() {
    let webui = hanging_up((1, ""), "0", "0").await;
    let stage = Stage::new(&webui.url).await;
    assert_eq!(stage.complete(SMALL).await, PICTURE.as_bytes());
    assert_eq!(webui.renders().len(), 2);
}

#[tokio::test]
async fn a_webui_that_was_restarted_before_anything_was_seen_of_a_render_gets_it_once_more() {
    let webui = hanging_up((1, ""), EARLIER, "0").await;
    let stage = Stage::new(&webui.url).await;
    assert_eq!(stage.complete(SMALL).await, PICTURE.as_bytes());
    assert_eq!(webui.renders().len(), 2);

    let webui = hanging_up((usize::MAX, ""), EARLIER, "0").await;
    let stage = Stage::new(&webui.url).await;
    assert_eq!(verdict(&stage.fail(SMALL).await)[0], "BACKEND_LOST");
    assert_eq!(webui.renders().len(), 2);
}

#[tokio::test]
async fn an_answer_that_had_begun_is_not_asked_for_again_whatever_became_of_its_webui() {
    let half = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 60\r\n\r\n{\"images\":[";
    for after in [EARLIER, "0"] {
        let webui = hanging_up((usize::MAX, half), EARLIER, after).await;
        let stage = Stage::new(&webui.url).await;
        assert_eq!(verdict(&stage.fail(SMALL).await)[0], "BACKEND_LOST");
        assert_eq!(webui.renders().len(), 1);
    }
}

#[tokio::test]
async fn an_interrupt_that_comes_after_the_end_of_a_render_spoils_nothing() {
    for interrupted in [false, true] {
        // It answers when the interrupt has come: just in time, or because of it.
        let stopped = Arc::new(Notify::new());
        let webui = RawWebUi::start(move |request| {
            let stopped = stopped.clone();
            match request.start() {
                "POST /sdapi/v1/txt2img" => Box::pin(async move {
                    stopped.notified().await;
                    Reply::json(200, PICTURE)
                }),
                start if start.starts_with("GET /sdapi/v1/progress") => {
                    Box::pin(async move { idle(EARLIER, interrupted) })
                }
                "POST /sdapi/v1/interrupt" => {
                    stopped.notify_one();
                    aside(&request)
                }
                _ => aside(&request),
            }
        })
        .await;
        let stage = Stage::with(&webui.url, &[("SD_WORKER_ATTEMPT_TIMEOUT", "300ms")]).await;
        if interrupted {
            assert_eq!(verdict(&stage.fail(SMALL).await)[0], "GENERATION_TIMEOUT");
        } else {
            assert_eq!(stage.complete(SMALL).await, PICTURE.as_bytes());
        }
        assert_eq!(webui.renders().len(), 1);
        assert!(!webui.asked("POST /sdapi/v1/interrupt").is_empty());
    }
}

#[tokio::test]
async fn a_render_that_a_proxy_gives_up_is_interrupted_before_the_next_job() {
    for was_seen in [false, true] {
        let busy = Arc::new(AtomicUsize::new(0));
        let (seen, came) = (Arc::new(Notify::new()), Arc::new(AtomicUsize::new(0)));
        let webui = RawWebUi::start(move |request| {
            let (busy, seen, came) = (busy.clone(), seen.clone(), came.clone());
            match request.start() {
                "POST /sdapi/v1/txt2img" => Box::pin(async move {
                    if came.fetch_add(1, Ordering::SeqCst) > 0 {
                        return Reply::json(200, json!({ "busy": busy.load(Ordering::SeqCst) }).to_string());
                    }
                    busy.store(1, Ordering::SeqCst);
                    if was_seen {
                        seen.notified().await;
                    }
                    Reply::typed(504, "text/html", "<title>504 Gateway Time-out</title>")
                }),
                "POST /sdapi/v1/interrupt" => {
                    busy.store(0, Ordering::SeqCst);
                    aside(&request)
                }
                start if start.starts_with("GET /sdapi/v1/progress") => {
                    let busy = busy.load(Ordering::SeqCst);
                    let began = if came.load(Ordering::SeqCst) == 0 {
                        "0"
                    } else {
                        EARLIER
                    };
                    if busy == 1 {
                        seen.notify_one();
                    }
                    let state = json!({ "job_count": busy, "job_timestamp": began });
                    Box::pin(async move {
                        Reply::json(200, json!({ "progress": 0.1, "state": state }).to_string())
                    })
                }
                _ => aside(&request),
            }
        })
        .await;
        let stage = Stage::new(&webui.url).await;
        let error = stage.fail(SMALL).await;
        assert_eq!(verdict(&error), ["BACKEND_LOST", "backend", "retryable"]);
        let message = error["error_message"].as_str().unwrap();
        assert!(message.contains("504"), "{message}");
        assert_eq!(webui.renders().len(), 1, "it is not rendered twice");
        assert_eq!(stage.complete(SMALL).await, br#"{"busy":0}"#, "seen: {was_seen}");
        assert!(!webui.asked("POST /sdapi/v1/interrupt").is_empty());
    }
}

#[tokio::test]
async fn a_render_that_was_done_behind_a_proxy_that_gave_it_up_is_not_rendered_twice() {
    let came = Arc::new(AtomicUsize::new(0));
    let webui = RawWebUi::start(move |request| {
        let reply = match request.start() {
            "POST /sdapi/v1/txt2img" => {
                came.fetch_add(1, Ordering::SeqCst);
                Reply::json(504, "")
            }
            start if start.starts_with("GET /sdapi/v1/progress") => match came.load(Ordering::SeqCst) {
                0 => idle("0", false),
                _ => idle(EARLIER, false),
            },
            _ => return aside(&request),
        };
        Box::pin(async move { reply })
    })
    .await;
    let stage = Stage::new(&webui.url).await;
    assert_eq!(verdict(&stage.fail(SMALL).await)[0], "BACKEND_LOST");
    assert_eq!(webui.renders().len(), 1);
}
