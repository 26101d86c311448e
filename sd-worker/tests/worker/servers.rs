//! Forge and SD.Next behind the same routes (`docs/protocol/webui-api.md` §12).

use mock_webui::{ClearedBy, Fault, MockWebUi, Model, Profile};
use serde_json::{Value, json};
use wiremock::matchers::{body_partial_json, path};
use wiremock::{Mock, ResponseTemplate};

use crate::support::{EXAMPLE, Stage, Tap, program, soon, verdict};

const SMALL: &str = r#"{"prompt": "x", "steps": 2, "width": 64, "height": 64, "seed": 5}"#;
const MODULES: &str = "forge_additional_modules";

fn small(more: &Value) -> String {
    let mut input: Value = serde_json::from_str(SMALL).unwrap();
    for (key, value) in more.as_object().unwrap() {
        input[key] = value.clone();
    }
    input.to_string()
}

async fn server(profile: Profile) -> MockWebUi {
    MockWebUi::builder()
        .profile(profile)
        .vaes(["ae.safetensors", "clip_l.safetensors"])
        .start()
        .await
}

fn message(error: &Value) -> &str {
    error["error_message"].as_str().unwrap()
}

async fn options(webui: &MockWebUi) -> Value {
    let options = crate::support::get(&format!("{}/sdapi/v1/options", webui.url())).await;
    serde_json::from_slice(&options).unwrap()
}

#[tokio::test]
async fn an_answer_without_pictures_is_an_error_and_nobody_else_s_fault() {
    let webui = server(Profile::SdNext).await;
    for checks in ["off", "strict"] {
        let stage = Stage::with(webui.url(), &[("SD_WORKER_CHECKS", checks)]).await;
        for fault in [
            Fault::out_of_memory(ClearedBy::Once),
            Fault::exception(
                "RuntimeError",
                "CUDA error: an illegal memory access was encountered",
            ),
        ] {
            webui.inject(fault);
            let error = stage.fail(SMALL).await;
            assert_eq!(verdict(&error)[..2], ["BACKEND_BAD_ANSWER", "backend"], "{error}");
            assert!(message(&error).contains("no pictures"), "{error}");
            assert!(
                message(&error).contains("interrupted"),
                "what its state says: {error}"
            );
        }
        let error = stage.fail(&small(&json!({ "width": -8 }))).await;
        assert_eq!(
            verdict(&error),
            ["INVALID_PARAMETERS", "user", "final"],
            "{error}"
        );
        assert!(message(&error).contains("width: must be at least 8"), "{error}");
        // None are wanted.
        stage.complete(&small(&json!({ "send_images": false }))).await;
        stage.complete(SMALL).await;
    }
}

#[tokio::test]
async fn a_warm_up_without_a_picture_does_not_count() {
    let webui = MockWebUi::builder()
        .profile(Profile::SdNext)
        .models([] as [Model; 0])
        .start()
        .await;
    let output = program()
        .args([
            "--webui-url",
            webui.url(),
            "--warm-up",
            "--test_input",
            r#"{"input": {"prompt": "x"}}"#,
        ])
        .output();
    let output = soon(output).await.unwrap();
    assert!(!output.status.success());
    let log = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
    assert!(
        log.contains("warm-up 1 failed") && log.contains("no pictures"),
        "{log}"
    );
}

#[tokio::test]
async fn the_reasons_of_forge_are_read() {
    let webui = server(Profile::Forge).await;
    let stage = Stage::new(webui.url()).await;
    for (class, text, expected) in [
        (
            "OSError",
            "[Errno 28] No space left on device",
            "BACKEND_DISK_FULL",
        ),
        (
            "AssertionError",
            "You do not have CLIP state dict!",
            "BACKEND_MISCONFIGURED",
        ),
        (
            "NansException",
            "A tensor with NaNs was produced in Unet.",
            "NAN_PICTURE",
        ),
    ] {
        webui.inject(Fault::exception(class, text));
        let error = stage.fail(SMALL).await;
        assert_eq!(error["code"], expected, "{error}");
        let names_modules = error["hint"].as_str().unwrap_or_default().contains(MODULES);
        assert_eq!(names_modules, text.contains("CLIP"), "{error}");
    }
    for more in [
        json!({ "enable_hr": true, "denoising_strength": 0.5, "hr_upscaler": "nope" }),
        json!({ "refiner_checkpoint": "nope", "refiner_switch_at": 0.5 }),
        json!({ "override_settings": { "nope": 1 } }),
    ] {
        let error = stage.fail(&small(&more)).await;
        assert_eq!(
            verdict(&error)[..2],
            ["INVALID_PARAMETERS", "user"],
            "{more}: {error}"
        );
    }
    let error = stage
        .fail(&json!({ "api": { "endpoint": "options" }, "payload": { "nope": 1 } }).to_string())
        .await;
    assert!(
        error["code"] == "INVALID_PARAMETERS" || error["code"] == "ROUTE_REFUSED",
        "{error}"
    );
}

#[tokio::test]
async fn modules_of_one_job_do_not_stay_on_forge() {
    for profile in [Profile::Forge, Profile::Forge2024] {
        let webui = server(profile).await;
        let stage = Stage::with(webui.url(), &[("SD_WORKER_RESPONSE_CACHE", "16")]).await;
        let flux = small(&json!({ "override_settings": { MODULES: ["ae.safetensors"] } }));
        for _ in 0..3 {
            stage.complete(&flux).await;
            assert_eq!(options(&webui).await[MODULES], json!([]), "{profile}");
        }
        assert!(stage.worker.log().contains("are set back"), "{profile}");
    }
}

#[tokio::test]
async fn nothing_is_cached_before_its_settings_are_seen_to_be_restored() {
    let webui = server(Profile::V1_10_1).await;
    // Read back, the setting has another value.
    let odd = json!({ "CLIP_stop_at_last_layers": 3 });
    let stage = Stage::with(webui.url(), &[("SD_WORKER_RESPONSE_CACHE", "16")]).await;
    stage.complete(SMALL).await;
    stage.complete(SMALL).await;
    assert_eq!(webui.gpu().renders(), 1, "kept");
    Mock::given(path("/sdapi/v1/options"))
        .and(wiremock::matchers::method("GET"))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({ "CLIP_stop_at_last_layers": 1 })))
        .up_to_n_times(1)
        .with_priority(1)
        .mount(webui.stubs())
        .await;
    Mock::given(path("/sdapi/v1/options"))
        .and(wiremock::matchers::method("GET"))
        .respond_with(ResponseTemplate::new(200).set_body_json(odd))
        .with_priority(2)
        .mount(webui.stubs())
        .await;
    let overriding = small(&json!({ "override_settings": { "CLIP_stop_at_last_layers": 2 } }));
    stage.complete(&overriding).await;
    stage.complete(&overriding).await;
    assert_eq!(webui.gpu().renders(), 3, "neither is kept");
    stage.complete(SMALL).await;
    assert_eq!(webui.gpu().renders(), 4, "and what was kept is no more");
}

#[tokio::test]
async fn the_example_event_is_rendered_by_each_server() {
    for (profile, expected) in [
        (
            Profile::V1_9_3,
            Some(json!({ "sampler_name": "DPM++ 2M", "scheduler": "Karras" })),
        ),
        (Profile::V1_10_1, None),
        (Profile::Forge, None),
        (Profile::Forge2024, None),
        (
            Profile::SdNext,
            Some(json!({ "sampler_name": "DPM++ 2M", "schedulers_sigma": "karras" })),
        ),
    ] {
        let webui = server(profile).await;
        let tap = Tap::before(webui.address()).await;
        let stage = Stage::new(&format!("http://{}", tap.address)).await;
        stage.complete(EXAMPLE).await;
        let sent: Value = serde_json::from_slice(&tap.render().0.body).unwrap();
        for (key, value) in expected.iter().flat_map(|expected| expected.as_object().unwrap()) {
            assert_eq!(&sent[key], value, "{profile}");
        }
        if expected.is_none() {
            assert_eq!(sent["sampler_name"], "DPM++ 2M Karras", "{profile}");
        }
    }
}

#[tokio::test]
async fn a_scheduler_reaches_sd_next_by_its_own_field_and_is_no_finding() {
    let webui = server(Profile::SdNext).await;
    let tap = Tap::before(webui.address()).await;
    let url = format!("http://{}", tap.address);
    let stage = Stage::with(&url, &[("SD_WORKER_CHECKS", "strict")]).await;
    stage
        .complete(&small(
            &json!({ "sampler_name": "DPM++ 2M", "scheduler": "Exponential" }),
        ))
        .await;
    let sent: Value = serde_json::from_slice(&tap.render().0.body).unwrap();
    assert_eq!(sent["schedulers_sigma"], "exponential");
    assert_eq!(sent["scheduler"], Value::Null);
    // SD.Next has no such schedule, and passes over the field.
    let error = stage
        .fail(&small(
            &json!({ "sampler_name": "DPM++ 2M", "scheduler": "SGM Uniform" }),
        ))
        .await;
    assert_eq!(verdict(&error), ["NOT_APPLIED", "user", "final"], "{error}");
    assert_eq!(error["details"]["findings"][0]["field"], "scheduler", "{error}");
}

#[tokio::test]
async fn a_second_pass_gets_its_modules_on_forge_alone() {
    let hires = small(&json!({ "enable_hr": true, "denoising_strength": 0.5, "hr_scale": 2 }));
    for profile in [Profile::Forge, Profile::Forge2024, Profile::V1_10_1] {
        let webui = server(profile).await;
        let seen = Mock::given(path("/sdapi/v1/txt2img"))
            .and(body_partial_json(
                json!({ "hr_additional_modules": ["Use same choices"] }),
            ))
            .respond_with(ResponseTemplate::new(418))
            .with_priority(1);
        let stage = Stage::new(webui.url()).await;
        stage.complete(&hires).await;
        assert_eq!(webui.gpu().renders(), 1, "{profile}");
        webui.stubs().register(seen).await;
        let is_added = stage.run(&hires).await.status.as_str() == "FAILED";
        assert_eq!(is_added, profile != Profile::V1_10_1, "{profile}");
    }
}

#[tokio::test]
async fn a_rate_limit_is_named_and_its_render_is_not_repeated() {
    let webui = server(Profile::SdNext).await;
    webui.inject(Fault::rate_limit().sticky());
    let stage = Stage::new(webui.url()).await;
    let error = stage.fail(SMALL).await;
    assert!(
        error["hint"].as_str().unwrap().contains("server_rate_limit"),
        "{error}"
    );
    assert_eq!(webui.gpu().renders(), 1);
}

#[tokio::test]
async fn checks_compare_what_sd_next_reports_and_know_forge_s_modules() {
    let webui = server(Profile::SdNext).await;
    let stage = Stage::with(webui.url(), &[("SD_WORKER_CHECKS", "strict")]).await;
    for more in [
        json!({ "tiling": true }),
        json!({ "enable_hr": true, "denoising_strength": 0.5 }),
        json!({ "sampler_name": "DPM++ 2M Karras" }),
    ] {
        let output: Value = serde_json::from_slice(&stage.complete(&small(&more)).await).unwrap();
        assert_eq!(output["warnings"], Value::Null, "{more}");
    }

    let webui = server(Profile::Forge).await;
    let stage = Stage::with(webui.url(), &[("SD_WORKER_CHECKS", "strict")]).await;
    let with = |settings: Value| small(&json!({ "override_settings": settings }));
    let known = json!({ MODULES: ["/models/text_encoder/clip_l.safetensors"], "forge_preset": "flux" });
    stage.complete(&with(known)).await;
    let error = stage
        .fail(&with(
            json!({ MODULES: ["clip_g.safetensors"], "forge_preset": "fluks" }),
        ))
        .await;
    let findings = error["details"]["findings"].as_array().unwrap();
    let fields: Vec<&Value> = findings.iter().map(|finding| &finding["field"]).collect();
    assert_eq!(
        fields,
        [
            "override_settings.forge_additional_modules",
            "override_settings.forge_preset"
        ],
        "{error}"
    );
}
