//! Checks neither cry wolf nor keep silent.

use mock_webui::{Fault, Lora, MockWebUi, MockWebUiBuilder, Model};
use serde_json::{Value, json};

use crate::support::{RawWebUi, Reply, Stage, aside, png_64, program, soon, verdict};

const STRICT: &[(&str, &str)] = &[("SD_WORKER_CHECKS", "strict")];
const WARN: &[(&str, &str)] = &[("SD_WORKER_CHECKS", "warn")];

fn small(more: &Value) -> String {
    let mut input = json!({ "prompt": "x", "steps": 2, "width": 64, "height": 64 });
    for (key, value) in more.as_object().unwrap() {
        input[key] = value.clone();
    }
    input.to_string()
}

fn equipped() -> MockWebUiBuilder {
    MockWebUi::builder()
        .settings_file(true)
        .models([
            Model::new("photo").sha256("a".repeat(64)),
            Model::new("photo-anime"),
        ])
        .controlnet_models(["canny [d14c016b]"])
}

async fn passes(stage: &Stage, more: &Value) {
    let output: Value = serde_json::from_slice(&stage.complete(&small(more)).await).unwrap();
    assert_eq!(output["warnings"], Value::Null, "{more}");
}

async fn warnings(stage: &Stage, more: &Value) -> Vec<(String, String)> {
    let output: Value = serde_json::from_slice(&stage.complete(&small(more)).await).unwrap();
    let found = output["warnings"].as_array().cloned().unwrap_or_default();
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap().to_owned();
    found
        .iter()
        .map(|finding| (text(finding, "field"), text(finding, "message")))
        .collect()
}

#[tokio::test]
async fn a_lora_without_a_hash_is_no_missing_lora() {
    let webui = equipped().loras([Lora::without_hash("style")]).start().await;
    let stage = Stage::with(webui.url(), STRICT).await;
    passes(&stage, &json!({ "prompt": "a <lora:style:0.8>" })).await;
}

#[tokio::test]
async fn the_same_tag_twice_is_reported_once() {
    let webui = equipped()
        .loras([Lora::new("style", "0123456789ab")])
        .start()
        .await;
    let stage = Stage::with(webui.url(), WARN).await;
    let twice = json!({ "prompt": "<lora:style:1> a <lora:style:0.5>" });
    assert_eq!(warnings(&stage, &twice).await, []);
    webui.inject(Fault::ignore_lora());
    assert_eq!(warnings(&stage, &twice).await.len(), 1);
    let unknown = json!({ "prompt": "<lora:nope:1> a <lora:nope:0.5>" });
    assert_eq!(warnings(&stage, &unknown).await.len(), 1);
}

#[tokio::test]
async fn maps_beside_the_pictures_are_no_fault() {
    let webui = equipped().controlnet_maps(true).start().await;
    let stage = Stage::with(webui.url(), STRICT).await;
    let unit = json!({ "module": "canny", "model": "canny" });
    let mapped = json!({ "alwayson_scripts": { "ControlNet": { "args": [unit, unit] } } });
    let output: Value = serde_json::from_slice(&stage.complete(&small(&mapped)).await).unwrap();
    assert_eq!(output["images"].as_array().unwrap().len(), 3);
    assert_eq!(output["warnings"], Value::Null);
}

#[tokio::test]
async fn a_script_may_render_with_other_values() {
    let webui = equipped().start().await;
    let stage = Stage::with(webui.url(), STRICT).await;
    // x/y/z plot over the number of steps.
    let mut args = json!([
        4,
        "3,5",
        [],
        0,
        "",
        [],
        0,
        "",
        [],
        false,
        false,
        false,
        false,
        false,
        false,
        false,
        0,
        false
    ]);
    for (axis, values) in [(4, "3,5"), (1, "1-3")] {
        args[0] = json!(axis);
        args[1] = json!(values);
        passes(
            &stage,
            &json!({ "script_name": "x/y/z plot", "script_args": args }),
        )
        .await;
    }
}

#[tokio::test]
async fn a_sampler_ends_in_a_scheduler_s_label_name_or_alias() {
    let webui = equipped().start().await;
    let stage = Stage::with(webui.url(), STRICT).await;
    for name in [
        "Euler SGMUniform",
        "Euler sgm_uniform",
        "Euler a Karras",
        "DPM++ 2M karras",
    ] {
        passes(&stage, &json!({ "sampler_name": name })).await;
    }
    // The WebUI finds the ending "Uniform" of the second first.
    for name in ["Euler SGMUnform", "Euler SGM Uniform"] {
        let error = stage.fail(&small(&json!({ "sampler_name": name }))).await;
        assert_eq!(verdict(&error), ["NOT_APPLIED", "user", "final"]);
    }
}

#[tokio::test]
async fn the_old_fields_of_the_first_pass_are_no_other_size() {
    let webui = equipped().start().await;
    let stage = Stage::with(webui.url(), STRICT).await;
    passes(
        &stage,
        &json!({ "enable_hr": true, "denoising_strength": 0.5, "width": 128, "height": 128,
            "firstphase_width": 64, "firstphase_height": 64 }),
    )
    .await;
}

#[tokio::test]
async fn what_has_no_effect_is_said_before_the_render() {
    let webui = equipped()
        .loras([Lora::new("style", "0123456789ab")])
        .start()
        .await;
    let stage = Stage::with(webui.url(), WARN).await;
    let unit = json!({ "model": "canny" });
    for (more, field, words) in [
        (
            json!({ "negative_prompt": "<lora:style:1>" }),
            "negative_prompt",
            "negative prompt",
        ),
        (
            json!({ "alwayson_scripts": { "controlnet": [unit] } }),
            "alwayson_scripts.controlnet",
            "args",
        ),
        (json!({ "width": 65 }), "width", "65 gives 64"),
        (json!({ "height": "71" }), "height", "71 gives 64"),
        (
            json!({ "alwayson_scripts": { "controlnet": { "args": ["https://example.org/a.png"] } } }),
            "alwayson_scripts.controlnet.args.0",
            "not fetched",
        ),
        (
            json!({ "override_settings": { "sd_model_checkpoint": "phot" } }),
            "override_settings.sd_model_checkpoint",
            "photo",
        ),
    ] {
        let found = warnings(&stage, &more).await;
        assert_eq!(found.len(), 1, "{more}: {found:?}");
        assert_eq!(found[0].0, field);
        assert!(found[0].1.contains(words), "{found:?}");
    }
}

/// `ADetailer` shows itself in the infotext alone.
#[tokio::test]
async fn adetailer_that_is_asked_for_and_has_not_run_is_no_success() {
    for (entries, runs) in [
        ("", false),
        (
            ", ADetailer model: face_yolov8n.pt, ADetailer version: 24.9.0",
            true,
        ),
    ] {
        let infotext = format!("x\nSteps: 2, Sampler: Euler, Size: 64x64{entries}");
        let info =
            json!({ "infotexts": [infotext], "all_seeds": [1], "steps": 2, "width": 64, "height": 64 });
        let answer = json!({ "images": [png_64()], "info": info.to_string() }).to_string();
        let webui = RawWebUi::start(move |request| match request.start() {
            "POST /sdapi/v1/txt2img" => {
                let answer = answer.clone();
                Box::pin(async move { Reply::json(200, answer) })
            }
            _ => aside(&request),
        })
        .await;
        let stage = Stage::with(&webui.url, STRICT).await;
        let unit = json!({ "ad_model": "face_yolov8n.pt" });
        let input = small(&json!({ "alwayson_scripts": { "ADetailer": { "args": [true, false, unit] } } }));
        if runs {
            stage.complete(&input).await;
            continue;
        }
        let error = stage.fail(&input).await;
        assert_eq!(verdict(&error), ["NOT_APPLIED", "backend", "final"], "{error}");
        let finding = &error["details"]["findings"][0];
        assert_eq!(finding["field"], "alwayson_scripts.ADetailer", "{error}");
        assert_eq!(finding["asked"], "face_yolov8n.pt", "{error}");
    }
}

#[tokio::test]
async fn a_part_of_a_checkpoint_s_name_passes_where_the_webui_takes_it() {
    let webui = equipped().start().await;
    let stage = Stage::with(webui.url(), STRICT).await;
    passes(
        &stage,
        &json!({ "override_settings": { "sd_model_checkpoint": "photo-anime" } }),
    )
    .await;
    let error = stage
        .fail(&small(
            &json!({ "override_settings": { "sd_model_checkpoint": "photo-ani" } }),
        ))
        .await;
    assert_eq!(
        verdict(&error),
        ["NOT_APPLIED", "user", "final"],
        "nothing is rendered"
    );
    assert_eq!(
        error["details"]["findings"][0]["meant"],
        "photo-anime.safetensors"
    );
}

#[tokio::test]
async fn a_failed_job_says_what_was_found_before_it() {
    let webui = equipped().start().await;
    let stage = Stage::with(webui.url(), WARN).await;
    webui.inject(Fault::exception("RuntimeError", "boom").sticky());
    let odd: Value = serde_json::from_str(&small(&json!({ "guidance_scale": 3, "seed": 1 }))).unwrap();
    let streamed =
        json!({ "api": { "endpoint": "txt2img" }, "payload": odd, "worker": { "stream": true } }).to_string();
    for input in [odd.to_string(), streamed] {
        let error = stage.fail(&input).await;
        assert_eq!(error["code"], "BACKEND_ERROR");
        assert_eq!(
            error["details"]["warnings"][0]["field"], "guidance_scale",
            "{error}"
        );
        assert_eq!(error["details"]["status"], 500);
    }
}

#[tokio::test]
async fn a_list_that_cannot_be_had_is_said_and_fails_no_job() {
    let webui = equipped().start().await;
    webui.inject(
        Fault::exception("RuntimeError", "slow volume")
            .on("/sdapi/v1/loras")
            .sticky(),
    );
    webui.inject(
        Fault::exception("RuntimeError", "broken")
            .on("/sdapi/v1/prompt-styles")
            .sticky(),
    );
    let stage = Stage::with(webui.url(), STRICT).await;
    let wish = json!({ "prompt": "<lora:style:1>", "styles": ["sharp"] });
    for _ in 0..2 {
        let found = warnings(&stage, &wish).await;
        assert_eq!(
            found,
            [(
                "checks".to_owned(),
                "not checked: loras, prompt-styles".to_owned()
            )]
        );
    }
    let requests = webui.stubs().received_requests().await.unwrap();
    let asked = requests
        .iter()
        .filter(|request| request.url.path() == "/sdapi/v1/loras");
    assert_eq!(asked.count(), 1, "the failure is remembered for a while");
}

#[tokio::test]
async fn a_hash_in_brackets_selects_a_checkpoint_that_has_none() {
    let webui = MockWebUi::builder()
        .models([Model::new("other"), Model::new("v1-5-pruned")])
        .start()
        .await;
    let output = program()
        .args([
            "--webui-url",
            webui.url(),
            "--checkpoint",
            "v1-5-pruned.safetensors [6ce0161689]",
        ])
        .args([
            "--test_input",
            r#"{"input": {"prompt": "x", "steps": 1, "width": 64, "height": 64}}"#,
        ])
        .output();
    let output = soon(output).await.unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{log}");
}
