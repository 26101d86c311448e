//! What differs between the imitated versions.

use mock_webui::{ClearedBy, Fault, MockWebUi, Profile};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{client, fetch, get, info, picture, post, render, small};

async fn serve(profile: Profile) -> MockWebUi {
    MockWebUi::builder().profile(profile).start().await
}

async fn status(webui: &MockWebUi, route: &str) -> u16 {
    fetch(format!("{}/sdapi/v1/{route}", webui.url()))
        .await
        .expect("answered")
        .status()
        .as_u16()
}

#[tokio::test]
async fn routes_come_and_go_with_the_versions() {
    for (profile, schedulers, extensions, vaes, modules) in [
        (Profile::V1_6, 404, 404, 200, 404),
        (Profile::V1_8, 404, 200, 200, 404),
        (Profile::V1_9_3, 200, 200, 200, 404),
        (Profile::V1_10_1, 200, 200, 200, 404),
        (Profile::SdNext, 500, 200, 200, 404),
        (Profile::Forge2024, 200, 200, 404, 200),
        (Profile::Forge, 200, 200, 404, 200),
    ] {
        let webui = serve(profile).await;
        let seen = (
            status(&webui, "schedulers").await,
            status(&webui, "extensions").await,
            status(&webui, "sd-vae").await,
            status(&webui, "sd-modules").await,
        );
        assert_eq!(seen, (schedulers, extensions, vaes, modules), "{profile}");
        let preprocess = post(&webui, "preprocess", &json!({})).await.status();
        assert_eq!(
            preprocess == StatusCode::OK,
            profile == Profile::V1_6,
            "{profile}"
        );
    }
}

#[tokio::test]
async fn the_old_sampler_name_is_known_refused_or_split() {
    let mut request = small("x", 1);
    request["sampler_name"] = json!("DPM++ 2M Karras");
    for (profile, used) in [
        (Profile::V1_6, Some("DPM++ 2M Karras")),
        (Profile::V1_8, Some("DPM++ 2M Karras")),
        (Profile::V1_9_3, None),
        (Profile::V1_10_1, Some("DPM++ 2M")),
    ] {
        let response = post(&serve(profile).await, "txt2img", &request).await;
        let refused = response.status() == StatusCode::NOT_FOUND;
        let answer: Value = response.json().await.expect("JSON");
        match used {
            Some(name) => assert_eq!(info(&answer)["sampler_name"], json!(name), "{profile}"),
            None => assert!(
                refused && answer["detail"] == "Sampler not found",
                "{profile}: {answer}"
            ),
        }
    }
}

#[tokio::test]
async fn fields_and_infotexts_are_those_of_the_version() {
    let old = serve(Profile::V1_6).await;
    let answer = render(&old, &small("x", 1)).await;
    for later in ["scheduler", "hr_scheduler", "force_task_id", "infotext"] {
        assert_eq!(answer["parameters"].get(later), None, "{later}");
    }
    assert_eq!(info(&answer).get("version"), None);
    let text = info(&answer)["infotexts"][0].as_str().expect("a text").to_owned();
    assert!(
        !text.contains("Schedule type") && text.ends_with("Version: v1.6.0"),
        "{text}"
    );
    assert_eq!(
        get(&old, "progress").await["state"].get("stopping_generation"),
        None
    );
    let samplers = get(&old, "samplers").await;
    assert!(
        samplers
            .as_array()
            .expect("a list")
            .iter()
            .any(|sampler| sampler["name"] == "DPM++ 2M Karras")
    );
}

#[tokio::test]
async fn forge_answers_errors_in_shapes_of_its_own() {
    for (profile, expected) in [
        (Profile::Forge2024, "Internal Server Error".to_owned()),
        (
            Profile::Forge,
            json!({
                "error": "ZeroDivisionError", "detail": "", "body": "",
                "message": "integer division or modulo by zero",
            })
            .to_string(),
        ),
    ] {
        let forge = serve(profile).await;
        let body = json!({ "steps": 0, "width": 64, "height": 64 });
        let unexpected = post(&forge, "txt2img", &body).await;
        assert_eq!(unexpected.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert!(!unexpected.headers().contains_key("x-process-time"));
        assert_eq!(unexpected.text().await.expect("a body"), expected);
    }
    let forge = serve(Profile::Forge).await;
    let deliberate = post(&forge, "img2img", &json!({})).await;
    assert!(
        !deliberate.headers().contains_key("x-process-time"),
        "it has no such header"
    );
    let deliberate: Value = deliberate.json().await.expect("JSON");
    assert_eq!(deliberate, json!({ "detail": "Init image not found" }));
    let invalid: Value = post(&forge, "txt2img", &json!({ "steps": "abc" }))
        .await
        .json()
        .await
        .expect("JSON");
    assert_eq!(invalid["detail"][0]["type"], json!("int_parsing"));
    assert_eq!(invalid["detail"][0]["input"], json!("abc"));
    assert_eq!(
        invalid["detail"][0]["url"],
        json!("https://errors.pydantic.dev/2.8/v/int_parsing")
    );
    let echo = render(&forge, &small("x", 1)).await;
    assert_eq!(echo["parameters"]["distilled_cfg_scale"], json!(3.5));
}

#[tokio::test]
async fn forge_closes_the_connection_of_an_unexpected_error_and_does_not_say_so() {
    for (profile, kept) in [(Profile::V1_10_1, true), (Profile::Forge, false)] {
        let webui = serve(profile).await;
        let mut stream = TcpStream::connect(webui.address()).await.expect("connects");
        let body = json!({ "steps": 0, "width": 64, "height": 64 }).to_string();
        let request = format!(
            "POST /sdapi/v1/txt2img HTTP/1.1\r\nhost: mock\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.expect("writes");
        let mut answer = Vec::new();
        while !String::from_utf8_lossy(&answer).contains("by zero") {
            assert!(
                stream.read_buf(&mut answer).await.expect("reads") > 0,
                "{answer:?}"
            );
        }
        let head = String::from_utf8_lossy(&answer).to_lowercase();
        assert!(!head.contains("connection: close"), "{head}");
        let request = "GET /sdapi/v1/samplers HTTP/1.1\r\nhost: mock\r\n\r\n";
        let sent = stream.write_all(request.as_bytes()).await;
        let more = match sent {
            Ok(()) => stream.read(&mut [0; 64]).await.unwrap_or(0),
            Err(_) => 0,
        };
        assert_eq!(more > 0, kept, "{profile}");
    }
}

#[tokio::test]
async fn forge_fails_a_second_pass_without_its_list_of_modules_after_the_first_one() {
    let forge = serve(Profile::Forge).await;
    let mut request = small("x", 4);
    request["enable_hr"] = json!(true);
    request["denoising_strength"] = json!(0.5);
    let failed: Value = post(&forge, "txt2img", &request)
        .await
        .json()
        .await
        .expect("JSON");
    assert_eq!(failed["error"], json!("TypeError"));
    assert_eq!(
        failed["message"],
        json!("argument of type 'NoneType' is not iterable")
    );
    assert_eq!(forge.gpu().steps_done(), 4, "the whole first pass is lost");
    request["hr_additional_modules"] = json!(["Use same choices"]);
    let text = info(&render(&forge, &request).await)["infotexts"][0].to_string();
    assert!(
        text.contains("Denoising strength: 0.5, Hires Module 1: Use same choices, Hires CFG Scale: 1.0"),
        "{text}"
    );
}

#[tokio::test]
async fn sd_next_answers_errors_in_shapes_of_its_own() {
    let webui = serve(Profile::SdNext).await;
    let no_picture = post(&webui, "img2img", &json!({})).await;
    assert_eq!(no_picture.status(), StatusCode::BAD_REQUEST);
    let no_picture: Value = no_picture.json().await.expect("JSON");
    assert_eq!(no_picture, json!({ "error": "Init image is none" }));
    let deliberate = post(&webui, "txt2img", &json!({ "sampler_name": "DPM++ 2M Karras" })).await;
    assert_eq!(deliberate.status(), StatusCode::NOT_FOUND);
    let deliberate: Value = deliberate.json().await.expect("JSON");
    assert_eq!(
        deliberate,
        json!({
            "error": "HTTPException", "code": 404, "detail": "Sampler not found", "body": "",
            "errors": "404: Sampler not found",
        })
    );
    let unexpected: Value = post(&webui, "txt2img", &json!({ "n_iter": 0 }))
        .await
        .json()
        .await
        .expect("JSON");
    assert_eq!(
        unexpected,
        json!({ "error": "IndexError", "code": 500, "detail": "", "body": "", "errors": "list index out of range" })
    );
}

#[tokio::test]
async fn sd_next_answers_a_render_that_fails_with_200_and_no_pictures() {
    for fault in [
        Some(Fault::out_of_memory(ClearedBy::Once)),
        Some(Fault::exception("RuntimeError", "CUDA error")),
        None,
    ] {
        let webui = serve(Profile::SdNext).await;
        let mut request = small("x", 2);
        match fault {
            Some(fault) => webui.inject(fault),
            None => request["width"] = json!(-8),
        }
        let answer = render(&webui, &request).await;
        assert_eq!(answer["images"], json!([]));
        assert_eq!(info(&answer)["seed"], json!(42));
        assert_eq!(get(&webui, "progress").await["state"]["interrupted"], json!(true));
    }
}

#[tokio::test]
async fn sd_next_without_a_model_renders_nothing_and_says_nothing() {
    let webui = serve(Profile::SdNext).await;
    let set = post(&webui, "options", &json!({ "sd_model_checkpoint": "nope" })).await;
    let set: Value = set.json().await.expect("JSON");
    assert_eq!(set, json!({ "updated": [{ "sd_model_checkpoint": true }] }));
    let answer = render(&webui, &small("x", 2)).await;
    assert_eq!((&answer["images"], &answer["info"]), (&json!([]), &json!("")));
}

#[tokio::test]
async fn sd_next_takes_what_it_does_not_know() {
    let webui = serve(Profile::SdNext).await;
    for (field, value) in [
        ("script_name", json!("nope")),
        ("steps", json!(0)),
        ("width", json!(0)),
        ("scheduler", json!("nope")),
        ("override_settings", json!({ "nope": 1 })),
    ] {
        let mut request = small("x", 2);
        request[field] = value;
        let answer = render(&webui, &request).await;
        assert_eq!(answer["images"].as_array().map(Vec::len), Some(1), "{field}");
        assert_eq!(answer["parameters"].get("scheduler"), None);
    }
}

#[tokio::test]
async fn sd_next_has_no_body_where_a_route_only_does_something() {
    let webui = serve(Profile::SdNext).await;
    for route in [
        "interrupt",
        "skip",
        "refresh-checkpoints",
        "refresh-vae",
        "unload-checkpoint",
        "reload-checkpoint",
    ] {
        let response = post(&webui, route, &json!({})).await;
        assert_eq!(response.status(), StatusCode::NO_CONTENT, "{route}");
        assert!(response.bytes().await.expect("a body").is_empty());
    }
    for route in [
        "hypernetworks",
        "latent-upscale-modes",
        "realesrgan-models",
        "sd-modules",
    ] {
        assert_eq!(status(&webui, route).await, 404, "{route}");
    }
}

#[tokio::test]
async fn sd_nexts_pictures_are_jpeg_with_an_infotext_of_its_own() {
    let webui = serve(Profile::SdNext).await;
    let answer = render(&webui, &small("x", 2)).await;
    assert!(picture(&answer, 0).starts_with(&[0xff, 0xd8]));
    let text = info(&answer)["infotexts"][0].as_str().expect("a text").to_owned();
    assert!(
        text.starts_with("x\nNegative prompt: \nTemplate: x\nSteps: 2, Size: 64x64, Scheduler: ")
            && text.contains("App: SD.Next, Version: unknown, Pipeline: StableDiffusionPipeline"),
        "{text}"
    );
}

#[tokio::test]
async fn sd_next_compresses_longer_answers_only() {
    for (profile, from) in [(Profile::V1_10_1, 1_000), (Profile::SdNext, 2_048)] {
        let webui = serve(profile).await;
        let mut seen = [false; 2];
        for route in ["progress", "script-info", "samplers", "options", "cmd-flags"] {
            let url = format!("{}/sdapi/v1/{route}", webui.url());
            let plain = fetch(url.as_str())
                .await
                .expect("an answer")
                .text()
                .await
                .expect("text");
            let packed = client()
                .get(url)
                .header("accept-encoding", "gzip")
                .send()
                .await
                .expect("an answer");
            let is_packed = packed.headers().contains_key("content-encoding");
            assert_eq!(
                is_packed,
                plain.len() >= from,
                "{profile} {route}: {}",
                plain.len()
            );
            seen[usize::from(is_packed)] = true;
        }
        assert_eq!(seen, [true, true], "{profile}");
    }
}

#[tokio::test]
async fn the_scale_of_extras_has_limits_before_1_8() {
    for (profile, expected) in [(Profile::V1_6, 422), (Profile::V1_10_1, 500)] {
        let body = json!({ "image": "", "upscaling_resize": 9 });
        let response = post(&serve(profile).await, "extra-single-image", &body).await;
        assert_eq!(response.status().as_u16(), expected, "{profile}");
    }
}

#[tokio::test]
async fn forge_refuses_kinds_that_the_others_convert() {
    let (forge, usual) = (serve(Profile::Forge).await, serve(Profile::V1_10_1).await);
    for (field, value, kind, words) in [
        (
            "steps",
            json!(2.7),
            "int_from_float",
            "Input should be a valid integer, got a number with a fractional part",
        ),
        (
            "prompt",
            json!(12),
            "string_type",
            "Input should be a valid string",
        ),
        (
            "prompt",
            json!(true),
            "string_type",
            "Input should be a valid string",
        ),
    ] {
        let mut request = small("x", 1);
        request[field] = value.clone();
        assert_eq!(post(&usual, "txt2img", &request).await.status(), StatusCode::OK);
        let answer: Value = post(&forge, "txt2img", &request)
            .await
            .json()
            .await
            .expect("JSON");
        let url = format!("https://errors.pydantic.dev/2.8/v/{kind}");
        let expected =
            json!([{ "type": kind, "loc": ["body", field], "msg": words, "input": value, "url": url }]);
        assert_eq!(answer["detail"], expected, "{field}");
    }
}

#[tokio::test]
async fn forge_still_converts_numerals_and_the_usual_words_for_booleans() {
    let forge = serve(Profile::Forge).await;
    for (field, value, kept) in [
        ("width", json!("64"), json!(64)),
        ("width", json!(64.0), json!(64)),
        ("tiling", json!("true"), json!(true)),
        ("tiling", json!(1), json!(true)),
    ] {
        let mut request = small("x", 1);
        request[field] = value;
        assert_eq!(render(&forge, &request).await["parameters"][field], kept);
    }
}

#[tokio::test]
async fn forge_reads_no_list_as_an_object() {
    let forge = serve(Profile::Forge).await;
    let body: Value = post(&forge, "txt2img", &json!([]))
        .await
        .json()
        .await
        .expect("JSON");
    assert_eq!(body["detail"][0]["type"], json!("model_attributes_type"));
    let field = json!({ "override_settings": [] });
    let answer: Value = post(&forge, "txt2img", &field).await.json().await.expect("JSON");
    assert_eq!(answer["detail"][0]["type"], json!("dict_type"));
}

#[tokio::test]
async fn the_page_of_the_api_lists_the_fields_of_its_version() {
    for (profile, scheduler, distilled) in [
        (Profile::V1_8, false, false),
        (Profile::V1_9_3, true, false),
        (Profile::Forge, true, true),
    ] {
        let webui = serve(profile).await;
        let page = fetch(format!("{}/openapi.json", webui.url()));
        let page: Value = page.await.expect("answered").json().await.expect("JSON");
        let body = "/paths/~1sdapi~1v1~1txt2img/post/requestBody/content/application~1json/schema/$ref";
        let name = page.pointer(body).and_then(Value::as_str).expect("a reference");
        let schema = page.pointer(name.trim_start_matches('#')).expect("a schema");
        let fields = schema["properties"].as_object().expect("fields");
        assert_eq!(fields["steps"]["default"], 50);
        assert_eq!(fields.contains_key("scheduler"), scheduler, "{profile}");
        assert_eq!(fields.contains_key("distilled_cfg_scale"), distilled, "{profile}");
        assert!(fields.contains_key("enable_hr") && !fields.contains_key("init_images"));
    }
}
