//! A job gets what it asks for, or is told that it does not.

use mock_webui::{Fault, Lora, MockWebUi, Model, Profile, Style};
use serde_json::{Value, json};

use crate::support::{EXAMPLE, Stage, Tap, verdict};

const WARN: &[(&str, &str)] = &[("SD_WORKER_CHECKS", "warn")];
const STRICT: &[(&str, &str)] = &[("SD_WORKER_CHECKS", "strict")];

/// A server with one of each.
fn equipped() -> mock_webui::MockWebUiBuilder {
    MockWebUi::builder()
        .settings_file(true)
        .models([Model::new("photo").sha256("a".repeat(64)), Model::new("anime")])
        .vaes(["clear.safetensors"])
        .loras([Lora::new("detail", "0123456789ab")])
        .styles([Style::new("sharp", "sharp", "")])
        .controlnet_models(["canny [d14c016b]"])
}

fn small(more: &Value) -> String {
    let mut input = json!({ "prompt": "x", "steps": 1, "width": 64, "height": 64 });
    for (key, value) in more.as_object().unwrap() {
        input[key] = value.clone();
    }
    input.to_string()
}

async fn warnings(stage: &Stage, more: &Value) -> Value {
    let output: Value = serde_json::from_slice(&stage.complete(&small(more)).await).unwrap();
    output["warnings"].clone()
}

#[tokio::test]
async fn a_good_request_is_untouched_in_every_version() {
    for profile in [Profile::V1_8, Profile::V1_9_3, Profile::V1_10_1, Profile::Forge] {
        let webui = equipped().profile(profile).start().await;
        let tap = Tap::before(webui.address()).await;
        let stage = Stage::with(&format!("http://{}", tap.address), STRICT).await;
        let output = stage.complete(EXAMPLE).await;
        assert_eq!(output, tap.render().1.body, "{profile}");
        let more = json!({
            "prompt": "a <lora:detail:0.5>", "sampler_name": "Euler a", "seed": 7, "batch_size": 2, "n_iter": 2,
            "styles": ["sharp"], "width": 68, "cfg_scale": "6.5", "steps": 2,
            "override_settings": { "sd_model_checkpoint": "anime", "sd_vae": "clear.safetensors" },
            "alwayson_scripts": { "ControlNet": { "args": [{ "module": "Canny", "model": "canny" }] } },
        });
        let output: Value = serde_json::from_slice(&stage.complete(&small(&more)).await).unwrap();
        assert_eq!(output["warnings"], Value::Null, "{profile}");
        assert_eq!(output["images"].as_array().unwrap().len(), 4);
    }
}

#[tokio::test]
async fn everything_that_is_not_there_is_named_with_the_nearest() {
    let webui = equipped().start().await;
    let stage = Stage::with(webui.url(), STRICT).await;
    let error = stage
        .fail(&small(&json!({
            "num_inference_steps": 20, "guidance_scale": 7, "model": "photo",
            "sampler_name": "Eulr a", "scheduler": "Karas", "prompt": "<lora:detial:1>", "styles": ["sharpp"],
            "override_settings": { "sd_model_checkpoint": "fhoto", "sd_vae": "clear" },
            "enable_hr": true, "denoising_strength": 0.5, "hr_upscaler": "Lancsoz", "script_name": "x/y plot",
            "alwayson_scripts": { "controlnet": { "args": [{ "module": "cany", "model": "kanny" }] } },
        })))
        .await;
    assert_eq!(verdict(&error), ["NOT_APPLIED", "user", "final"]);
    insta::assert_json_snapshot!(error["details"]["findings"]);
    assert_eq!(webui.gpu().renders(), 0);
}

#[tokio::test]
async fn a_warning_is_the_only_change_to_the_bytes() {
    let webui = equipped().start().await;
    let tap = Tap::before(webui.address()).await;
    let stage = Stage::with(&format!("http://{}", tap.address), WARN).await;
    let output = stage.complete(&small(&json!({ "sampler_name": "Eulr a" }))).await;
    let (_, answer) = tap.render();
    let (whole, added) = output.split_at(answer.body.len() - 1);
    assert_eq!(whole, &answer.body[..answer.body.len() - 1]);
    let added = String::from_utf8(added.to_vec()).unwrap();
    assert_eq!(
        added,
        r#","warnings":[{"field":"sampler_name","asked":"Eulr a","meant":"Euler a","message":"no sampler is called \"Eulr a\"; did you mean \"Euler a\"?"}]}"#
    );
}

/// How often the list of styles was asked for.
async fn times_asked(webui: &MockWebUi) -> usize {
    let requests = webui.stubs().received_requests().await.unwrap();
    let styles = requests
        .iter()
        .filter(|request| request.url.path().ends_with("/prompt-styles"));
    styles.count()
}

#[tokio::test]
async fn a_file_that_came_later_is_found() {
    let webui = equipped().start().await;
    let stage = Stage::with(webui.url(), WARN).await;
    for _ in 0..2 {
        assert_eq!(
            warnings(&stage, &json!({ "styles": ["sharp"] })).await,
            Value::Null
        );
    }
    assert_eq!(times_asked(&webui).await, 1, "the list is kept");
    let found = warnings(&stage, &json!({ "styles": ["new"] })).await;
    assert_eq!(found[0]["field"], "styles");
    assert_eq!(times_asked(&webui).await, 2, "and asked for once more on a miss");
}

#[tokio::test]
async fn a_lora_that_was_ignored_and_a_model_that_stayed_are_found_afterwards() {
    let webui = equipped()
        .fault(Fault::ignore_lora().sticky())
        .fault(Fault::wrong_model().sticky())
        .start()
        .await;
    let wish = json!({
        "prompt": "<lora:detail:1>", "override_settings": { "sd_model_checkpoint": "anime" }
    });
    let stage = Stage::with(webui.url(), WARN).await;
    let found = warnings(&stage, &wish).await;
    let fields: Vec<&str> = found
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| finding["field"].as_str().unwrap())
        .collect();
    assert_eq!(
        fields,
        ["override_settings.sd_model_checkpoint", "prompt"],
        "{found}"
    );
    assert_eq!(found[0]["got"], "photo");

    let stage = Stage::with(webui.url(), STRICT).await;
    let error = stage.fail(&small(&wish)).await;
    assert_eq!(verdict(&error), ["NOT_APPLIED", "backend", "final"]);
    assert_eq!(
        error["error_message"],
        "the WebUI rendered something else than was asked for: override_settings.sd_model_checkpoint: asked for \
         \"anime\", got \"photo\"; prompt: asked for \"<lora:detail>\", which was not applied"
    );
}

#[tokio::test]
async fn other_pictures_than_asked_for_are_found_afterwards() {
    let asked = r#"{"prompt":"x","steps":20,"width":512,"height":512,"seed":5,"batch_size":2,"sampler_name":"Euler","scheduler":"Karras"}"#;
    let info = json!({
        "seed": 6, "steps": 10, "width": 512, "height": 512, "sampler_name": "DPM++ 2M", "batch_size": 1,
        "index_of_first_image": 0, "extra_generation_params": {},
        "infotexts": ["x\nSteps: 10, Sampler: DPM++ 2M, Schedule type: Exponential, Seed: 6"],
    });
    let picture = crate::support::png_64();
    let answer = json!({ "images": [picture], "parameters": {}, "info": info.to_string() });
    let webui = MockWebUi::start().await;
    wiremock::Mock::given(wiremock::matchers::path("/sdapi/v1/txt2img"))
        .respond_with(wiremock::ResponseTemplate::new(200).set_body_json(answer))
        .with_priority(1)
        .mount(webui.stubs())
        .await;
    let stage = Stage::with(webui.url(), WARN).await;
    let output: Value = serde_json::from_slice(&stage.complete(asked).await).unwrap();
    insta::assert_json_snapshot!(output["warnings"]);
}

#[tokio::test]
async fn a_job_may_say_otherwise() {
    let webui = equipped().start().await;
    let stage = Stage::new(webui.url()).await;
    let odd: Value = serde_json::from_str(&small(&json!({ "sampler_name": "Eulr a" }))).unwrap();
    let output: Value = serde_json::from_slice(&stage.complete(&odd.to_string()).await).unwrap();
    assert_eq!(output["warnings"], Value::Null, "nothing is looked at by default");
    let wish = |level: &str| {
        json!({ "api": { "endpoint": "txt2img" }, "payload": odd, "worker": { "checks": level } }).to_string()
    };
    let error = stage.fail(&wish("strict")).await;
    assert_eq!(error["code"], "NOT_APPLIED");
    let error = stage.fail(&wish("stern")).await;
    assert_eq!(
        error["error_message"],
        "input.worker: unknown variant `stern`, expected one of `off`, `warn`, `strict`"
    );
}
