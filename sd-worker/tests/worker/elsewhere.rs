//! Somebody else uses the WebUI too: its web page, or another program. What they do to a render is not hidden.

use mock_webui::MockWebUi;
use serde_json::json;

use crate::support::{EXAMPLE, Stage, error_of, post, soon, verdict};

const INTERRUPT: &str = "/sdapi/v1/interrupt";
const SKIP: &str = "/sdapi/v1/skip";
const SMALL: &str = r#"{"prompt": "x", "steps": 4, "width": 64, "height": 64}"#;

/// What becomes of a job whose render is disturbed by a request to `route` after so many steps.
async fn disturbed(stage: &Stage, webui: &MockWebUi, input: &str, (steps, route): (u32, &str)) -> String {
    let job = stage.submit(input).await;
    soon(webui.gpu().rendering()).await;
    soon(webui.gpu().advance(steps)).await;
    post(webui, route).await;
    let report = soon(job.wait()).await.unwrap();
    assert_eq!(report.status.as_str(), "FAILED");
    let error = error_of(&report);
    assert_eq!(verdict(&error), ["INTERRUPTED_ELSEWHERE", "backend", "retryable"]);
    error["error_message"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_render_that_somebody_else_interrupts_has_no_result_and_the_next_one_is_whole() {
    let webui = MockWebUi::builder().manual_clock().start().await;
    let stage = Stage::new(webui.url()).await;
    let told = disturbed(&stage, &webui, EXAMPLE, (3, INTERRUPT)).await;
    assert!(
        told.starts_with("the pictures are not whole: it was interrupted by another client"),
        "{told}"
    );

    let next = stage.submit(EXAMPLE).await;
    soon(webui.gpu().rendering()).await;
    soon(webui.gpu().advance(25)).await;
    let report = soon(next.wait()).await.unwrap();
    assert_eq!(report.status.as_str(), "COMPLETED", "{:?}", report.error());
    assert!(!stage.worker.log().contains("needs care"), "the WebUI is not ill");
}

#[tokio::test]
async fn a_skipped_picture_is_no_result_either() {
    let webui = MockWebUi::builder().manual_clock().start().await;
    let stage = Stage::new(webui.url()).await;
    let batches = json!({ "prompt": "x", "steps": 10, "width": 64, "height": 64, "n_iter": 2 });
    let told = disturbed(&stage, &webui, &batches.to_string(), (15, SKIP)).await;
    assert!(told.contains("a picture was skipped by another client"), "{told}");
}

#[tokio::test]
async fn an_interrupt_between_two_jobs_does_no_harm() {
    let webui = MockWebUi::start().await;
    let stage = Stage::new(webui.url()).await;
    let rendered = stage.complete(SMALL).await;
    let rendered: serde_json::Value = serde_json::from_slice(&rendered).unwrap();
    let picture = &rendered["images"][0];
    for (endpoint, payload) in [
        ("txt2img", serde_json::from_str(SMALL).unwrap()),
        ("extra-single-image", json!({ "image": picture })),
        // These begin no job, so the flag of the one before stays up meanwhile.
        ("interrogate", json!({ "image": picture, "model": "clip" })),
        ("options", json!({ "CLIP_stop_at_last_layers": 1 })),
    ] {
        post(&webui, INTERRUPT).await;
        post(&webui, SKIP).await;
        let input = json!({ "api": { "endpoint": endpoint }, "payload": payload });
        stage.complete(&input.to_string()).await;
    }
}

#[tokio::test]
async fn a_render_that_the_worker_itself_interrupted_is_not_blamed_on_others() {
    let webui = MockWebUi::builder().manual_clock().start().await;
    let stage = Stage::with(webui.url(), &[("SD_WORKER_ATTEMPT_TIMEOUT", "300ms")]).await;
    let slow = stage.submit(EXAMPLE).await;
    soon(webui.gpu().begun(1)).await;
    let report = soon(slow.wait()).await.unwrap();
    assert_eq!(verdict(&error_of(&report))[0], "GENERATION_TIMEOUT");
}

#[tokio::test]
async fn only_renders_of_some_length_cost_a_look_at_their_end() {
    for (brief, looks) in [("brief_render=0s", 2), ("brief_render=1h", 1)] {
        let webui = MockWebUi::start().await;
        let stage = Stage::with(webui.url(), &[("TUNING", brief)]).await;
        stage.complete(SMALL).await;
        // One before the first render: what ran before the worker came?
        let seen = webui.stubs().received_requests().await.unwrap().into_iter();
        let seen = seen.filter(|request| request.url.path() == "/sdapi/v1/progress");
        assert_eq!(seen.count(), looks, "{brief}");
    }
}
