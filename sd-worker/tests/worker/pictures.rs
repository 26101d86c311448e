//! Pictures that a request names by URL.

use mock_webui::MockWebUi;
use serde_json::{Value, json};
use wiremock::matchers::path;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::support::{Stage, verdict};

const PNG: &[u8] = include_bytes!("../../../tests/fixtures/webui/v1.10.1/txt2img-minimal.png");
/// The test's own server is on loopback.
const LOOPBACK_TOO: (&str, &str) = ("RUNPOD_ALLOW_PRIVATE_DOWNLOAD_URLS", "1");

/// A server with a picture, a page, and nothing else.
async fn server() -> MockServer {
    let server = MockServer::start().await;
    for (at, body, kind) in [
        ("/a.png", PNG, "image/png"),
        ("/page", b"<html></html>", "text/html"),
    ] {
        Mock::given(path(at))
            .respond_with(ResponseTemplate::new(200).set_body_raw(body, kind))
            .mount(&server)
            .await;
    }
    server
}

#[tokio::test]
async fn a_picture_by_url_is_the_same_as_its_bytes() {
    let (webui, files) = (
        MockWebUi::builder().repeatable_img2img(true).start().await,
        server().await,
    );
    let stage = Stage::with(webui.url(), &[LOOPBACK_TOO]).await;
    let url = format!(" {}/a.png", files.uri());
    let input = json!({
        "prompt": "https://h/is a prompt", "steps": 1, "width": 64, "height": 64, "seed": 1,
        "init_images": [url], "mask": url, "include_init_images": true,
    });
    stage.complete(&input.to_string()).await;
    let sent = webui.stubs().received_requests().await.unwrap();
    let sent = sent
        .iter()
        .rfind(|request| request.url.path().ends_with("img2img"))
        .unwrap();
    let sent: Value = serde_json::from_slice(&sent.body).unwrap();
    assert_eq!(sent["init_images"][0], sent["mask"]);
    let picture = sent["mask"].as_str().unwrap();
    assert!(picture == crate::support::png_64(), "{}", &picture[..20]);
    assert_eq!(sent["prompt"], input["prompt"]);

    let read = json!({ "api": { "endpoint": "png-info" }, "payload": { "image": url } });
    let read: Value = serde_json::from_slice(&stage.complete(&read.to_string()).await).unwrap();
    assert!(read["info"].as_str().unwrap().contains("Steps:"), "{read}");
}

#[tokio::test]
async fn what_can_not_be_fetched_is_named_and_nothing_is_rendered() {
    let (webui, files) = (MockWebUi::start().await, server().await);
    let limit = [LOOPBACK_TOO, ("SD_WORKER_URL_INPUT_LIMIT", "0")];
    let (stage, tiny) = (
        Stage::with(webui.url(), &[LOOPBACK_TOO]).await,
        Stage::with(webui.url(), &limit).await,
    );
    let input =
        |at: &str| json!({ "mask": "", "init_images": ["aGk=", format!("{}{at}", files.uri())] }).to_string();
    for (stage, at, expected) in [
        (&stage, "/none", ["DOWNLOAD_FAILED", "user", "final"]),
        (&stage, "/page", ["INVALID_PICTURE", "user", "final"]),
        (&tiny, "/a.png", ["DOWNLOAD_TOO_LARGE", "user", "final"]),
    ] {
        let error = stage.fail(&input(at)).await;
        assert_eq!(verdict(&error), expected, "{error}");
        let message = error["error_message"].as_str().unwrap();
        assert!(message.starts_with("input.init_images.1: "), "{message}");
        assert_eq!(
            message.contains("found text/html, 13 bytes"),
            at == "/page",
            "{message}"
        );
    }
    let many: Vec<String> = (0..17).map(|n| format!("http://192.0.2.1/{n}")).collect();
    let error = stage.fail(&json!({ "init_images": many }).to_string()).await;
    assert_eq!(verdict(&error), ["INVALID_INPUT", "user", "final"]);
    assert_eq!(webui.gpu().renders(), 0);
}

#[tokio::test]
async fn inner_addresses_are_out_of_reach() {
    let (webui, files) = (MockWebUi::start().await, server().await);
    let stage = Stage::new(webui.url()).await;
    for url in [
        format!("{}/a.png", files.uri()),
        "http://169.254.169.254/latest".to_owned(),
    ] {
        let error = stage.fail(&json!({ "init_images": [url] }).to_string()).await;
        assert_eq!(verdict(&error), ["DOWNLOAD_BLOCKED", "user", "final"], "{error}");
    }
    assert!(files.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn switched_off_the_url_is_left_to_the_webui() {
    let webui = MockWebUi::start().await;
    let off = [LOOPBACK_TOO, ("SD_WORKER_NO_URL_INPUTS", "true")];
    let stage = Stage::with(webui.url(), &off).await;
    let error = stage
        .fail(r#"{"init_images": ["http://127.0.0.1:1/a.png"]}"#)
        .await;
    assert_eq!(
        error["error_message"],
        "the WebUI refused the parameters (HTTP 500): Request to local resource not allowed"
    );
}
