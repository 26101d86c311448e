//! Every answer of a WebUI that refuses or fails (`docs/protocol/webui-api.md` §10 and §12) has one code and one hint;
//! what a user got wrong leaves the WebUI alone.

use mock_webui::MockWebUi;
use serde_json::{Value, json};
use wiremock::matchers::path;
use wiremock::{Mock, ResponseTemplate};

use crate::support::owned::started;
use crate::support::{OwnedWebUi, Stage, verdict};

const SMALL: &str = r#"{"prompt": "x", "steps": 2, "width": 64, "height": 64}"#;

/// What users get wrong, with what the WebUI is asked for then.
fn mistakes() -> Vec<(&'static str, Value)> {
    let with = |more: Value| {
        let mut input: Value = serde_json::from_str(SMALL).unwrap();
        let input_keys = input.as_object_mut().unwrap();
        input_keys.extend(more.as_object().unwrap().clone());
        input
    };
    let api = |endpoint: &str, payload: Value| json!({ "api": { "endpoint": endpoint }, "payload": payload });
    let upscaled = json!({ "image": crate::support::png_64(), "upscaler_1": "nope" });
    vec![
        ("a wrong kind of value", with(json!({ "steps": "many" }))),
        ("a list for a prompt", with(json!({ "prompt": ["x"] }))),
        (
            "no such always-on script",
            with(json!({ "alwayson_scripts": { "nope": { "args": [] } } })),
        ),
        (
            "a selectable script among the always-on ones",
            with(json!({ "alwayson_scripts": { "prompt matrix": { "args": [] } } })),
        ),
        (
            "no such selectable script",
            with(json!({ "script_name": "nope" })),
        ),
        (
            "too few arguments for a script",
            with(json!({ "script_name": "x/y/z plot", "script_args": [true] })),
        ),
        ("no init image", api("img2img", with(json!({})))),
        (
            "an init image that is none",
            api("img2img", with(json!({ "init_images": ["aGk="] }))),
        ),
        (
            "an empty list of init images",
            api("img2img", with(json!({ "init_images": [] }))),
        ),
        (
            "a value out of its range",
            api("extra-single-image", json!({ "gfpgan_visibility": 2 })),
        ),
        ("no such upscaler", api("extra-single-image", upscaled)),
        ("no picture to read", api("png-info", json!({ "image": "" }))),
        (
            "no such model to interrogate with",
            api(
                "interrogate",
                json!({ "image": crate::support::png_64(), "model": "nope" }),
            ),
        ),
        ("no steps", with(json!({ "steps": 0 }))),
        ("a seed that is too large", with(json!({ "seed": u64::MAX }))),
        (
            "no such setting",
            with(json!({ "override_settings": { "nope": 1 } })),
        ),
    ]
}

/// What goes wrong behind a request that is well.
fn failures() -> Vec<(&'static str, Value)> {
    let exception = |class: &str, text: &str| json!({ "kind": "exception", "class": class, "text": text });
    vec![
        ("plain text", json!({ "kind": "plain-text-500" })),
        ("an exception", exception("RuntimeError", "boom")),
        ("no numbers", json!({ "kind": "nan" })),
        ("no memory", json!({ "kind": "out-of-memory" })),
        ("bytes that are not HTTP", json!({ "kind": "garbage" })),
        ("half an answer", json!({ "kind": "half-json" })),
        (
            "a proxy's 502",
            json!({ "kind": "status", "status": 502, "times": 2 }),
        ),
    ]
}

/// One row of the table.
fn row(name: &str, error: &Value) -> String {
    let message = error["error_message"].as_str().unwrap();
    // How long half an answer is depends on its random seeds.
    let message = message.split(": the text ends").next().unwrap();
    let log = match error["log_tail"].as_array() {
        Some(lines) if !lines.is_empty() => "with the WebUI's log",
        Some(_) => "with an empty log",
        None => "without a log",
    };
    format!(
        "{name}\n    {}, {log}\n    {message}\n    hint: {}",
        verdict(error).join(" "),
        error["hint"].as_str().unwrap_or("none")
    )
}

#[tokio::test]
async fn each_answer_of_each_version_has_one_code_and_one_hint() {
    let mut table = Vec::new();
    for profile in ["1.10.1", "forge"] {
        let webui = OwnedWebUi::new(&format!("--profile {profile}"));
        let stage = webui.stage(&[("SD_WORKER_RETRIES", "1")]).await;
        table.push(format!("{profile}: THE REQUEST IS WRONG"));
        for (name, input) in mistakes() {
            table.push(row(name, &stage.fail(&input.to_string()).await));
            assert!(!stage.worker.log().contains("needs care"), "{profile}: {name}");
        }
        table.push(format!("{profile}: THE WEBUI IS"));
        for (name, fault) in failures() {
            webui.inject(fault).await;
            table.push(row(name, &stage.fail(SMALL).await));
            stage.complete(SMALL).await;
        }
        assert_eq!(
            started(&stage.worker).len(),
            1,
            "{profile}: no step of mending is lost"
        );
    }
    insta::assert_snapshot!(table.join("\n"));
}

#[tokio::test]
async fn credentials_and_methods_that_are_refused_in_mid_life_are_a_matter_of_the_settings() {
    let four_keys = json!({ "error": "HTTPException", "detail": "Incorrect username or password", "body": "", "errors": "" });
    let mut table = Vec::new();
    for (name, status, body) in [
        ("401 with four keys", 401, four_keys),
        (
            "401 as Forge has it",
            401,
            json!({ "detail": "Not authenticated" }),
        ),
        ("405", 405, json!({ "detail": "Method Not Allowed" })),
    ] {
        let webui = MockWebUi::start().await;
        let stage = Stage::with(webui.url(), &[("SD_WORKER_WEBUI_AUTH", "anna:hunter2")]).await;
        stage.complete(SMALL).await;
        Mock::given(path("/sdapi/v1/txt2img"))
            .respond_with(ResponseTemplate::new(status).set_body_json(body))
            .with_priority(1)
            .expect(1)
            .mount(webui.stubs())
            .await;
        table.push(row(name, &stage.fail(SMALL).await));
        let log = stage.worker.log();
        assert!(
            !log.contains("needs care"),
            "{name}: sending it again changes nothing"
        );
        assert!(!log.contains("hunter2"), "{log}");
    }
    insta::assert_snapshot!(table.join("\n"));
}
