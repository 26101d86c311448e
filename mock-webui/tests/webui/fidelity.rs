//! What A1111 does beyond its recordings, read in its source or measured on it.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use mock_webui::contract::{self, ContractOptions, Suite};
use mock_webui::{Lora, MockWebUi, Model, Profile};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{fetch, get, info, picture, post, render, small};

async fn answer(webui: &MockWebUi, route: &str, body: &Value) -> (StatusCode, Value) {
    let response = post(webui, route, body).await;
    (response.status(), response.json().await.expect("JSON"))
}

fn text_of(answer: &Value) -> String {
    info(answer)["infotexts"][0].as_str().expect("a text").to_owned()
}

#[tokio::test]
async fn two_starts_from_one_picture_differ_and_txt2img_does_not() {
    let same = |a: &Value, b: &Value| picture(a, 0) == picture(b, 0);
    let builder = MockWebUi::builder().repeatable_img2img(true);
    for (webui, alike) in [(MockWebUi::start().await, false), (builder.start().await, true)] {
        let mut request = small("x", 4);
        request["subseed"] = json!(7);
        let (first, second) = (render(&webui, &request).await, render(&webui, &request).await);
        assert!(same(&first, &second), "txt2img repeats");
        request["init_images"] = json!([first["images"][0]]);
        let (_, first) = answer(&webui, "img2img", &request).await;
        let (_, second) = answer(&webui, "img2img", &request).await;
        assert_eq!(same(&first, &second), alike);
    }
}

#[tokio::test]
async fn eta_is_in_the_infotext_of_samplers_that_read_it() {
    let webui = MockWebUi::start().await;
    for (sampler, eta, shown) in [
        ("Euler a", json!(0.5), Some("Eta: 0.5")),
        ("Euler a", json!(1.0), None),
        ("Euler", json!(0.5), None),
        ("DDIM", json!(0.5), Some("Eta DDIM: 0.5")),
    ] {
        let mut request = small("x", 1);
        request["sampler_name"] = json!(sampler);
        request["eta"] = eta;
        let text = text_of(&render(&webui, &request).await);
        match shown {
            Some(entry) => assert!(text.contains(entry), "{text}"),
            None => assert!(!text.contains("Eta"), "{text}"),
        }
    }
}

#[tokio::test]
async fn a_start_s_noise_is_in_the_infotext_and_a_picture_s_cfg_scale_is_not() {
    for profile in [Profile::V1_9_3, Profile::V1_10_1, Profile::Forge] {
        let webui = MockWebUi::builder().profile(profile).start().await;
        let mut request = small("x", 4);
        request["sampler_name"] = json!("DPM++ 2M");
        request["init_images"] = json!([render(&webui, &request).await["images"][0]]);
        for (factor, entry) in [(json!(1.1), "Noise multiplier: 1.1, "), (json!(1), "")] {
            request["initial_noise_multiplier"] = factor;
            // Only a model that edits pictures by an instruction reads it; others set it to none.
            request["image_cfg_scale"] = json!(1.5);
            let (_, answer) = answer(&webui, "img2img", &request).await;
            let text = text_of(&answer);
            let expected = format!("Denoising strength: 0.75, {entry}Version");
            assert!(text.contains(&expected), "{profile}: {text}");
            assert!(!text.contains("Image CFG scale"), "{profile}: {text}");
        }
        let info = info(
            &answer(&webui, "img2img", &{
                request["initial_noise_multiplier"] = json!(0.9);
                request
            })
            .await
            .1,
        );
        let names: Vec<&String> = info["extra_generation_params"]
            .as_object()
            .expect("an object")
            .keys()
            .collect();
        assert_eq!(
            names,
            ["Denoising strength", "Noise multiplier", "Schedule type"],
            "{profile}"
        );
    }
}

#[tokio::test]
async fn the_refiner_can_be_asked_for_by_its_always_on_script() {
    let webui = MockWebUi::builder()
        .models([Model::new("base"), Model::new("fine")])
        .start()
        .await;
    let mut request = small("x", 1);
    request["alwayson_scripts"] = json!({ "Refiner": { "args": [true, "fine", 0.7] } });
    let text = text_of(&render(&webui, &request).await);
    assert!(text.contains("Refiner: fine, Refiner switch at: 0.7"), "{text}");
    request["alwayson_scripts"] = json!({ "Refiner": { "args": [false, "fine", 0.7] } });
    let text = text_of(&render(&webui, &request).await);
    assert!(!text.contains("Refiner"), "{text}");
}

#[tokio::test]
async fn arguments_of_an_always_on_script_are_a_list_or_python_fails_on_them() {
    let webui = MockWebUi::start().await;
    for (script, expected) in [
        (json!({ "args": { "a": 1 } }), Some(("KeyError", "0"))),
        (
            json!({ "args": null }),
            Some(("TypeError", "object of type 'NoneType' has no len()")),
        ),
        (
            json!(null),
            Some(("TypeError", "argument of type 'NoneType' is not iterable")),
        ),
        (json!([{ "a": 1 }]), None),
        (json!({}), None),
    ] {
        let mut request = small("x", 1);
        request["alwayson_scripts"] = json!({ "seed": script });
        let (status, body) = answer(&webui, "txt2img", &request).await;
        match expected {
            Some((class, text)) => {
                assert_eq!((&body["error"], &body["errors"]), (&json!(class), &json!(text)));
            }
            None => assert_eq!(status, StatusCode::OK, "{body}"),
        }
    }
}

#[tokio::test]
async fn a_script_with_too_few_arguments_runs_with_those_of_the_next_one() {
    let webui = MockWebUi::start().await;
    let mut request = small("a|b", 1);
    request["script_name"] = json!("prompt matrix");
    let (_, body) = answer(&webui, "txt2img", &request).await;
    assert_eq!(
        (&body["error"], &body["errors"]),
        (&json!("ValueError"), &json!("Unknown prompt type start"))
    );
}

#[tokio::test]
async fn script_info_has_the_controls_of_each_script() {
    let webui = MockWebUi::start().await;
    let scripts = get(&webui, "script-info").await;
    let count = |name: &str| {
        let scripts = scripts.as_array().expect("a list").iter();
        let script = scripts.clone().find(|script| script["name"] == name);
        script.and_then(|script| script["args"].as_array()).map(Vec::len)
    };
    assert_eq!(count("x/y/z plot"), Some(18));
    assert_eq!(count("seed"), Some(6));
    assert_eq!(count("refiner"), Some(3));
    assert_eq!(count("loopback"), Some(4));
    let margin = scripts[0]["args"][4].clone();
    assert_eq!(
        margin,
        json!({ "label": "Grid margins (px)", "value": 0, "minimum": 0, "maximum": 500, "step": 2, "choices": null })
    );
}

#[tokio::test]
async fn base64_needs_its_padding() {
    let webui = MockWebUi::start().await;
    let file = picture(&render(&webui, &small("x", 1)).await, 0);
    // Cut to a length that needs padding: what follows a PNG's end is not read.
    let mut file = file;
    while file.len().is_multiple_of(3) {
        file.push(0);
    }
    let (status, _) = answer(&webui, "png-info", &json!({ "image": STANDARD.encode(&file) })).await;
    assert_eq!(status, StatusCode::OK);
    let (status, body) = answer(
        &webui,
        "png-info",
        &json!({ "image": STANDARD_NO_PAD.encode(&file) }),
    )
    .await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(body["detail"], json!("Invalid encoded image"));
}

#[tokio::test]
async fn the_default_scale_of_extras_is_a_whole_number() {
    let webui = MockWebUi::start().await;
    let file = STANDARD.encode(picture(&render(&webui, &small("x", 1)).await, 0));
    for (scale, shown) in [(None, "2"), (Some(json!(2)), "2.0"), (Some(json!(1.5)), "1.5")] {
        let mut body = json!({ "image": file, "upscaler_1": "Lanczos" });
        if let Some(scale) = scale {
            body["upscaling_resize"] = scale;
        }
        let (_, body) = answer(&webui, "extra-single-image", &body).await;
        let expected = format!("<p>Postprocess upscale by: {shown}, Postprocess upscaler: Lanczos</p>");
        assert_eq!(body["html_info"], json!(expected));
    }
}

#[tokio::test]
async fn the_settings_and_flags_of_1_9_are_fewer() {
    for (profile, settings, models_dir) in [(Profile::V1_9_3, 296, false), (Profile::V1_10_1, 312, true)] {
        let webui = MockWebUi::builder().profile(profile).start().await;
        let options = get(&webui, "options").await;
        assert_eq!(
            options.as_object().map(serde_json::Map::len),
            Some(settings),
            "{profile}"
        );
        let flags = get(&webui, "cmd-flags").await;
        assert_eq!(flags.get("models_dir").is_some(), models_dir, "{profile}");
    }
}

#[tokio::test]
async fn an_unknown_scheduler_is_in_the_infotext_of_1_9_and_nowhere_else() {
    let webui = MockWebUi::builder().profile(Profile::V1_9_3).start().await;
    let mut request = small("x", 1);
    request["scheduler"] = json!("nope");
    let answer = render(&webui, &request).await;
    assert!(text_of(&answer).contains("Schedule type: nope"));
    assert_eq!(info(&answer)["extra_generation_params"], json!({}));
}

#[tokio::test]
async fn prompts_of_the_second_pass_are_null_in_the_document_and_shown_when_they_differ() {
    let webui = MockWebUi::start().await;
    let mut request = small("x", 2);
    request["enable_hr"] = json!(true);
    request["denoising_strength"] = json!(0.5);
    request["hr_prompt"] = json!("y");
    let answer = render(&webui, &request).await;
    assert_eq!(
        info(&answer)["extra_generation_params"].to_string(),
        r#"{"Denoising strength":0.5,"Hires prompt":null,"Hires negative prompt":null,"Hires schedule type":null,"Hires upscale":2.0}"#
    );
    assert!(text_of(&answer).contains("Hires prompt: y, Hires upscale: 2.0"));
}

#[tokio::test]
async fn a_lora_without_a_hash_is_applied_and_not_shown() {
    let webui = MockWebUi::builder()
        .loras([Lora::without_hash("style")])
        .start()
        .await;
    let with = render(&webui, &small("x <lora:style:1>", 1)).await;
    let without = render(&webui, &small("x <lora:other:1>", 1)).await;
    assert!(!text_of(&with).contains("Lora hashes"));
    assert_ne!(picture(&with, 0), picture(&without, 0));
}

#[tokio::test]
async fn maps_of_controlnet_come_behind_the_pictures_without_infotexts() {
    let webui = MockWebUi::builder()
        .controlnet_models(["canny"])
        .controlnet_maps(true)
        .start()
        .await;
    let mut request = small("x", 1);
    request["alwayson_scripts"] =
        json!({ "controlnet": { "args": [{ "module": "canny" }, { "module": "depth" }] } });
    let answer = render(&webui, &request).await;
    assert_eq!(answer["images"].as_array().map(Vec::len), Some(3));
    assert_eq!(info(&answer)["infotexts"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn the_page_has_routes_of_its_own() {
    for (page, expected) in [(true, 200), (false, 404)] {
        let webui = MockWebUi::builder().web_page(page).start().await;
        for route in [
            "ping",
            "pending-tasks",
            "sysinfo",
            "sysinfo-download",
            "quicksettings-hint",
            "profile-startup",
        ] {
            let url = format!("{}/internal/{route}", webui.url());
            let status = fetch(url).await.expect("answered").status();
            assert_eq!(status.as_u16(), expected, "{route}");
        }
    }
}

#[tokio::test]
async fn another_kind_of_server_is_found_out_and_compared_with_its_own_kind() {
    let options = ContractOptions::default();
    for profile in [
        Profile::V1_8,
        Profile::V1_9_3,
        Profile::V1_10_1,
        Profile::SdNext,
        Profile::Forge,
    ] {
        let webui = MockWebUi::builder().profile(profile).start().await;
        let found = contract::profile_of(webui.url(), &options)
            .await
            .expect("answers");
        assert_eq!(found, profile);
        let reference = MockWebUi::builder().profile(profile).start().await;
        let suite = Suite::builtin()
            .expecting_answers_of(reference.url(), &options)
            .await
            .expect("answers");
        let report = contract::run(webui.url(), &suite, &options)
            .await
            .expect("answers");
        assert!(report.passed(), "{profile}: {report}");
    }
}

#[tokio::test]
async fn a_contract_leaves_the_checkpoint_as_it_found_it() {
    let webui = MockWebUi::builder().profile(Profile::SdNext).start().await;
    let before = get(&webui, "options").await["sd_model_checkpoint"].clone();
    let suite = Suite::builtin().only(|case| case.name.contains("checkpoint"));
    contract::run(webui.url(), &suite, &ContractOptions::default())
        .await
        .expect("answers");
    assert_eq!(get(&webui, "options").await["sd_model_checkpoint"], before);
}

#[tokio::test]
async fn lines_of_a_list_of_prompts_stand_beside_the_requests_own_prompt() {
    let webui = MockWebUi::start().await;
    for (place, expected) in [("start", ["one x", "two x"]), ("end", ["x one", "x two"])] {
        let mut request = small("x", 1);
        request["script_name"] = json!("prompts from file or textbox");
        request["script_args"] = json!([false, false, place, "one\ntwo"]);
        request["n_iter"] = json!(2);
        let info = info(&render(&webui, &request).await);
        let [first, second] = expected;
        assert_eq!(info["all_prompts"], json!([first, first, second, second]));
        assert_eq!(info["all_seeds"], json!([42, 43, 42, 43]));
    }
}

#[tokio::test]
async fn head_is_refused_with_the_length_of_the_body_that_is_not_sent() {
    let webui = MockWebUi::start().await;
    let url = format!("{}/sdapi/v1/samplers", webui.url());
    let response = crate::support::client().head(url).send().await.expect("answered");
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(response.headers()["allow"], "GET");
    assert_eq!(response.headers()["content-length"], "31");
}
