//! The four rows of the reference flow's error table, and the other answers of a WebUI that refuses.

use std::net::TcpListener;

use mock_webui::MockWebUi;
use serde_json::{Value, json};
use wiremock::matchers::path;
use wiremock::{Mock, ResponseTemplate};

use crate::support::{EXAMPLE, RawWebUi, Reply, Stage, soon, verdict};

#[tokio::test]
async fn a_webui_that_is_not_ready_yet_is_waited_for() {
    let reserved = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = reserved.local_addr().unwrap();
    drop(reserved);
    let stage = Stage::new(&format!("http://{address}")).await;
    let job = stage.submit(EXAMPLE).await;

    let line = stage.worker.says("the WebUI is not ready").await;
    assert!(
        line.contains("probes=15"),
        "only every 15th failure is told: {line}"
    );
    assert_eq!(
        soon(job.status()).await.unwrap().status.as_str(),
        "IN_QUEUE",
        "no job is taken meanwhile"
    );

    let _webui = MockWebUi::builder().listen(address).start().await;
    let report = soon(job.wait()).await.unwrap();
    assert_eq!(report.status.as_str(), "COMPLETED", "{:?}", report.error());
    assert_eq!(stage.platform.violations().len(), 0);
}

#[tokio::test]
async fn a_webui_that_never_gets_ready_ends_the_worker_with_the_cause() {
    let webui = MockWebUi::builder().credentials("anna", "right").start().await;
    let variables = [
        ("SD_WORKER_READY_TIMEOUT", "300ms"),
        ("SD_WORKER_WEBUI_AUTH", "anna:wrong"),
    ];
    let mut stage = Stage::with(webui.url(), &variables).await;
    let job = stage.submit(EXAMPLE).await;

    assert_eq!(stage.worker.exit().await.code(), Some(1));
    let line = stage.worker.says("was not ready after").await;
    assert!(
        line.contains("refused the worker's credentials (HTTP 401)")
            && line.contains("Set SD_WORKER_WEBUI_AUTH"),
        "{line}"
    );
    assert!(
        !stage.worker.log().contains("wrong"),
        "credentials stay out of the log"
    );
    assert_eq!(soon(job.status()).await.unwrap().status.as_str(), "IN_QUEUE");
}

#[tokio::test]
async fn invalid_parameters_reach_the_client_with_their_details() {
    let webui = MockWebUi::start().await;
    let stage = Stage::new(webui.url()).await;
    let error = stage
        .fail(r#"{"prompt": ["a"], "steps": "abc", "width": 64, "height": 64}"#)
        .await;
    assert_eq!(verdict(&error), ["INVALID_PARAMETERS", "user", "final"]);
    assert_eq!(
        error["error_message"],
        "the WebUI refused the parameters (HTTP 422): prompt: str type expected; steps: value is not a valid integer"
    );
    assert_eq!(
        error["details"],
        json!({ "status": 422, "detail": [
            { "loc": ["body", "prompt"], "msg": "str type expected", "type": "type_error.str" },
            { "loc": ["body", "steps"], "msg": "value is not a valid integer", "type": "type_error.integer" },
        ]})
    );
    assert_eq!(webui.gpu().renders(), 0);
}

#[tokio::test]
async fn gpu_out_of_memory_is_told_with_a_remedy() {
    let recorded = include_bytes!("../../../tests/fixtures/webui/v1.10.1/fault-cuda-oom.json");
    let recorded: Value = serde_json::from_slice(recorded).unwrap();
    let webui = MockWebUi::start().await;
    Mock::given(path("/sdapi/v1/txt2img"))
        .respond_with(ResponseTemplate::new(500).set_body_json(&recorded["response"]["json"]))
        .with_priority(1)
        .mount(webui.stubs())
        .await;
    let stage = Stage::new(webui.url()).await;
    let error = stage.fail(EXAMPLE).await;
    assert_eq!(verdict(&error), ["GPU_OUT_OF_MEMORY", "backend", "final"]);
    assert_eq!(error["hint"], "ask for a smaller picture or batch");
    let message = error["error_message"].as_str().unwrap();
    assert!(
        message.starts_with(
            "the GPU ran out of memory (HTTP 500): OutOfMemoryError: CUDA out of memory. Tried to allocate 9.00 GiB."
        ),
        "{message}"
    );
    assert_eq!(error["details"]["status"], 500);
}

#[tokio::test]
async fn a_generation_timeout_is_told_with_what_was_reached_and_frees_the_gpu() {
    let webui = MockWebUi::builder().manual_clock().start().await;
    let variables = [
        ("SD_WORKER_ATTEMPT_TIMEOUT", "1s"),
        ("SD_WORKER_PROGRESS_INTERVAL", "50ms"),
    ];
    let stage = Stage::with(webui.url(), &variables).await;
    let job = stage.submit(EXAMPLE).await;
    soon(webui.gpu().advance(5)).await;

    let report = soon(job.wait()).await.unwrap();
    let error = crate::support::error_of(&report);
    assert_eq!(verdict(&error), ["GENERATION_TIMEOUT", "user", "final"]);
    assert_eq!(
        error["error_message"],
        "the picture was not done after 1s (at step 5 of 25, 21% done)"
    );
    soon(webui.gpu().idle()).await;
    assert_eq!(
        webui.gpu().renders(),
        1,
        "an attempt that took too long is not repeated"
    );
}

#[tokio::test]
async fn an_input_that_is_not_an_object_never_reaches_the_webui() {
    let webui = RawWebUi::in_turn([(|| Reply::json(200, "{}")) as fn() -> Reply]).await;
    let stage = Stage::new(&webui.url).await;
    for input in ["[1]", "\"a cat\"", "7"] {
        let error = stage.fail(input).await;
        assert_eq!(verdict(&error), ["INVALID_INPUT", "user", "final"]);
    }
    assert_eq!(webui.renders().len(), 0);
}

#[tokio::test]
async fn a_picture_of_nothing_is_refused_before_anything_renders() {
    let webui = MockWebUi::start().await;
    let stage = Stage::with(webui.url(), &[("SD_WORKER_CHECKS", "off")]).await;
    for input in [
        "{}",
        r#"{"api_name": "getModels"}"#,
        r#"{"payload": {"prompt": "x"}}"#,
        r#"{"api": {"endpoint": "txt2img"}, "payload": {"prompt": "x"}, "id": 5}"#,
        r#"{"init_images": null, "prompt": "x"}"#,
        r#"{"init_images": {"0": "aGk="}}"#,
        r#"{"init_image": "aGk=", "prompt": "x"}"#,
    ] {
        let error = stage.fail(input).await;
        assert_eq!(verdict(&error), ["INVALID_INPUT", "user", "final"], "{input}");
        assert!(
            error["hint"].as_str().unwrap().starts_with("send {\"input\": {"),
            "{error}"
        );
    }
    assert_eq!(webui.gpu().renders(), 0);
}

#[tokio::test]
async fn null_where_a_value_is_needed_is_the_users_mistake() {
    let webui = MockWebUi::start().await;
    let stage = Stage::new(webui.url()).await;
    for field in ["cfg_scale", "steps", "width", "n_iter"] {
        let input = json!({ "prompt": "x", "steps": 2, field: null });
        let error = stage.fail(&input.to_string()).await;
        assert_eq!(
            verdict(&error),
            ["INVALID_PARAMETERS", "user", "final"],
            "{error}"
        );
        let message = error["error_message"].as_str().unwrap();
        assert!(
            message.contains(&format!("{field}: must not be null")),
            "{message}"
        );
    }
}

#[tokio::test]
async fn a_route_that_this_webui_lacks_says_so() {
    let webui = MockWebUi::start().await;
    let stage = Stage::new(webui.url()).await;
    let error = stage.fail(r#"{"api": {"endpoint": "sd-modules"}}"#).await;
    assert_eq!(verdict(&error), ["BACKEND_MISCONFIGURED", "backend", "final"]);
    assert_eq!(
        error["error_message"],
        "this WebUI does not have the route (HTTP 404): GET /sdapi/v1/sd-modules (Not Found)"
    );
    assert_eq!(
        error["hint"],
        "Forge has this route; A1111 lists its VAEs under sd-vae"
    );
}

#[tokio::test]
async fn an_attempt_timeout_of_zero_is_no_limit() {
    let webui = MockWebUi::start().await;
    let stage = Stage::with(webui.url(), &[("SD_WORKER_ATTEMPT_TIMEOUT", "0")]).await;
    stage
        .complete(r#"{"prompt": "x", "steps": 2, "width": 64, "height": 64}"#)
        .await;
}

#[tokio::test]
async fn the_webui_s_url_may_end_with_the_api_s_path() {
    let webui = MockWebUi::start().await;
    let stage = Stage::new(&format!("{}/sdapi/v1", webui.url())).await;
    stage
        .complete(r#"{"prompt": "x", "steps": 2, "width": 64, "height": 64}"#)
        .await;
}

#[tokio::test]
async fn what_was_asked_for_is_not_repeated_in_errors_and_logs() {
    let malformed = r#"{"detail":[{"loc":["body",1],"msg":"odd","type":"value_error.jsondecode","ctx":{"doc":"a secret prompt","pos":1}}]}"#;
    let webui = MockWebUi::start().await;
    Mock::given(path("/sdapi/v1/txt2img"))
        .respond_with(ResponseTemplate::new(422).set_body_raw(malformed, "application/json"))
        .with_priority(1)
        .mount(webui.stubs())
        .await;
    let stage = Stage::with(webui.url(), &[("RUNPOD_LOG_LEVEL", "DEBUG")]).await;
    let error = stage.fail(r#"{"prompt": "a secret prompt"}"#).await;
    assert!(!error.to_string().contains("a secret prompt"), "{error}");
    assert!(
        !stage.worker.log().contains("a secret prompt"),
        "{}",
        stage.worker.log()
    );
}
