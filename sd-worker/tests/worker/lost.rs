//! A connection that breaks: what became of the render, and what can be saved.

use mock_webui::{Fault, MockWebUi};
use serde_json::Value;

use crate::support::{Stage, verdict};

const SMALL: &str = r#"{"prompt": "x", "steps": 4, "width": 64, "height": 64, "seed": 5}"#;
const SAVED: &str = r#"{"prompt": "x", "steps": 4, "width": 64, "height": 64, "seed": 5, "batch_size": 2, "save_images": true}"#;

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
async fn saved_pictures_are_the_answer_when_the_connection_breaks() {
    let whole = MockWebUi::start().await;
    let stage = Stage::new(whole.url()).await;
    let expected: Value = serde_json::from_slice(&stage.complete(SAVED).await).unwrap();

    for fault in [Fault::drop_mid_step(2), Fault::drop_after_generate()] {
        let directory = tempfile::tempdir().unwrap();
        let webui = MockWebUi::builder()
            .save_to(directory.path())
            .step_time(std::time::Duration::from_millis(50))
            .fault(fault)
            .start()
            .await;
        let path = directory.path().to_str().unwrap();
        let stage = Stage::with(webui.url(), &[("SD_WORKER_RECOVER_SAVED", path)]).await;
        let answer: Value = serde_json::from_slice(&stage.complete(SAVED).await).unwrap();
        assert_eq!(answer["images"], expected["images"], "the grid and both pictures");
        assert!(answer["warnings"][0].as_str().unwrap().contains("put together"));
        let info =
            |answer: &Value| -> Value { serde_json::from_str(answer["info"].as_str().unwrap()).unwrap() };
        let (info, expected) = (info(&answer), info(&expected));
        for key in [
            "all_seeds",
            "infotexts",
            "index_of_first_image",
            "seed",
            "prompt",
            "sampler_name",
            "steps",
        ] {
            assert_eq!(info[key], expected[key], "{key}");
        }
        assert_eq!(webui.gpu().renders(), 1);
    }
}

#[tokio::test]
async fn without_save_images_there_is_nothing_to_recover() {
    let directory = tempfile::tempdir().unwrap();
    let webui = MockWebUi::builder()
        .save_to(directory.path())
        .fault(Fault::drop_after_generate())
        .start()
        .await;
    let path = directory.path().to_str().unwrap();
    let stage = Stage::with(webui.url(), &[("SD_WORKER_RECOVER_SAVED", path)]).await;
    assert_eq!(verdict(&stage.fail(SMALL).await)[0], "BACKEND_LOST");
}

#[tokio::test]
async fn a_webui_that_was_restarted_by_somebody_else_gets_the_job_again() {
    let webui = MockWebUi::builder().manual_clock().start().await;
    let stage = Stage::new(webui.url()).await;
    let job = stage.submit(SMALL).await;
    crate::support::soon(webui.gpu().rendering()).await;
    webui.restart().await;
    crate::support::soon(webui.gpu().begun(2)).await;
    crate::support::soon(webui.gpu().advance(4)).await;
    let report = crate::support::soon(job.wait()).await.unwrap();
    assert_eq!(report.status.as_str(), "COMPLETED", "{:?}", report.error());
}
