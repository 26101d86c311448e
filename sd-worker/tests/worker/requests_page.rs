//! `docs/sd-worker-requests.md` is true: every example on it is sent, and answered as the page says.

use std::collections::BTreeSet;

use mock_webui::MockWebUi;
use serde_json::Value;
use wiremock::matchers::path;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::support::{Stage, png_64};

const PAGE: &str = include_str!("../../../docs/sd-worker-requests.md");
const PNG: &[u8] = include_bytes!("../../../tests/fixtures/webui/v1.10.1/txt2img-minimal.png");

/// An example, and what the page says comes of it.
struct Example {
    input: Value,
    says: String,
}

/// `address`: where the pictures of `example.com` really are.
fn examples(address: &str) -> Vec<Example> {
    let mut found = Vec::new();
    for block in PAGE.split("```json\n").skip(1) {
        let (text, after) = block.split_once("```").unwrap();
        let text = text
            .replace("iVBORw0KGgo…", &png_64())
            .replace("https://example.com", address);
        let event: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        found.push(Example {
            input: event["input"].clone(),
            says: after.trim().lines().next().unwrap().to_owned(),
        });
    }
    found
}

fn quoted(says: &str) -> BTreeSet<String> {
    says.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[tokio::test]
async fn every_example_is_answered_as_the_page_says() {
    let files = MockServer::start().await;
    Mock::given(path("/cat.png"))
        .respond_with(ResponseTemplate::new(200).set_body_raw(PNG, "image/png"))
        .mount(&files)
        .await;
    let webui = MockWebUi::start().await;
    // The test's own server is on loopback.
    let uploads = tempfile::tempdir().unwrap();
    let variables = [
        ("RUNPOD_ALLOW_PRIVATE_DOWNLOAD_URLS", "1"),
        ("RUNPOD_WORKER_LOCAL_UPLOADS", uploads.path().to_str().unwrap()),
    ];
    let stage = Stage::with(webui.url(), &variables).await;
    let examples = examples(&files.uri());
    assert!(examples.len() >= 21, "{}", examples.len());
    for Example { input, says } in examples {
        let shown = input.to_string().chars().take(200).collect::<String>();
        if let Some(refused) = says.strip_prefix("Refused: ") {
            let error = stage.fail(&input.to_string()).await;
            assert_eq!(
                BTreeSet::from([error["code"].as_str().unwrap().to_owned()]),
                quoted(refused),
                "{shown}"
            );
            continue;
        }
        let output: Value = serde_json::from_slice(&stage.complete(&input.to_string()).await).unwrap();
        match says.strip_prefix("Output: ") {
            Some("a list") => assert!(output.is_array(), "{shown}: {output}"),
            Some("null") => assert!(output.is_null(), "{shown}: {output}"),
            Some(keys) => {
                let found: BTreeSet<String> = output.as_object().unwrap().keys().cloned().collect();
                assert_eq!(found, quoted(keys), "{shown}");
            }
            None => panic!("an example says nothing of its output: {says}"),
        }
    }
}
