//! Requests other than the recorded ones, answered as the real server would.

use mock_webui::MockWebUi;
use serde_json::{Value, json};

use crate::support::{info, picture, post, read_png, render, small};

#[tokio::test]
async fn the_picture_carries_its_infotext() {
    let webui = MockWebUi::start().await;
    let answer = render(&webui, &small("a cat", 3)).await;
    let png = read_png(&picture(&answer, 0));
    let (keyword, text) = png.text.expect("a text chunk");
    assert_eq!(
        (png.size, keyword.as_str(), png.international),
        ((64, 64), "parameters", false)
    );
    assert_eq!(json!(text), info(&answer)["infotexts"][0]);
    assert!(
        text.starts_with(
            "a cat\nSteps: 3, Sampler: Euler, Schedule type: Automatic, CFG scale: 7.0, Seed: 42"
        )
    );
}

#[tokio::test]
async fn text_beyond_latin_1_goes_into_an_international_chunk_and_is_escaped_in_info() {
    let webui = MockWebUi::start().await;
    let answer = render(&webui, &small("кот 😀", 1)).await;
    assert!(read_png(&picture(&answer, 0)).international);
    let raw = answer["info"].as_str().expect("a string");
    assert!(
        raw.starts_with(r#"{"prompt": "\u043a\u043e\u0442 \ud83d\ude00", "#),
        "{raw}"
    );
}

#[tokio::test]
async fn sizes_are_floored_in_the_picture_and_kept_in_the_text() {
    let webui = MockWebUi::start().await;
    let answer = render(
        &webui,
        &json!({ "prompt": "x", "steps": 1, "width": 65, "height": 79 }),
    )
    .await;
    assert_eq!(read_png(&picture(&answer, 0)).size, (64, 72));
    assert_eq!(info(&answer)["width"], json!(65));
    assert!(
        info(&answer)["infotexts"][0]
            .as_str()
            .expect("a text")
            .contains("Size: 65x79")
    );
}

#[tokio::test]
async fn the_same_seed_gives_the_same_bytes_and_another_prompt_others() {
    let webui = MockWebUi::start().await;
    let (first, again) = (
        render(&webui, &small("x", 2)).await,
        render(&webui, &small("x", 2)).await,
    );
    assert_eq!(picture(&first, 0), picture(&again, 0));
    assert_ne!(
        picture(&first, 0),
        picture(&render(&webui, &small("y", 2)).await, 0)
    );
}

#[tokio::test]
async fn values_are_coerced_before_they_are_echoed() {
    let webui = MockWebUi::start().await;
    let body = json!({
        "prompt": 5, "steps": "2", "width": "64", "height": 64.9, "cfg_scale": "7.5", "send_images": "off",
        "unknown": 1,
    });
    let answer = render(&webui, &body).await;
    let echo = &answer["parameters"];
    assert_eq!(answer["images"], json!([]));
    assert_eq!(echo["prompt"], json!("5"));
    assert_eq!((&echo["steps"], &echo["height"]), (&json!(2), &json!(64)));
    assert_eq!(
        (&echo["cfg_scale"], &echo["send_images"]),
        (&json!(7.5), &json!(false))
    );
    assert_eq!(echo.get("unknown"), None);
    assert_eq!(
        info(&answer)["infotexts"].as_array().map(Vec::len),
        Some(1),
        "info stays complete"
    );
}

#[tokio::test]
async fn variation_seeds_count_up_under_one_seed() {
    let webui = MockWebUi::start().await;
    let body = json!({
        "prompt": "x", "steps": 1, "width": 64, "height": 64, "seed": 7, "subseed": 100, "subseed_strength": 0.5,
        "batch_size": 3,
    });
    let info = info(&render(&webui, &body).await);
    assert_eq!(info["all_seeds"], json!([7, 7, 7]));
    assert_eq!(info["all_subseeds"], json!([100, 101, 102]));
    let text = info["infotexts"][1].as_str().expect("a text");
    assert!(
        text.contains("Variation seed: 101, Variation seed strength: 0.5"),
        "{text}"
    );
}

#[tokio::test]
async fn numbers_that_python_cannot_use_are_its_exceptions() {
    let webui = MockWebUi::start().await;
    for (field, value, class) in [
        ("steps", json!(0), "ZeroDivisionError"),
        ("steps", json!(-1), "RuntimeError"),
        ("batch_size", json!(0), "IndexError"),
        ("n_iter", json!(0), "IndexError"),
        ("width", json!(0), "RuntimeError"),
        ("height", json!(-64), "RuntimeError"),
        ("seed", json!(18_446_744_073_709_551_616_f64), "RuntimeError"),
        ("prompt", Value::Null, "AssertionError"),
        ("steps", Value::Null, "TypeError"),
    ] {
        let mut body = small("x", 1);
        body[field] = value;
        let response = post(&webui, "txt2img", &body).await;
        assert_eq!(response.status(), 500, "{body}");
        let error: Value = response.json().await.expect("JSON");
        assert_eq!(error["error"], json!(class), "{body}");
    }
    render(&webui, &small("still works", 1)).await;
}
