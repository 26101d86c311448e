//! Another server behind the same routes: SD.Next, as far as it is known (`docs/protocol/webui-api.md` §12).

use mock_webui::{Fault, MockWebUi, Profile};
use serde_json::{Value, json};

use crate::support::{EXAMPLE, Stage, Tap, verdict};

/// The example event without its sampler, which SD.Next does not have.
fn example() -> String {
    let mut example: Value = serde_json::from_str(EXAMPLE).unwrap();
    example.as_object_mut().unwrap().remove("sampler_name");
    example.to_string()
}

async fn sd_next() -> MockWebUi {
    MockWebUi::builder().profile(Profile::SdNext).start().await
}

#[tokio::test]
async fn its_pictures_pass_through_byte_for_byte_and_uncompressed() {
    let webui = sd_next().await;
    let tap = Tap::before(webui.address()).await;
    let stage = Stage::new(&format!("http://{}", tap.address)).await;
    let output = stage.complete(&example()).await;
    let (request, answer) = tap.render();
    assert_eq!(output, answer.body);
    assert!(
        output.len() > 2_048,
        "it would be compressed for whoever asked for it"
    );
    for head in [&request.head, &answer.head] {
        assert!(!head.to_ascii_lowercase().contains("gzip"), "{head}");
    }
}

#[tokio::test]
async fn each_of_its_errors_has_one_code_and_leaves_it_alone() {
    let webui = sd_next().await;
    let stage = Stage::with(webui.url(), &[("SD_WORKER_RETRIES", "1")]).await;
    let small = json!({ "prompt": "x", "steps": 2, "width": 64, "height": 64 });
    let with = |more: Value| {
        let mut input = small.clone();
        input
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        input.to_string()
    };
    let api = |endpoint: &str, payload: Value| {
        json!({ "api": { "endpoint": endpoint }, "payload": payload }).to_string()
    };
    let requests = [
        ("a wrong kind of value", with(json!({ "steps": "many" }))),
        (
            "no such sampler",
            with(json!({ "sampler_name": "No Such Sampler" })),
        ),
        (
            "no such always-on script",
            with(json!({ "alwayson_scripts": { "nope": { "args": [] } } })),
        ),
        ("no pictures", with(json!({ "n_iter": 0 }))),
        ("no init image", api("img2img", small.clone())),
        (
            "a picture that is none",
            api("img2img", json!({ "init_images": ["aGk="] })),
        ),
        (
            "no such route",
            json!({ "api": { "endpoint": "/controlnet/version" } }).to_string(),
        ),
    ];
    let mut told = Vec::new();
    for (name, input) in requests {
        told.push(line(name, &stage.fail(&input).await));
    }
    assert!(
        !stage.worker.log().contains("needs care"),
        "a user's mistake is no illness"
    );
    for (name, fault) in [
        ("too many requests", Fault::status(429)),
        ("a bad gateway", Fault::status(502).times(20)),
        ("a rate limit after the render", Fault::rate_limit()),
        ("half an answer", Fault::half_json()),
    ] {
        webui.inject(fault);
        told.push(line(name, &stage.fail(&small.to_string()).await));
        webui.clear_faults();
        stage.complete(&small.to_string()).await;
    }
    insta::assert_snapshot!(told.join("\n"));
}

fn line(name: &str, error: &Value) -> String {
    let message = error["error_message"].as_str().unwrap();
    // How long half an answer is depends on its random seeds.
    let message = message.lines().next().unwrap();
    let message = message.split(": the text ends").next().unwrap();
    format!("{name}\n    {}: {message}", verdict(error).join(" "))
}
