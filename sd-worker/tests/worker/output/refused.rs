//! Options about pictures that are refused before anything renders.

use mock_webui::MockWebUi;
use runpod_sdk::client::S3Config;
use serde_json::{Value, json};

use super::{SMALL, with_options};
use crate::support::{Stage, error_of, get, soon, verdict};

#[tokio::test]
async fn an_upload_without_a_bucket_is_refused_before_the_render() {
    let webui = MockWebUi::start().await;
    let stage = Stage::new(webui.url()).await;
    let error = stage
        .fail(&with_options(SMALL, &json!({ "output": "upload" })))
        .await;
    assert_eq!(verdict(&error), ["UPLOAD_NOT_CONFIGURED", "user", "final"]);
    assert!(error["hint"].as_str().unwrap().contains("s3Config"), "{error}");

    let owners = Stage::with(webui.url(), &[("SD_WORKER_OUTPUT", "upload")]).await;
    let error = owners.fail(SMALL).await;
    assert_eq!(verdict(&error), ["UPLOAD_NOT_CONFIGURED", "worker", "final"]);
    assert!(
        error["hint"].as_str().unwrap().contains("BUCKET_ENDPOINT_URL"),
        "{error}"
    );
    // An answer without pictures needs no bucket, and a job's own option wins.
    let samplers = r#"{"api": {"method": "GET", "endpoint": "samplers"}}"#;
    let expected = get(&format!("{}/sdapi/v1/samplers", webui.url())).await;
    assert_eq!(owners.complete(samplers).await, expected);
    owners
        .complete(r#"{"api": {"endpoint": "refresh-loras"}, "payload": null}"#)
        .await;
    assert_eq!(webui.gpu().renders(), 0);
    owners
        .complete(&with_options(SMALL, &json!({ "output": "inline" })))
        .await;

    let half = S3Config::new("", "pics", "id", "secret");
    let input: Value = serde_json::from_str(SMALL).unwrap();
    let job = owners.client.job(&input).unwrap().s3_config(half).run();
    let report = soon(soon(job).await.unwrap().wait()).await.unwrap();
    let error = error_of(&report);
    assert_eq!(
        verdict(&error),
        ["UPLOAD_NOT_CONFIGURED", "user", "final"],
        "{error}"
    );
    assert_eq!(webui.gpu().renders(), 1);
}

#[tokio::test]
async fn a_quality_without_jpeg_is_refused_before_the_render() {
    let webui = MockWebUi::start().await;
    let stage = Stage::new(webui.url()).await;
    for options in [
        json!({ "quality": 80 }),
        json!({ "reencode": "webp", "quality": 80 }),
        json!({ "output": "auto", "quality": 80 }),
        json!({ "output": "auto", "reencode": "jpeg", "quality": 0 }),
        json!({ "output": "auto", "reencode": "jpeg", "quality": 101 }),
        json!({ "reencode": "png" }),
        json!({ "output": "ftp" }),
    ] {
        let error = stage.fail(&with_options(SMALL, &options)).await;
        assert_eq!(verdict(&error), ["INVALID_INPUT", "user", "final"], "{error}");
        let message = error["error_message"].as_str().unwrap();
        assert!(message.starts_with("input.worker"), "{message}");
    }
    assert_eq!(webui.gpu().renders(), 0);
}

#[tokio::test]
async fn re_encoding_that_would_never_happen_is_refused_before_the_render() {
    let webui = MockWebUi::start().await;
    let stage = Stage::with(webui.url(), &[("SD_WORKER_REENCODE", "jpeg")]).await;
    for (options, option) in [
        (json!({ "reencode": "webp" }), "reencode"),
        (json!({ "output": "inline", "reencode": "jpeg" }), "reencode"),
        (json!({ "output": "upload", "reencode": "jpeg" }), "reencode"),
        (json!({ "quality": 80 }), "quality"),
    ] {
        let error = stage.fail(&with_options(SMALL, &options)).await;
        assert_eq!(verdict(&error), ["INVALID_INPUT", "user", "final"], "{error}");
        let message = error["error_message"].as_str().unwrap();
        assert!(
            message.starts_with(&format!("input.worker.{option}: ")),
            "{message}"
        );
    }
    assert_eq!(webui.gpu().renders(), 0);
    // A setting of the worker is no option of the job, and "off" is always accepted.
    stage.complete(SMALL).await;
    stage
        .complete(&with_options(SMALL, &json!({ "reencode": "off" })))
        .await;
}
