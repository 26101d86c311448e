//! A WebUI that the worker did not start falls ill.

use mock_webui::{Fault, MockWebUi, Relief};

use super::{OVERRIDING, SMALL, WELL, format};
use crate::support::{Stage, soon, verdict};

#[tokio::test]
async fn one_that_can_not_be_restarted_is_left_to_another_worker() {
    let webui = MockWebUi::builder()
        .fault(Fault::out_of_memory(Relief::Restart))
        .start()
        .await;
    let mut stage = Stage::with(webui.url(), &[("SD_WORKER_WEBUI_PATIENCE", "0")]).await;
    assert_eq!(verdict(&stage.fail(SMALL).await)[0], "GPU_OUT_OF_MEMORY");
    let late = stage.submit(SMALL).await;
    assert_eq!(stage.worker.exit().await.code(), Some(0));
    stage.worker.says("the WebUI could not be mended").await;
    assert_eq!(soon(late.status()).await.unwrap().status.as_str(), "IN_QUEUE");
}

#[tokio::test]
async fn one_that_can_not_be_restarted_is_tried_again_until_its_owner_has_mended_it() {
    let webui = MockWebUi::builder()
        .fault(Fault::out_of_memory(Relief::Restart))
        .start()
        .await;
    let stage = Stage::new(webui.url()).await;
    assert_eq!(verdict(&stage.fail(SMALL).await)[0], "GPU_OUT_OF_MEMORY");
    let waiting = stage.submit(SMALL).await;
    stage
        .worker
        .says_again("rendering a small picture failed", 2)
        .await;
    assert_eq!(
        soon(waiting.status()).await.unwrap().status.as_str(),
        "IN_QUEUE",
        "no job is taken meanwhile"
    );
    soon(webui.restart()).await;
    stage.worker.says("taking jobs again").await;
    let report = soon(waiting.wait()).await.unwrap();
    assert_eq!(report.status.as_str(), "COMPLETED", "{:?}", report.error());
    assert!(!stage.worker.log().contains("could not be mended"));
}

#[tokio::test]
async fn one_that_can_not_be_reached_is_waited_for_and_no_job_is_taken_meanwhile() {
    let webui = MockWebUi::start().await;
    let stage = Stage::with(webui.url(), &[("SD_WORKER_RETRIES", "1")]).await;
    stage.complete(SMALL).await;
    webui.set_phase(mock_webui::Phase::Refusing).await;
    let error = stage.fail(SMALL).await;
    assert_eq!(verdict(&error), ["BACKEND_UNAVAILABLE", "backend", "retryable"]);
    stage
        .worker
        .says("the WebUI needs care: the WebUI accepts no connection")
        .await;
    stage.worker.says("mending the WebUI: waiting for it").await;
    let waiting = stage.submit(SMALL).await;
    assert_eq!(soon(waiting.status()).await.unwrap().status.as_str(), "IN_QUEUE");
    webui.set_phase(mock_webui::Phase::Ready).await;
    stage.worker.says("taking jobs again").await;
    let report = soon(waiting.wait()).await.unwrap();
    assert_eq!(report.status.as_str(), "COMPLETED", "{:?}", report.error());
    let log = stage.worker.log();
    let at = |words: &str| log.find(words).unwrap_or_else(|| panic!("no {words}:\n{log}"));
    assert!(at("mending the WebUI: waiting for it") < at("mending the WebUI: rendering a small picture"));
    assert!(at("mending the WebUI: rendering a small picture") < at(WELL));
}

#[tokio::test]
async fn what_is_overridden_does_not_stay_in_a_webui_that_its_owner_restarted() {
    let webui = MockWebUi::start().await;
    let stage = Stage::with(webui.url(), &[("SD_WORKER_RETRIES", "0")]).await;
    assert_eq!(format(&stage.complete(OVERRIDING).await), "/9j/");
    webui.set_phase(mock_webui::Phase::Refusing).await;
    assert_eq!(verdict(&stage.fail(SMALL).await)[0], "BACKEND_UNAVAILABLE");
    soon(webui.restart()).await;
    stage.worker.says("taking jobs again").await;
    assert_eq!(format(&stage.complete(OVERRIDING).await), "/9j/");
    assert_eq!(
        format(&stage.complete(SMALL).await),
        "iVBO",
        "the new one was guarded, too"
    );
}

#[tokio::test]
async fn one_that_its_owner_restarts_is_asked_to_over_its_api() {
    let webui = MockWebUi::builder()
        .stop_routes(true)
        .fault(Fault::out_of_memory(Relief::Restart))
        .start()
        .await;
    let stage = Stage::with(webui.url(), &[("SD_WORKER_WEBUI_RESTART_BY_API", "1")]).await;
    let died = webui.death();
    assert_eq!(verdict(&stage.fail(SMALL).await)[0], "GPU_OUT_OF_MEMORY");
    soon(died).await;
    webui.set_phase(mock_webui::Phase::Ready).await;
    stage.complete(SMALL).await;
}
