//! Waiting for the WebUI at the start (`docs/protocol/request-flow.md`, step 3).

use mock_webui::{Fault, MockWebUi, Phase};
use wiremock::matchers::path;
use wiremock::{Mock, ResponseTemplate};

use crate::support::{EXAMPLE, Stage, soon};

#[tokio::test]
async fn a_ready_timeout_of_0_waits_for_ever() {
    let webui = MockWebUi::start().await;
    Mock::given(path("/sdapi/v1/sd-models"))
        .respond_with(ResponseTemplate::new(503))
        .up_to_n_times(100)
        .expect(100)
        .with_priority(1)
        .mount(webui.stubs())
        .await;
    let variables = [("SD_WORKER_READY_TIMEOUT", "0"), ("TUNING", "probe_interval=5ms")];
    let stage = Stage::with(webui.url(), &variables).await;
    stage.complete(EXAMPLE).await;
    // All hundred that failed have been counted.
    webui.stubs().verify().await;
    stage.worker.says("probes=90").await;
}

/// `docs/protocol/webui-api.md` §1: in the mode with a web page the API's routes come a little later than the port.
#[tokio::test]
async fn a_webui_that_first_answers_404_is_waited_for() {
    let webui = MockWebUi::builder()
        .web_page(true)
        .phase(Phase::PageOnly)
        .start()
        .await;
    let variables = [("TUNING", "probe_interval=5ms")];
    let stage = Stage::with(webui.url(), &variables).await;
    let job = stage.submit(EXAMPLE).await;

    let line = stage.worker.says("the WebUI is not ready").await;
    assert!(line.contains("probes=15") && line.contains("404"), "{line}");
    assert!(line.contains("Start the WebUI with --api"), "{line}");
    assert_eq!(soon(job.status()).await.unwrap().status.as_str(), "IN_QUEUE");

    webui.set_phase(Phase::Ready).await;
    let report = soon(job.wait()).await.unwrap();
    assert_eq!(report.status.as_str(), "COMPLETED", "{:?}", report.error());
}

#[tokio::test]
async fn an_image_without_certificates_is_told_which_package_it_lacks() {
    let webui = MockWebUi::start().await;
    let directory = tempfile::tempdir().unwrap();
    let bundle = directory.path().join("ca-certificates.crt");
    std::fs::write(&bundle, "").unwrap();
    let variables = [
        ("SSL_CERT_FILE", bundle.to_str().unwrap()),
        (
            "RUNPOD_WEBHOOK_GET_JOB",
            "https://127.0.0.1:9/v2/sd/job-take/$RUNPOD_POD_ID",
        ),
    ];
    let mut stage = Stage::with(webui.url(), &variables).await;
    assert_eq!(stage.worker.exit().await.code(), Some(1));
    let line = stage.worker.says("no HTTPS client").await;
    assert!(line.contains("install the package ca-certificates"), "{line}");
}

/// Where nothing speaks TLS nothing needs them.
#[tokio::test]
async fn without_certificates_everything_on_loopback_works() {
    let webui = MockWebUi::start().await;
    let stage = Stage::with(webui.url(), &[("SSL_CERT_FILE", "/no/such/bundle")]).await;
    stage.complete(EXAMPLE).await;
}

const MODELS: &str = "/sdapi/v1/sd-models";
const OPTIONS: &str = "/sdapi/v1/options";
const SOON: (&str, &str) = ("TUNING", "probe_interval=5ms,other_sign_after=100ms");

#[tokio::test]
async fn a_webui_that_never_lists_its_checkpoints_is_ready_when_it_renders() {
    let webui = MockWebUi::builder()
        .fault(Fault::exception("KeyError", "'x'").on(MODELS).sticky())
        .start()
        .await;
    let stage = Stage::with(webui.url(), &[SOON]).await;
    let line = stage.worker.says("so it counts as ready").await;
    assert!(line.contains("WARN") && line.contains("500"), "{line}");
    assert_eq!(webui.gpu().renders(), 1);
    stage.complete(EXAMPLE).await;
}

#[tokio::test]
async fn a_webui_that_lists_no_checkpoints_and_does_not_render_is_waited_for() {
    let webui = MockWebUi::builder()
        .fault(Fault::exception("KeyError", "'x'").on(MODELS).sticky())
        .fault(Fault::exception("RuntimeError", "boom").times(2))
        .start()
        .await;
    let stage = Stage::with(webui.url(), &[SOON]).await;
    stage.worker.says("so it counts as ready").await;
    assert_eq!(
        webui.gpu().renders(),
        3,
        "the third picture is the first that worked"
    );

    // Other statuses are no sign, and neither is a WebUI without settings.
    let fails = |route: &str| Fault::exception("KeyError", "'x'").on(route).sticky();
    for faults in [
        vec![fails(MODELS), fails(OPTIONS)],
        vec![Fault::status(404).on(MODELS).sticky()],
    ] {
        let builder = faults
            .into_iter()
            .fold(MockWebUi::builder(), mock_webui::MockWebUiBuilder::fault);
        let webui = builder.start().await;
        let variables = [SOON, ("SD_WORKER_READY_TIMEOUT", "1s")];
        let mut stage = Stage::with(webui.url(), &variables).await;
        assert_eq!(stage.worker.exit().await.code(), Some(1));
        assert_eq!(webui.gpu().renders(), 0);
    }
}

#[tokio::test]
async fn a_checkpoint_is_selected_on_a_webui_that_does_not_list_its_settings_or_its_checkpoints() {
    let models: Vec<serde_json::Value> = {
        let webui = MockWebUi::start().await;
        serde_json::from_slice(&crate::support::get(&format!("{}{MODELS}", webui.url())).await).unwrap()
    };
    let title = models[0]["title"].as_str().unwrap();
    for (route, words) in [
        (OPTIONS, "the WebUI does not list its settings"),
        (MODELS, "the WebUI does not list its checkpoints"),
    ] {
        let webui = MockWebUi::start().await;
        // Reading fails for ever. Changes are accepted.
        Mock::given(path(route))
            .and(wiremock::matchers::method("GET"))
            .respond_with(ResponseTemplate::new(500))
            .with_priority(1)
            .mount(webui.stubs())
            .await;
        let variables = [SOON, ("SD_WORKER_CHECKPOINT", title)];
        let stage = Stage::with(webui.url(), &variables).await;
        stage.complete(EXAMPLE).await;
        stage.worker.says(words).await;
        stage.worker.says("selecting").await;
    }
}
