//! A job gets what it asks for, or is told that it does not.

use std::fmt::Write as _;

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
        .styles([
            Style::new("sharp", "sharp", "soft"),
            Style::new("around", "photo of {prompt}, detailed", ""),
        ])
        .embeddings(["loaded-one"])
        .skipped_embeddings(["easyneg"])
        .hypernetworks(["brush"])
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
    // SD.Next has neither these samplers nor these scripts.
    for profile in Profile::ALL
        .into_iter()
        .filter(|profile| *profile > Profile::V1_6 && *profile != Profile::SdNext)
    {
        let webui = equipped().profile(profile).start().await;
        let tap = Tap::before(webui.address()).await;
        let stage = Stage::with(&format!("http://{}", tap.address), STRICT).await;
        let output = stage.complete(EXAMPLE).await;
        assert_eq!(output, tap.render().1.body, "{profile}");
        let more = json!({
            "prompt": "a <lora:detail:0.5>", "sampler_name": "Euler a", "seed": 7, "batch_size": 2, "n_iter": 2,
            "styles": ["sharp"], "width": 72, "cfg_scale": "6.5", "steps": 2,
            "override_settings": { "sd_model_checkpoint": "anime", "sd_vae": "clear.safetensors" },
            "alwayson_scripts": { "ControlNet": { "args": [{ "module": "Canny", "model": "canny" }] } },
        });
        let output: Value = serde_json::from_slice(&stage.complete(&small(&more)).await).unwrap();
        assert_eq!(output["warnings"], Value::Null, "{profile}");
        assert_eq!(output["images"].as_array().unwrap().len(), 4);
        for mut more in whole_requests() {
            if profile >= Profile::Forge2024 && more["enable_hr"] == true {
                more["hr_additional_modules"] = json!(["Use same choices"]);
            }
            if profile >= Profile::Forge2024 && more["script_name"] == "prompts from file or textbox" {
                more["script_args"].as_array_mut().unwrap().push(json!(false));
            }
            let output: Value = serde_json::from_slice(&stage.complete(&small(&more)).await).unwrap();
            assert_eq!(output["warnings"], Value::Null, "{profile}: {more}");
        }
    }
}

/// Everything that is compared with the answer, asked for in ways that every version grants.
fn whole_requests() -> Vec<Value> {
    vec![
        json!({
            "enable_hr": true, "denoising_strength": 0.5, "hr_scale": 1.6, "hr_upscaler": "Lanczos",
            "hr_second_pass_steps": 3, "hr_sampler_name": "Euler", "hr_checkpoint_name": "anime",
            "refiner_checkpoint": "anime", "refiner_switch_at": 0.8,
        }),
        json!({ "enable_hr": true, "denoising_strength": 0.5, "hr_resize_x": 132 }),
        json!({ "enable_hr": true, "denoising_strength": 0.5, "hr_resize_x": 128, "hr_resize_y": 96 }),
        json!({
            "restore_faces": true, "tiling": true, "subseed": 3, "subseed_strength": 0.25, "seed": 5,
            "styles": ["sharp", "around"], "override_settings": { "CLIP_stop_at_last_layers": 2 },
        }),
        json!({
            "prompt": "a|b|c", "script_name": "Prompt Matrix", "script_args": [false, false, "positive", "comma", 0],
        }),
        json!({
            "script_name": "prompts from file or textbox", "script_args": [false, false, "start", "one\ntwo"],
        }),
        json!({ "prompt": "an embedding: easyneg2, (loaded-one:1.1)" }),
    ]
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
async fn prompts_scripts_passes_and_settings_are_looked_up_too() {
    let webui = equipped().start().await;
    let stage = Stage::with(webui.url(), STRICT).await;
    let unit = json!({ "module": "canny", "model": "canny" });
    let requests = [
        json!({
            "prompt": "<hypernet:brusch:1> (embedding:loaded_one:1.2)",
            "negative_prompt": "embedding:nothing-like-it, (easyneg:1.1)",
        }),
        json!({
            "enable_hr": true, "denoising_strength": 0.5, "hr_sampler_name": "Eulr", "hr_scheduler": "Karas",
            "hr_checkpoint_name": "animee", "refiner_checkpoint": "fhoto",
            "override_settings": { "face_restoration_model": "GFPGANN", "upscaler_for_img2img": "Lancsoz" },
        }),
        json!({
            "script_name": "prompt matrix", "script_args": [false, false],
            "alwayson_scripts": { "ControlNet": { "args": [unit, unit, unit, unit] } },
        }),
        json!({ "script_name": "prompt matrix", "script_args": [false, false, "positive", "comma", 0, 1] }),
    ];
    let mut found = Vec::new();
    for more in requests {
        let error = stage.fail(&small(&more)).await;
        assert_eq!(verdict(&error), ["NOT_APPLIED", "user", "final"]);
        found.push(error["details"]["findings"].clone());
    }
    insta::assert_json_snapshot!(found);
    assert_eq!(webui.gpu().renders(), 0);
}

#[tokio::test]
async fn whatever_the_webui_forgets_is_found_afterwards() {
    let webui = equipped().start().await;
    let stage = Stage::with(webui.url(), WARN).await;
    let hires = json!({
        "enable_hr": true, "denoising_strength": 0.5, "hr_scale": 1.5, "hr_upscaler": "Lanczos",
        "hr_second_pass_steps": 3, "hr_checkpoint_name": "anime",
        "refiner_checkpoint": "anime", "refiner_switch_at": 0.8,
    });
    let rest = json!({
        "restore_faces": true, "tiling": true, "subseed": 3, "subseed_strength": 0.25, "seed": 5, "n_iter": 3,
        "styles": ["sharp", "around"], "override_settings": { "CLIP_stop_at_last_layers": 2 },
    });
    let sized =
        json!({ "enable_hr": true, "denoising_strength": 0.5, "hr_resize_x": 128, "hr_resize_y": 96 });
    let matrix = json!({
        "prompt": "a|b", "script_name": "prompt matrix", "script_args": [false, false, "positive", "comma", 0],
    });
    let mut told = String::new();
    for (request, fields) in [
        (&hires, &["enable_hr"][..]),
        (&hires, &["hr_scale"]),
        (&hires, &["hr_upscaler"]),
        (&hires, &["hr_second_pass_steps"]),
        (&hires, &["hr_checkpoint_name"]),
        (&hires, &["refiner_checkpoint"]),
        (&sized, &["hr_resize_x", "hr_resize_y"]),
        (&rest, &["restore_faces"]),
        (&rest, &["tiling"]),
        (&rest, &["subseed"]),
        (&rest, &["subseed_strength"]),
        (&rest, &["n_iter"]),
        (&rest, &["styles"]),
        (&rest, &["override_settings"]),
        (&matrix, &["script_name"]),
    ] {
        webui.inject(Fault::forget_fields(fields.iter().copied()));
        let found = warnings(&stage, request).await;
        writeln!(told, "without {}:", fields.join(", ")).unwrap();
        for finding in found
            .as_array()
            .unwrap_or_else(|| panic!("{fields:?}: nothing was found"))
        {
            let text = |key: &str| finding[key].as_str().unwrap();
            let message = match text("field") {
                "subseed" => "asked for 3, got a random one",
                _ => text("message"),
            };
            writeln!(told, "  {}: {message}", text("field")).unwrap();
        }
    }
    insta::assert_snapshot!(told);
}

/// A request for a picture from a picture, and how it is to be checked.
fn from_picture(more: &Value, checks: &str) -> String {
    let mut payload: Value = serde_json::from_str(&small(&json!({ "steps": 4 }))).unwrap();
    payload["init_images"] = json!([crate::support::png_64()]);
    for (key, value) in more.as_object().unwrap() {
        payload[key] = value.clone();
    }
    json!({ "api": { "endpoint": "img2img" }, "payload": payload, "worker": { "checks": checks } })
        .to_string()
}

#[tokio::test]
async fn pictures_from_pictures_are_checked_before_and_afterwards() {
    let webui = equipped().start().await;
    let stage = Stage::new(webui.url()).await;
    let whole = json!({ "denoising_strength": 0.5, "cfg_scale": 5.5, "seed": 7, "batch_size": 2, "sampler_name": "Euler a" });
    let output: Value =
        serde_json::from_slice(&stage.complete(&from_picture(&whole, "strict")).await).unwrap();
    assert_eq!(output["warnings"], Value::Null, "{}", output["warnings"]);
    assert_eq!(output["images"].as_array().unwrap().len(), 2);

    let renders = webui.gpu().renders();
    let odd = json!({ "strength": 0.5, "sampler_name": "Eulr a", "prompt": "<lora:detial:1>" });
    let error = stage.fail(&from_picture(&odd, "strict")).await;
    assert_eq!(verdict(&error), ["NOT_APPLIED", "user", "final"]);
    let fields = |findings: &Value| -> Vec<String> {
        let findings = findings.as_array().unwrap().iter();
        findings
            .map(|finding| finding["field"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(
        fields(&error["details"]["findings"]),
        ["strength", "sampler_name", "prompt"],
        "{error}"
    );
    assert_eq!(webui.gpu().renders(), renders);

    webui.inject(Fault::forget_fields([
        "cfg_scale",
        "seed",
        "batch_size",
        "sampler_name",
        "denoising_strength",
    ]));
    let output: Value = serde_json::from_slice(&stage.complete(&from_picture(&whole, "warn")).await).unwrap();
    assert_eq!(
        fields(&output["warnings"]),
        [
            "cfg_scale",
            "batch_size",
            "seed",
            "denoising_strength",
            "sampler_name",
            "n_iter"
        ],
        "{}",
        output["warnings"]
    );
}

#[tokio::test]
async fn another_guidance_and_another_vae_are_found_afterwards() {
    let webui = equipped().start().await;
    let stage = Stage::with(webui.url(), WARN).await;
    let asked = json!({ "cfg_scale": 3.5, "override_settings": { "sd_vae": "clear.safetensors" } });
    assert_eq!(warnings(&stage, &asked).await, Value::Null);
    webui.inject(Fault::forget_fields(["cfg_scale", "override_settings"]));
    let found = warnings(&stage, &asked).await;
    let told: Vec<_> = found
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| (&finding["field"], &finding["asked"], &finding["got"]))
        .collect();
    assert_eq!(
        told,
        [
            (&json!("cfg_scale"), &json!(3.5), &json!(7.0)),
            (
                &json!("override_settings.sd_vae"),
                &json!("clear.safetensors"),
                &Value::Null
            ),
        ],
        "{found}"
    );
}

#[tokio::test]
async fn where_there_is_none_of_a_kind_no_name_of_it_is_known() {
    let webui = MockWebUi::start().await;
    let stage = Stage::with(webui.url(), STRICT).await;
    let error = stage
        .fail(&small(&json!({
            "prompt": "<lora:detail:1> <hypernet:brush:1>", "styles": ["sharp"],
            "override_settings": { "sd_vae": "clear" },
        })))
        .await;
    let found = error["details"]["findings"].as_array().unwrap().iter();
    let told: Vec<&str> = found
        .map(|finding| finding["message"].as_str().unwrap())
        .collect();
    assert_eq!(
        told,
        [
            "no VAE is called \"clear\"",
            "no style is called \"sharp\"",
            "no LoRA is called \"detail\"",
            "no hypernetwork is called \"brush\"",
        ]
    );
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
