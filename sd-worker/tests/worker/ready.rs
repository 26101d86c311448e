//! Waiting for the WebUI at the start (`docs/protocol/request-flow.md`, step 3).

use mock_webui::{MockWebUi, Phase};
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
