//! The work of the WebUI beside plain txt2img.

use mock_webui::{Lora, MockWebUi, Profile};
use serde_json::{Value, json};

use crate::support::{EXAMPLE, Stage, Tap, get, soon, verdict};

fn api(method: &str, endpoint: &str, payload: &Value) -> String {
    json!({ "api": { "method": method, "endpoint": endpoint }, "payload": payload }).to_string()
}

async fn answer(stage: &Stage, input: &str) -> Value {
    serde_json::from_slice(&stage.complete(input).await).unwrap()
}

#[tokio::test]
async fn a_list_passes_through_byte_for_byte_while_something_renders() {
    let webui = MockWebUi::builder()
        .manual_clock()
        .loras([Lora::new("detail", "0123456789ab")])
        .start()
        .await;
    let stage = Stage::with(webui.url(), &[("RUNPOD_WORKER_CONCURRENCY", "2")]).await;
    let render = stage.submit(EXAMPLE).await;
    soon(webui.gpu().rendering()).await;

    for route in ["sd-models", "samplers", "loras", "progress", "options", "memory"] {
        let expected = get(&format!("{}/sdapi/v1/{route}", webui.url())).await;
        let output = stage.complete(&api("GET", route, &json!({}))).await;
        if !["progress", "memory"].contains(&route) {
            assert_eq!(output, expected, "{route}");
        }
    }
    assert_eq!(
        webui.gpu().steps_done(),
        0,
        "the render still waits for its clock"
    );
    soon(webui.gpu().advance(25)).await;
    assert_eq!(soon(render.wait()).await.unwrap().status.as_str(), "COMPLETED");
}

#[tokio::test]
async fn every_operation_of_a_version_is_served() {
    // SD.Next has no interrogate, and fails on its own answer to extras.
    for profile in Profile::ALL
        .into_iter()
        .filter(|profile| *profile > Profile::V1_8 && *profile != Profile::SdNext)
    {
        let webui = MockWebUi::builder().profile(profile).start().await;
        let stage = Stage::new(webui.url()).await;
        let small = json!({ "prompt": "x", "steps": 1, "width": 64, "height": 64 });
        let rendered = answer(&stage, &api("POST", "/sdapi/v1/txt2img", &small)).await;
        let made = rendered["images"][0].as_str().unwrap();

        let again = json!({ "prompt": "x", "steps": 1, "width": 64, "height": 64, "init_images": [made] });
        // As a plain input, too: txt2img would drop the picture without a word.
        for input in [api("POST", "img2img", &again), again.to_string()] {
            let output = answer(&stage, &input).await;
            assert_eq!(
                output["parameters"]["init_images"],
                Value::Null,
                "{profile}: {output}"
            );
            assert!(output["parameters"].as_object().unwrap().contains_key("mask"));
        }
        let upscaled = answer(
            &stage,
            &api(
                "POST",
                "extra-single-image",
                &json!({ "image": made, "upscaler_1": "Lanczos" }),
            ),
        )
        .await;
        assert!(upscaled["image"].as_str().unwrap().len() > 100, "{profile}");
        let batch = json!({ "imageList": [{ "data": made, "name": "a" }, { "data": made, "name": "b" }] });
        let batch = answer(&stage, &api("POST", "extra-batch-images", &batch)).await;
        assert_eq!(batch["images"].as_array().unwrap().len(), 2, "{profile}");
        let read = answer(&stage, &api("POST", "png-info", &json!({ "image": made }))).await;
        assert!(
            read["info"].as_str().unwrap().contains("Steps: 1"),
            "{profile}: {read}"
        );
        let seen = json!({ "image": made, "model": "clip" });
        let seen = answer(&stage, &api("POST", "interrogate", &seen)).await;
        assert!(
            seen["caption"].as_str().unwrap().ends_with("64 by 64 pixels"),
            "{profile}: {seen}"
        );
        let error = stage
            .fail(&api(
                "POST",
                "interrogate",
                &json!({ "image": made, "model": "nope" }),
            ))
            .await;
        assert_eq!(
            verdict(&error),
            ["INVALID_PARAMETERS", "user", "final"],
            "{profile}"
        );
        for (endpoint, payload) in [
            ("refresh-checkpoints", Value::Null),
            ("refresh-loras", Value::Null),
            ("unload-checkpoint", json!({})),
            ("reload-checkpoint", json!({})),
            ("options", json!({ "CLIP_stop_at_last_layers": 2 })),
        ] {
            stage.complete(&api("POST", endpoint, &payload)).await;
        }
        let options = answer(&stage, &api("GET", "options", &Value::Null)).await;
        assert_eq!(options["CLIP_stop_at_last_layers"], json!(2.0), "{profile}");
    }
}

#[tokio::test]
async fn scripts_and_controlnet_pass_through() {
    let webui = MockWebUi::builder()
        .controlnet_models(["canny [d14c016b]"])
        .start()
        .await;
    let tap = Tap::before(webui.address()).await;
    let stage = Stage::new(&format!("http://{}", tap.address)).await;
    let input = r#"{"prompt": "a|b", "steps": 1, "width": 64, "height": 64,
        "script_name": "prompt matrix", "script_args": [false, false, "positive", "comma", 0],
        "alwayson_scripts": {"controlnet": {"args": [{"module": "canny", "model": "canny [d14c016b]"}]}}}"#;
    let output = answer(&stage, input).await;
    assert_eq!(
        output["images"].as_array().unwrap().len(),
        3,
        "a grid and two pictures"
    );
    let (request, _) = tap.render();
    assert_eq!(String::from_utf8(request.body).unwrap(), input);
}

#[tokio::test]
async fn a_payload_of_the_api_form_arrives_byte_for_byte() {
    let webui = MockWebUi::start().await;
    let tap = Tap::before(webui.address()).await;
    let stage = Stage::new(&format!("http://{}", tap.address)).await;
    let input = format!(r#"{{"payload" : {EXAMPLE}, "api": {{"endpoint": "txt2img"}}}}"#);
    let output = stage.complete(&input).await;
    let (request, answer) = tap.render();
    assert_eq!(request.body, EXAMPLE.as_bytes());
    assert_eq!(output, answer.body);
}

#[tokio::test]
async fn dangerous_routes_are_refused_unless_the_owner_allows_them() {
    let webui = MockWebUi::builder().stop_routes(true).start().await;
    let stage = Stage::new(webui.url()).await;
    for endpoint in ["/sdapi/v1/server-stop", "/sdapi/v1/interrupt", "/some/extension"] {
        let error = stage.fail(&api("POST", endpoint, &json!({}))).await;
        assert_eq!(verdict(&error), ["ROUTE_REFUSED", "user", "final"], "{error}");
    }
    let asked = webui.stubs().received_requests().await.unwrap();
    assert!(
        asked
            .iter()
            .all(|request| !request.url.path().contains("interrupt"))
    );

    let allowed = [("SD_WORKER_ALLOW_ROUTES", "/sdapi/v1/interrupt,/some/*")];
    let stage = Stage::with(webui.url(), &allowed).await;
    stage.complete(&api("POST", "interrupt", &json!({}))).await;
    let error = stage.fail(&api("POST", "/some/extension", &json!({}))).await;
    assert_eq!(verdict(&error), ["BACKEND_MISCONFIGURED", "backend", "final"]);
}
