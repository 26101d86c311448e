//! A WebUI, or what stands before it, that fails.

use mock_webui::MockWebUi;
use wiremock::matchers::path;
use wiremock::{Mock, ResponseTemplate};

use crate::support::{EXAMPLE, RawWebUi, Reply, Stage, verdict};

const PICTURE: &str = r#"{"images":["iVBORw0KGgo="],"parameters":{},"info":"{}"}"#;

fn picture() -> Reply {
    Reply::json(200, PICTURE)
}

#[tokio::test]
async fn three_times_502_and_then_the_picture() {
    let webui = MockWebUi::start().await;
    Mock::given(path("/sdapi/v1/txt2img"))
        .respond_with(ResponseTemplate::new(502).set_body_raw("<title>Bad Gateway</title>", "text/html"))
        .up_to_n_times(3)
        .with_priority(1)
        .expect(3)
        .mount(webui.stubs())
        .await;
    let stage = Stage::new(webui.url()).await;
    stage.complete(EXAMPLE).await;
    assert_eq!(webui.gpu().renders(), 1);
    let line = stage.worker.says("trying again").await;
    assert!(
        line.contains("an HTML page titled") && line.contains("wait=100ms"),
        "{line}"
    );
}

#[tokio::test]
async fn after_a_504_nothing_is_sent_while_the_render_of_another_client_runs() {
    // Some forks give no times of jobs.
    for of_job in ["", r#", "job_timestamp": "20260101000000""#] {
        // The first two looks see a render, the third sees none.
        let looks = std::sync::atomic::AtomicU32::new(0);
        let turn = std::sync::atomic::AtomicU32::new(0);
        let webui = RawWebUi::start(move |request| {
            use std::sync::atomic::Ordering::SeqCst;
            let reply = match request.start() {
                "POST /sdapi/v1/txt2img" if turn.fetch_add(1, SeqCst) == 0 => Reply::json(504, ""),
                "POST /sdapi/v1/txt2img" => {
                    assert_eq!(looks.load(SeqCst), 3);
                    picture()
                }
                start if start.starts_with("GET /sdapi/v1/progress") => {
                    let busy = u32::from(looks.fetch_add(1, SeqCst) < 2);
                    Reply::json(
                        200,
                        format!(r#"{{"progress":0.5,"state":{{"job_count":{busy}{of_job}}}}}"#),
                    )
                }
                _ => return crate::support::aside(&request),
            };
            Box::pin(async move { reply })
        })
        .await;
        let stage = Stage::new(&webui.url).await;
        assert_eq!(stage.complete(EXAMPLE).await, PICTURE.as_bytes());
        assert_eq!(webui.renders().len(), 2);
        assert_eq!(
            webui.asked("GET /sdapi/v1/progress").len(),
            4,
            "three before it is sent again, one after it"
        );
    }
}

#[tokio::test]
async fn retries_end_and_the_last_answer_is_told() {
    let webui = RawWebUi::in_turn([(|| Reply::json(503, "")) as fn() -> Reply]).await;
    let variables = [("SD_WORKER_RETRIES", "2"), ("TUNING", "retry_wait=3ms")];
    let stage = Stage::with(&webui.url, &variables).await;
    let error = stage.fail(EXAMPLE).await;
    assert_eq!(verdict(&error), ["BACKEND_UNAVAILABLE", "backend", "retryable"]);
    assert_eq!(error["details"]["status"], 503);
    assert_eq!(webui.renders().len(), 3);
    for wait in ["wait=3ms", "wait=6ms"] {
        stage.worker.says(wait).await;
    }
}

#[tokio::test]
async fn no_attempt_begins_that_the_deadline_would_cut() {
    let webui = RawWebUi::in_turn([(|| Reply::json(503, "")) as fn() -> Reply]).await;
    let stage = Stage::with(&webui.url, &[("RUNPOD_WORKER_TIMEOUT", "1s")]).await;
    let error = stage.fail(EXAMPLE).await;
    // 0.1 + 0.2 + 0.4 s have been waited; the next 0.8 s would not fit.
    assert_eq!(verdict(&error), ["BACKEND_UNAVAILABLE", "backend", "retryable"]);
    assert_eq!(webui.renders().len(), 4);
}

#[tokio::test]
async fn a_connection_lost_in_mid_render_is_told_and_not_resent() {
    let webui = RawWebUi::in_turn([(|| Reply::Cut(Vec::new())) as fn() -> Reply, picture]).await;
    let stage = Stage::new(&webui.url).await;
    let error = stage.fail(EXAMPLE).await;
    assert_eq!(verdict(&error), ["BACKEND_LOST", "backend", "retryable"]);
    assert_eq!(webui.renders().len(), 1);
    // Back again, it is as good as new.
    assert_eq!(stage.complete(EXAMPLE).await, PICTURE.as_bytes());
}

#[tokio::test]
async fn a_body_that_breaks_off_is_not_a_result() {
    let half = || {
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            PICTURE.len()
        );
        Reply::Cut([head.as_bytes(), &PICTURE.as_bytes()[..20]].concat())
    };
    let webui = RawWebUi::in_turn([half as fn() -> Reply]).await;
    let stage = Stage::new(&webui.url).await;
    let error = stage.fail(EXAMPLE).await;
    assert_eq!(verdict(&error), ["BACKEND_LOST", "backend", "retryable"]);
}

#[tokio::test]
async fn what_is_not_json_is_not_a_result() {
    let webui = RawWebUi::in_turn([
        (|| Reply::json(200, &PICTURE[..20])) as fn() -> Reply,
        || Reply::typed(200, "text/html", "<html><title>Starting</title></html>"),
        || Reply::json(200, b"{\"images\":[\"\xff\"]}"),
        || Reply::json(200, ""),
        || Reply::json(200, "NaN"),
        || Reply::json(200, "{} {}"),
    ])
    .await;
    let stage = Stage::new(&webui.url).await;
    let mut messages = Vec::new();
    for _ in 0..6 {
        let error = stage.fail(EXAMPLE).await;
        assert_eq!(verdict(&error), ["BACKEND_BAD_ANSWER", "backend", "retryable"]);
        messages.push(error["error_message"].as_str().unwrap().to_owned());
    }
    insta::assert_snapshot!(messages.join("\n"));
}

#[tokio::test]
async fn errors_in_other_shapes_are_understood() {
    let webui = RawWebUi::in_turn([
        (|| Reply::typed(500, "text/plain", "Internal Server Error")) as fn() -> Reply,
        || Reply::json(500, r#""missing 1 required argument""#),
        || Reply::json(404, r#"{"detail":"Not Found"}"#),
        || Reply::json(404, r#"{"detail":"Init image not found"}"#),
        || Reply::typed(307, "text/plain", ""),
        || Reply::json(500, r#"{"error":"RuntimeError","detail":"","body":"","errors":"CUDA error: device-side assert triggered","code":500}"#),
        || Reply::json(429, r#"{"detail":"Too many"}"#),
        || Reply::json(500, ""),
    ])
    .await;
    let stage = Stage::new(&webui.url).await;
    let mut verdicts = Vec::new();
    for _ in 0..8 {
        let error = stage.fail(EXAMPLE).await;
        verdicts.push(format!(
            "{} | {}",
            verdict(&error).join(" "),
            error["error_message"].as_str().unwrap()
        ));
    }
    insta::assert_snapshot!(verdicts.join("\n"));
    assert_eq!(webui.renders().len(), 8, "none of these is repeated");
}

#[tokio::test]
async fn a_connection_that_was_closed_between_two_jobs_is_no_failure() {
    // The close must have come before the next job does; a request that crosses it is lost.
    let last_on_its_connection = || match picture() {
        Reply::Answer(answer) | Reply::Cut(answer) => Reply::Cut(answer),
    };
    let webui = RawWebUi::in_turn([last_on_its_connection as fn() -> Reply]).await;
    let stage = Stage::new(&webui.url).await;
    for closed in 1..=5 {
        assert_eq!(stage.complete(EXAMPLE).await, PICTURE.as_bytes());
        webui.closed(closed).await;
    }
}

#[tokio::test]
async fn a_connection_that_can_not_be_opened_is_tried_again() {
    let webui = MockWebUi::start().await;
    let address = webui.address();
    let stage = Stage::new(webui.url()).await;
    stage.worker.says("the WebUI is ready").await;
    drop(webui);
    let job = stage.submit(EXAMPLE).await;
    stage.worker.says("trying again").await;
    let _webui = MockWebUi::builder().listen(address).start().await;
    let report = crate::support::soon(job.wait()).await.unwrap();
    assert_eq!(report.status.as_str(), "COMPLETED", "{:?}", report.error());
}
