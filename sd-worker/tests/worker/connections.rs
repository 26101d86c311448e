//! Renders on servers that break kept connections.

use std::time::Duration;

use mock_webui::{Fault, MockWebUi};
use serde_json::json;

use crate::support::owned::started;
use crate::support::{OwnedWebUi, RawWebUi, Reply, Stage, aside, verdict};

const SMALL: &str = r#"{"prompt": "x", "steps": 4, "width": 64, "height": 64}"#;
/// Longer than the keep-alive limit below.
const LONG: &str = r#"{"prompt": "x", "steps": 30, "width": 64, "height": 64}"#;

/// uvicorn up to 0.27.0.post1 (`docs/protocol/webui-api.md` §1).
#[tokio::test]
async fn a_render_is_not_lost_to_the_keep_alive_timer_of_the_answer_before_it() {
    let webui = MockWebUi::builder()
        .keep_alive(Duration::from_millis(300))
        .fault(Fault::keep_alive_timer())
        .step_time(Duration::from_millis(20))
        .start()
        .await;
    let variables = [("SD_WORKER_WARM_UP", LONG), ("SD_WORKER_CHECKS", "warn")];
    let stage = Stage::with(webui.url(), &variables).await;
    for _ in 0..3 {
        stage.complete(LONG).await;
    }
    let input = json!({ "api": { "endpoint": "img2img" }, "payload": {
        "prompt": "x", "steps": 40, "width": 64, "height": 64, "init_images": [crate::support::png_64()],
    } });
    stage.complete(&input.to_string()).await;
    assert_eq!(webui.gpu().renders(), 5, "none is rendered twice");
}

#[tokio::test]
async fn mending_is_not_lost_to_a_connection_that_ends_with_an_exception() {
    // Forge closes the connection after an unexpected 500 without saying so (§12).
    let webui = OwnedWebUi::new("--profile forge");
    let stage = webui.stage(&[]).await;
    stage.complete(SMALL).await;
    webui
        .inject(json!({ "kind": "out-of-memory", "until": "unload" }))
        .await;
    assert_eq!(verdict(&stage.fail(SMALL).await)[0], "GPU_OUT_OF_MEMORY");
    stage.complete(SMALL).await;
    assert_eq!(started(&stage.worker).len(), 1, "no restart was needed");
    assert!(!stage.worker.log().contains("reloading the checkpoint failed"));
}

#[tokio::test]
async fn a_success_without_a_body_is_null_and_a_render_without_one_is_no_success() {
    let webui = RawWebUi::start(|request| {
        let reply = match request.start() {
            "POST /sdapi/v1/refresh-checkpoints" | "POST /sdapi/v1/txt2img" => {
                Reply::Answer(b"HTTP/1.1 204 X\r\n\r\n".to_vec())
            }
            "POST /sdapi/v1/refresh-vae" => Reply::json(200, ""),
            "POST /sdapi/v1/unload-checkpoint" => Reply::json(202, ""),
            "POST /sdapi/v1/reload-checkpoint" => Reply::json(201, "{}"),
            _ => return aside(&request),
        };
        Box::pin(async move { reply })
    })
    .await;
    let stage = Stage::new(&webui.url).await;
    for (endpoint, output) in [
        ("refresh-checkpoints", "null"),
        ("refresh-vae", "null"),
        ("unload-checkpoint", "null"),
        ("reload-checkpoint", "{}"),
    ] {
        let input = json!({ "api": { "method": "POST", "endpoint": endpoint }, "payload": {} });
        let output_text = String::from_utf8(stage.complete(&input.to_string()).await).unwrap();
        assert_eq!(output_text, output, "{endpoint}");
    }
    assert_eq!(verdict(&stage.fail(SMALL).await)[0], "BACKEND_BAD_ANSWER");
}

/// The log of the worker has its own requests, and a failed job shows the WebUI's alone.
#[tokio::test]
async fn an_error_of_a_webui_whose_log_is_not_at_hand_shows_no_lines_of_the_worker() {
    let webui = MockWebUi::builder()
        .fault(Fault::exception("RuntimeError", "boom"))
        .start()
        .await;
    let variables = [("RUNPOD_DEBUG_LEVEL", "DEBUG"), ("SD_WORKER_CHECKS", "warn")];
    let stage = Stage::with(webui.url(), &variables).await;
    let error = stage.fail(SMALL).await;
    assert_eq!(error["log_tail"], serde_json::Value::Null, "{error}");
}
