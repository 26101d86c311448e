//! Another server behind the same routes: SD.Next, as far as it is known (`docs/protocol/webui-api.md` §12).

use mock_webui::{ClearedBy, Fault, MockWebUi, Profile};
use serde_json::{Value, json};

use crate::support::{EXAMPLE, Stage, Tap, verdict};

async fn sd_next() -> MockWebUi {
    MockWebUi::builder().profile(Profile::SdNext).start().await
}

#[tokio::test]
async fn its_pictures_pass_through_byte_for_byte_and_uncompressed() {
    let webui = sd_next().await;
    let tap = Tap::before(webui.address()).await;
    let stage = Stage::new(&format!("http://{}", tap.address)).await;
    let output = stage.complete(EXAMPLE).await;
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
        ("no such script", with(json!({ "script_name": "nope" }))),
        ("no init image", api("img2img", small.clone())),
        (
            "a picture that is none",
            api("img2img", json!({ "init_images": ["aGk="] })),
        ),
        (
            "hires fix without a strength, a TypeError",
            with(json!({ "enable_hr": true })),
        ),
        (
            "a script without its arguments, a TypeError",
            with(json!({ "script_name": "prompt matrix" })),
        ),
        (
            "no such upscaler",
            with(json!({ "enable_hr": true, "denoising_strength": 0.5, "hr_upscaler": "nope" })),
        ),
        ("no steps", with(json!({ "steps": 0 }))),
        (
            "no such setting",
            with(json!({ "override_settings": { "nope": 1 } })),
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
        ("an exception", Fault::exception("RuntimeError", "boom")),
        (
            "a CUDA error",
            Fault::exception("RuntimeError", "CUDA error: device-side assert triggered"),
        ),
        ("no numbers", Fault::nan()),
        ("half an answer", Fault::half_json()),
        ("no memory", Fault::out_of_memory(ClearedBy::Once)),
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
