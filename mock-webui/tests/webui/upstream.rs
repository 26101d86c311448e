//! The cases of the upstream project's own HTTP tests, in our words: small pictures, status 200, options
//! that work.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mock_webui::MockWebUi;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{get, picture, post, read_png, render, small};

/// A small picture, as its file in base64.
async fn a_picture(webui: &MockWebUi) -> String {
    STANDARD.encode(picture(&render(webui, &small("x", 1)).await, 0))
}

fn merged(mut body: Value, changes: &Value) -> Value {
    for (name, value) in changes.as_object().expect("an object") {
        body[name] = value.clone();
    }
    body
}

async fn succeeds(webui: &MockWebUi, route: &str, body: &Value) -> Value {
    let response = post(webui, route, body).await;
    let status = response.status();
    let answer: Value = response.json().await.expect("JSON");
    assert_eq!(status, StatusCode::OK, "{route} {body}: {answer}");
    answer
}

#[tokio::test]
async fn txt2img_takes_every_usual_option() {
    let webui = MockWebUi::start().await;
    let base = json!({
        "batch_size": 1, "cfg_scale": 7, "denoising_strength": 0, "enable_hr": false, "eta": 0,
        "firstphase_height": 0, "firstphase_width": 0, "height": 64, "n_iter": 1, "negative_prompt": "",
        "prompt": "example prompt", "restore_faces": false, "s_churn": 0, "s_noise": 1, "s_tmax": 0,
        "s_tmin": 0, "sampler_index": "Euler a", "seed": -1, "seed_resize_from_h": -1,
        "seed_resize_from_w": -1, "steps": 3, "styles": [], "subseed": -1, "subseed_strength": 0,
        "tiling": false, "width": 64,
    });
    for changes in [
        json!({}),
        json!({ "negative_prompt": "example negative prompt" }),
        json!({ "prompt": "((emphasis)), (emphasis1:1.1), [to:1], [from::2], [from:to:0.3], [alt|alt1]" }),
        json!({ "prompt": "a AND b :0.5" }),
        json!({ "height": 128 }),
        json!({ "enable_hr": true }),
        json!({ "sampler_index": "PLMS" }),
        json!({ "sampler_index": "DDIM" }),
        json!({ "sampler_index": "UniPC" }),
        json!({ "denoising_strength": 0.5, "enable_hr": true }),
        json!({ "batch_size": 2 }),
        json!({ "n_iter": 2 }),
        json!({ "batch_size": 2, "n_iter": 2 }),
        json!({ "restore_faces": true }),
        json!({ "tiling": true }),
        json!({ "styles": ["one", "two"] }),
        json!({ "subseed": 7, "subseed_strength": 0.3 }),
        json!({ "seed_resize_from_h": 32, "seed_resize_from_w": 32 }),
        json!({ "send_images": false, "save_images": true }),
    ] {
        succeeds(&webui, "txt2img", &merged(base.clone(), &changes)).await;
    }
}

#[tokio::test]
async fn img2img_takes_every_usual_option() {
    let webui = MockWebUi::start().await;
    let file = a_picture(&webui).await;
    let base = json!({
        "batch_size": 1, "cfg_scale": 7, "denoising_strength": 0.75, "height": 64, "include_init_images": false,
        "init_images": [file], "inpaint_full_res": false, "inpaint_full_res_padding": 0, "inpainting_fill": 0,
        "inpainting_mask_invert": false, "mask": null, "mask_blur": 4, "n_iter": 1, "negative_prompt": "",
        "override_settings": {}, "prompt": "example prompt", "resize_mode": 0, "sampler_index": "Euler a",
        "steps": 3, "styles": [], "width": 64,
    });
    for changes in [
        json!({}),
        json!({ "mask": file }),
        json!({ "mask": file, "inpainting_mask_invert": true }),
        json!({ "prompt": "sd upscale", "script_name": "sd upscale", "script_args": ["", 8, "Lanczos", 2.0] }),
        json!({ "resize_mode": 1, "width": 128 }),
    ] {
        succeeds(&webui, "img2img", &merged(base.clone(), &changes)).await;
    }
}

#[tokio::test]
async fn extras_enlarge_one_picture_and_several() {
    let webui = MockWebUi::start().await;
    let file = a_picture(&webui).await;
    let base = json!({
        "resize_mode": 0, "show_extras_results": true, "gfpgan_visibility": 0, "codeformer_visibility": 0,
        "codeformer_weight": 0, "upscaling_resize": 2, "upscaling_resize_w": 128, "upscaling_resize_h": 128,
        "upscaling_crop": true, "upscaler_1": "Lanczos", "upscaler_2": "None",
        "extras_upscaler_2_visibility": 0,
    });
    let one = succeeds(
        &webui,
        "extra-single-image",
        &merged(base.clone(), &json!({ "image": file })),
    )
    .await;
    let bytes = STANDARD
        .decode(one["image"].as_str().expect("a picture"))
        .expect("base64");
    assert_eq!(read_png(&bytes).size, (128, 128));
    let list = json!({ "imageList": [{ "data": file, "name": "a.png" }, { "data": file, "name": "b.png" }] });
    let many = succeeds(&webui, "extra-batch-images", &merged(base, &list)).await;
    assert_eq!(many["images"].as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn face_restoration_leaves_its_trace_in_extras() {
    let webui = MockWebUi::start().await;
    let file = a_picture(&webui).await;
    let body = json!({ "image": file, "gfpgan_visibility": 1, "codeformer_visibility": 1 });
    let answer = succeeds(&webui, "extra-single-image", &body).await;
    let expected = "<p>Postprocess GFPGAN visibility: 1.0, Postprocess CodeFormer visibility: 1.0</p>";
    assert_eq!(answer["html_info"], json!(expected));
}

#[tokio::test]
async fn options_are_read_and_written_back() {
    let webui = MockWebUi::start().await;
    let options = get(&webui, "options").await;
    assert_eq!(options.as_object().map(serde_json::Map::len), Some(312));
    let wanted = json!({ "send_seed": !options["send_seed"].as_bool().expect("a flag") });
    assert_eq!(succeeds(&webui, "options", &wanted).await, Value::Null);
    assert_eq!(get(&webui, "options").await["send_seed"], wanted["send_seed"]);
}

#[tokio::test]
async fn every_list_answers() {
    let webui = MockWebUi::start().await;
    for route in [
        "cmd-flags",
        "samplers",
        "schedulers",
        "upscalers",
        "latent-upscale-modes",
        "sd-models",
        "sd-vae",
        "hypernetworks",
        "face-restorers",
        "realesrgan-models",
        "prompt-styles",
        "embeddings",
        "memory",
        "scripts",
        "script-info",
        "extensions",
        "loras",
        "progress",
        "options",
    ] {
        let response = crate::support::fetch(format!("{}/sdapi/v1/{route}", webui.url()))
            .await
            .expect("answered");
        assert_eq!(response.status(), StatusCode::OK, "{route}");
    }
    for route in [
        "refresh-checkpoints",
        "refresh-vae",
        "refresh-embeddings",
        "refresh-loras",
        "interrupt",
        "skip",
        "reload-checkpoint",
    ] {
        assert_eq!(
            post(&webui, route, &json!({})).await.status(),
            StatusCode::OK,
            "{route}"
        );
    }
}
