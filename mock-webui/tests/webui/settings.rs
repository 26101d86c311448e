//! Settings, their leak, file formats, styles, scripts, headers.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mock_webui::{MockWebUi, Model, Style};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{get, info, picture, post, read_png, render, small};

fn with_override(settings: &Value) -> Value {
    let mut request = small("x", 1);
    request["override_settings"] = settings.clone();
    request
}

#[tokio::test]
async fn an_override_stays_on_a_fresh_server_and_not_on_one_with_a_settings_file() {
    for (has_file, stays) in [(false, 2), (true, 1)] {
        let webui = MockWebUi::builder().settings_file(has_file).start().await;
        let overridden = render(&webui, &with_override(&json!({ "CLIP_stop_at_last_layers": 2 }))).await;
        assert_eq!(info(&overridden)["clip_skip"], json!(2));
        assert_eq!(
            info(&render(&webui, &small("x", 1)).await)["clip_skip"],
            json!(stays)
        );
    }
}

#[tokio::test]
async fn an_overridden_checkpoint_renders_and_the_old_one_comes_back() {
    let webui = MockWebUi::builder()
        .models([Model::new("a"), Model::new("b")])
        .start()
        .await;
    let request = with_override(&json!({ "sd_model_checkpoint": "b" }));
    assert_eq!(info(&render(&webui, &request).await)["sd_model_name"], json!("b"));
    assert_eq!(
        info(&render(&webui, &small("x", 1)).await)["sd_model_name"],
        json!("a")
    );
    assert_eq!(
        get(&webui, "options").await["sd_model_checkpoint"],
        json!("a.safetensors")
    );
}

#[tokio::test]
async fn overrides_before_an_unknown_key_are_put_back_too() {
    let webui = MockWebUi::builder()
        .settings_file(true)
        .models([Model::new("a"), Model::new("b")])
        .start()
        .await;
    let bad = json!({ "sd_model_checkpoint": "b", "CLIP_stop_at_last_layers": 2, "nope": 1 });
    let failed = post(&webui, "txt2img", &with_override(&bad)).await;
    assert_eq!(
        failed.json::<Value>().await.expect("JSON")["error"],
        json!("KeyError")
    );
    let next = info(&render(&webui, &small("x", 1)).await);
    assert_eq!(
        (&next["sd_model_name"], &next["clip_skip"]),
        (&json!("a"), &json!(1))
    );
}

#[tokio::test]
async fn frozen_settings_cannot_be_changed() {
    let webui = MockWebUi::builder().frozen_settings(true).start().await;
    let response = post(&webui, "options", &json!({ "send_seed": true })).await;
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(
        response.json::<Value>().await.expect("JSON")["error"],
        json!("AssertionError")
    );
}

#[tokio::test]
async fn saved_settings_survive_a_restart_and_leaked_ones_do_not() {
    let webui = MockWebUi::start().await;
    post(&webui, "options", &json!({ "tiling": true })).await;
    render(&webui, &with_override(&json!({ "CLIP_stop_at_last_layers": 2 }))).await;
    webui.restart().await;
    let options = get(&webui, "options").await;
    assert_eq!(
        (&options["tiling"], &options["CLIP_stop_at_last_layers"]),
        (&json!(true), &json!(1))
    );
}

#[tokio::test]
async fn pictures_come_in_the_format_of_the_settings_with_their_text() {
    let webui = MockWebUi::builder().settings_file(true).start().await;
    for (format, start) in [
        ("jpg", &b"\xff\xd8\xff"[..]),
        ("webp", b"RIFF"),
        ("png", b"\x89PNG"),
    ] {
        let answer = render(&webui, &with_override(&json!({ "samples_format": format }))).await;
        let file = picture(&answer, 0);
        assert!(file.starts_with(start), "{format}");
        if format != "png" {
            let text = info(&answer)["infotexts"][0].as_str().expect("a text").to_owned();
            let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
            assert!(
                file.windows(utf16.len()).any(|part| part == utf16),
                "{format} lacks its text"
            );
        }
    }
    let refused = post(
        &webui,
        "txt2img",
        &with_override(&json!({ "samples_format": "gif" })),
    )
    .await;
    let error: Value = refused.json().await.expect("JSON");
    assert_eq!(error["detail"], json!("Invalid image format"));
    let bare = render(&webui, &with_override(&json!({ "enable_pnginfo": false }))).await;
    assert!(read_png(&picture(&bare, 0)).text.is_none());
}

#[tokio::test]
async fn settings_add_entries_to_the_infotext_and_take_others_away() {
    let webui = MockWebUi::builder().settings_file(true).start().await;
    let text = async |settings: Value| {
        let mut request = with_override(&settings);
        request["sampler_name"] = json!("Euler a");
        info(&render(&webui, &request).await)["infotexts"][0]
            .as_str()
            .expect("a text")
            .to_owned()
    };
    let more = text(
        json!({ "eta_noise_seed_delta": 31337, "randn_source": "CPU", "tiling": true, "sd_vae": "v.pt" }),
    )
    .await;
    assert!(
        more.contains(", ENSD: 31337, RNG: CPU, Tiling: True, Version"),
        "{more}"
    );
    assert!(more.contains(", VAE: v.pt, "), "{more}");
    let less = text(json!({ "add_model_hash_to_info": false, "add_version_to_infotext": false })).await;
    assert!(
        less.ends_with("Size: 64x64, Model: v1-5-pruned-emaonly"),
        "{less}"
    );
}

#[tokio::test]
async fn styles_are_listed_and_applied_by_name() {
    let webui = MockWebUi::builder()
        .styles([Style::new("photo", "photo of {prompt}", "blurry")])
        .start()
        .await;
    assert_eq!(get(&webui, "prompt-styles").await[0]["name"], json!("photo"));
    let mut request = small("a cat", 1);
    request["styles"] = json!(["photo", "unknown"]);
    let info = info(&render(&webui, &request).await);
    assert_eq!(
        (&info["prompt"], &info["negative_prompt"]),
        (&json!("photo of a cat"), &json!("blurry"))
    );
    assert_eq!(info["styles"], json!(["photo", "unknown"]));
}

#[tokio::test]
async fn saving_pictures_puts_the_grid_first() {
    let webui = MockWebUi::start().await;
    let mut request = small("x", 1);
    request["batch_size"] = json!(3);
    request["save_images"] = json!(true);
    let answer = render(&webui, &request).await;
    assert_eq!(answer["images"].as_array().map(Vec::len), Some(4));
    let grid = read_png(&picture(&answer, 0));
    assert_eq!(grid.size, (128, 128));
    assert_eq!(info(&answer)["index_of_first_image"], json!(1));
    assert_eq!(json!(grid.text.expect("a text").1), info(&answer)["infotexts"][0]);
}

#[tokio::test]
async fn an_infotext_fills_what_the_request_leaves_out() {
    let webui = MockWebUi::start().await;
    let request = json!({
        "infotext": "a cat\nNegative prompt: dog\nSteps: 3, Sampler: DDIM, CFG scale: 5, Seed: 9, Size: 64x72",
        "seed": 11,
    });
    let info = info(&render(&webui, &request).await);
    assert_eq!(
        (&info["prompt"], &info["negative_prompt"]),
        (&json!("a cat"), &json!("dog"))
    );
    assert_eq!(
        (&info["steps"], &info["sampler_name"], &info["seed"]),
        (&json!(3), &json!("DDIM"), &json!(11))
    );
    assert_eq!((&info["width"], &info["height"]), (&json!(64), &json!(72)));
}

#[tokio::test]
async fn the_second_pass_doubles_the_jobs_and_enlarges_the_picture() {
    let webui = MockWebUi::builder().manual_clock().start().await;
    let mut request = small("x", 4);
    request["enable_hr"] = json!(true);
    request["denoising_strength"] = json!(0.5);
    request["hr_second_pass_steps"] = json!(2);
    let job = crate::support::start(&webui, &request);
    webui.gpu().advance(5).await;
    let progress = webui.gpu().progress();
    assert_eq!(
        (progress.job_count, progress.job_no, progress.sampling_steps),
        (2, 1, 2)
    );
    webui.gpu().advance(1).await;
    let answer = job.await.expect("answered");
    assert_eq!(read_png(&picture(&answer, 0)).size, (128, 128));
    let text = info(&answer)["infotexts"][0].as_str().expect("a text").to_owned();
    assert!(
        text.contains("Hires upscale: 2.0, Hires steps: 2, Version"),
        "{text}"
    );
}

#[tokio::test]
async fn img2img_does_the_share_of_steps_that_its_strength_leaves() {
    let webui = MockWebUi::start().await;
    let file = STANDARD.encode(picture(&render(&webui, &small("x", 1)).await, 0));
    let before = webui.gpu().steps_done();
    let body =
        json!({ "init_images": [file], "steps": 20, "denoising_strength": 0.5, "width": 64, "height": 64 });
    assert_eq!(post(&webui, "img2img", &body).await.status(), StatusCode::OK);
    assert_eq!(webui.gpu().steps_done() - before, 11);
}

#[tokio::test]
async fn long_answers_are_compressed_when_the_client_asks() {
    let webui = MockWebUi::start().await;
    let client = crate::support::client();
    for (route, packed) in [("options", true), ("progress", false)] {
        let url = format!("{}/sdapi/v1/{route}", webui.url());
        let response = client
            .get(&url)
            .header("accept-encoding", "gzip")
            .send()
            .await
            .expect("answered");
        assert_eq!(
            response.headers().contains_key("content-encoding"),
            packed,
            "{route}"
        );
        assert_eq!(response.headers().contains_key("vary"), packed, "{route}");
        let bytes = response.bytes().await.expect("a body");
        assert_eq!(bytes.starts_with(&[0x1f, 0x8b]), packed, "{route}");
    }
}

#[tokio::test]
async fn every_answer_has_the_headers_of_the_real_server() {
    let webui = MockWebUi::start().await;
    let response = crate::support::fetch(format!("{}/sdapi/v1/sd-models", webui.url()))
        .await
        .expect("answered");
    let headers = response.headers();
    assert_eq!(headers["server"], "uvicorn");
    assert_eq!(headers["content-type"], "application/json");
    let seconds: f64 = headers["x-process-time"]
        .to_str()
        .expect("text")
        .parse()
        .expect("a number");
    assert!((0.0..10.0).contains(&seconds));
    for name in ["date", "content-length"] {
        assert!(headers.contains_key(name), "{name}");
    }
    assert!(
        headers.keys().all(|name| !name.as_str().starts_with("x-mock")),
        "{headers:?}"
    );
}

#[tokio::test]
async fn a_slash_too_many_is_redirected_and_head_is_not_allowed() {
    let webui = MockWebUi::start().await;
    let client = crate::support::client_builder()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .expect("a client");
    let url = format!("{}/sdapi/v1/sd-models", webui.url());
    let redirect = client.get(format!("{url}/?a=b")).send().await.expect("answered");
    assert_eq!(redirect.status(), StatusCode::TEMPORARY_REDIRECT);
    assert_eq!(
        redirect.headers()["location"].to_str().expect("text"),
        format!("{url}?a=b")
    );
    let head = client.head(&url).send().await.expect("answered");
    assert_eq!(head.status(), StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn controlnet_has_routes_only_when_it_is_installed() {
    let without = MockWebUi::start().await;
    let url = format!("{}/controlnet/model_list", without.url());
    assert_eq!(
        crate::support::fetch(&url).await.expect("answered").status(),
        StatusCode::NOT_FOUND
    );
    let with = MockWebUi::builder()
        .controlnet_models(["control_canny [abc]"])
        .start()
        .await;
    let list: Value = crate::support::fetch(format!("{}/controlnet/model_list", with.url()))
        .await
        .expect("answered")
        .json()
        .await
        .expect("JSON");
    assert_eq!(list, json!({ "model_list": ["control_canny [abc]"] }));
    let mut request = small("x", 1);
    request["alwayson_scripts"] = json!({ "ControlNet": { "args": [{ "enabled": false }] } });
    assert_eq!(post(&with, "txt2img", &request).await.status(), StatusCode::OK);
    assert_eq!(
        post(&without, "txt2img", &request).await.status(),
        StatusCode::UNPROCESSABLE_ENTITY
    );
    let detect = format!("{}/controlnet/detect", with.url());
    let none = crate::support::client()
        .post(&detect)
        .json(&json!({}))
        .send()
        .await
        .expect("answered");
    assert_eq!(
        none.json::<Value>().await.expect("JSON")["detail"],
        json!("No image selected")
    );
}
