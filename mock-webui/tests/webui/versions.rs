//! What differs between the imitated versions.

use mock_webui::{MockWebUi, Profile};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{client, fetch, get, info, post, render, small};

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
        (Profile::SdNext, 200, 200, 200, 404),
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
    let forge = serve(Profile::Forge).await;
    let unexpected = post(
        &forge,
        "txt2img",
        &json!({ "steps": 0, "width": 64, "height": 64 }),
    )
    .await;
    assert_eq!(unexpected.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(unexpected.text().await.expect("a body"), "Internal Server Error");
    let deliberate: Value = post(&forge, "img2img", &json!({}))
        .await
        .json()
        .await
        .expect("JSON");
    assert_eq!(deliberate, json!({ "detail": "Init image not found" }));
    let invalid: Value = post(&forge, "txt2img", &json!({ "steps": "abc" }))
        .await
        .json()
        .await
        .expect("JSON");
    assert_eq!(invalid["detail"][0]["type"], json!("int_parsing"));
    assert_eq!(invalid["detail"][0]["input"], json!("abc"));
    let echo = render(&forge, &small("x", 1)).await;
    assert_eq!(echo["parameters"]["distilled_cfg_scale"], json!(3.5));
}

#[tokio::test]
async fn sd_next_answers_errors_in_shapes_of_its_own() {
    let webui = serve(Profile::SdNext).await;
    let no_picture = post(&webui, "img2img", &json!({})).await;
    assert_eq!(no_picture.status(), StatusCode::BAD_REQUEST);
    let no_picture: Value = no_picture.json().await.expect("JSON");
    assert_eq!(no_picture, json!({ "error": "Init image is none" }));
    let deliberate: Value = post(&webui, "txt2img", &json!({ "script_name": "nope" }))
        .await
        .json()
        .await
        .expect("JSON");
    assert_eq!(
        deliberate,
        json!({ "error": "HTTPException", "detail": "Script 'nope' not found", "body": "", "errors": "", "code": 422 })
    );
    let unexpected: Value = post(&webui, "txt2img", &json!({ "steps": 0 }))
        .await
        .json()
        .await
        .expect("JSON");
    assert_eq!(
        (&unexpected["error"], &unexpected["code"]),
        (&json!("ZeroDivisionError"), &json!(500))
    );
    let wrong_kind = post(&webui, "txt2img", &json!({ "enable_hr": true, "steps": 1 })).await;
    assert_eq!(wrong_kind.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let wrong_kind: Value = wrong_kind.json().await.expect("JSON");
    assert!(
        wrong_kind
            .as_str()
            .is_some_and(|text| text.contains("'NoneType'")),
        "{wrong_kind}"
    );
}

#[tokio::test]
async fn sd_next_compresses_longer_answers_only() {
    for (profile, from) in [(Profile::V1_10_1, 1_000), (Profile::SdNext, 2_048)] {
        let webui = serve(profile).await;
        let mut seen = [false; 2];
        for route in ["face-restorers", "schedulers", "samplers", "options"] {
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
        let expected = json!([{ "type": kind, "loc": ["body", field], "msg": words, "input": value }]);
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
