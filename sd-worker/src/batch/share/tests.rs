//! Which requests may share a batch.

use proptest::prelude::*;
use runpod_sdk::json::RawJson;
use serde_json::{Value, json};

use super::*;

fn read(body: &str) -> Result<Share, &'static str> {
    let limits = ServerLimits {
        embeddings: Arc::new(["easynegative".to_owned()]),
        shares_hires_prompts: false,
    };
    Share::read(&Call::txt2img(RawJson::parse(body.to_owned()).unwrap()), &limits)
}

fn share(first: &Value, second: &Value) -> bool {
    let [first, second] = [first, second].map(|body| read(&body.to_string()).unwrap());
    first.key == second.key
}

#[test]
fn jobs_that_differ_in_prompts_and_seeds_share() {
    let first = json!({ "prompt": "a cat", "steps": 20 });
    for second in [
        json!({ "prompt": "a dog", "negative_prompt": "x", "seed": 5, "subseed": 6, "steps": 20 }),
        json!({ "steps": 20, "hr_prompt": "sharp", "hr_negative_prompt": "y" }),
        json!({ "prompt": "a cow", "steps": 20, "batch_size": 1, "n_iter": 1, "alwayson_scripts": {} }),
    ] {
        assert!(share(&first, &second), "{second}");
    }
}

#[test]
fn any_other_difference_keeps_jobs_apart() {
    let first = json!({ "prompt": "a cat", "steps": 20 });
    for (key, value) in [
        ("steps", json!(21)),
        ("steps", json!("20")),
        ("width", json!(512)),
        ("override_settings", json!({ "sd_model_checkpoint": "x" })),
        ("unheard_of", json!(1)),
        ("subseed_strength", json!(0.1)),
    ] {
        let mut second = first.clone();
        second[key] = value;
        assert!(!share(&first, &second), "{second}");
    }
}

#[test]
fn networks_and_embeddings_have_to_be_the_same() {
    let with = |prompt: &str, negative: &str| json!({ "prompt": prompt, "negative_prompt": negative });
    assert!(share(
        &with("a <lora:x:1> cat", ""),
        &with("<lora:x:1> a dog", "")
    ));
    assert!(!share(&with("a <lora:x:1> cat", ""), &with("a dog", "")));
    assert!(!share(&with("a <lora:x:1>", ""), &with("a <lora:x:0.5>", "")));
    assert!(!share(
        &with("<lora:x:1><hypernet:y:1>", ""),
        &with("<lora:x:1>", "")
    ));
    assert!(
        share(&with("a", "<lora:x:1>"), &with("b", "")),
        "of negative prompts it reads none"
    );
    assert!(!share(&with("a", "EasyNegative"), &with("b", "")));
    assert!(share(&with("a", "EasyNegative, x"), &with("b", "easynegative")));
    let hires = json!({ "prompt": "a", "hr_prompt": "<lora:x:1>" });
    assert!(!share(&hires, &with("a", "")));
}

#[test]
fn what_concerns_the_whole_batch_stays_alone() {
    for body in [
        r#"{"prompt": 1}"#,
        r#"{"prompt": null}"#,
        r#"{"prompt": "a", "prompt": "b"}"#,
        r#"{"prompt": "a # b"}"#,
        r#"{"seed": 1.5}"#,
        r#"{"seed": "1"}"#,
        r#"{"seed": null}"#,
        r#"{"seed": -2}"#,
        r#"{"batch_size": 2}"#,
        r#"{"batch_size": "1"}"#,
        r#"{"n_iter": 2}"#,
        r#"{"styles": ["x"]}"#,
        r#"{"script_name": "x/y/z plot"}"#,
        r#"{"alwayson_scripts": {"controlnet": {"args": []}}}"#,
        r#"{"save_images": true}"#,
        r#"{"send_images": false}"#,
        r#"{"firstpass_image": "aGk="}"#,
        r#"{"infotext": "a cat"}"#,
        r#"{"force_task_id": "7"}"#,
        "[]",
    ] {
        assert!(read(body).is_err(), "{body}");
    }
    let body = RawJson::parse(r#"{"prompt": "a"}"#).unwrap();
    assert!(Share::read(&Call::img2img(body.clone()), &ServerLimits::default()).is_err());
    assert!(Share::read(&Call::txt2img(body), &ServerLimits::default()).is_ok());
}

#[test]
fn before_1_10_own_prompts_of_the_second_pass_stay_alone() {
    let limits = ServerLimits {
        shares_hires_prompts: true,
        ..ServerLimits::default()
    };
    let read = |body: &'static str| Share::read(&Call::txt2img(RawJson::parse(body).unwrap()), &limits);
    assert!(read(r#"{"enable_hr": true, "prompt": "a", "hr_prompt": ""}"#).is_ok());
    assert!(read(r#"{"enable_hr": true, "prompt": "a", "hr_prompt": "b"}"#).is_err());
}

/// The tags that the WebUI reads: `<(\w+):([^>]+)>`.
fn tags_of_the_webui(prompt: &str) -> Vec<String> {
    let (mut found, mut rest) = (Vec::new(), prompt);
    while let Some(start) = rest.find('<') {
        let after = &rest[start + 1..];
        let word: String = after
            .chars()
            .take_while(|letter| letter.is_alphanumeric() || *letter == '_')
            .collect();
        let value = after[word.len()..]
            .strip_prefix(':')
            .and_then(|value| value.split_once('>'));
        match value {
            Some((value, behind)) if !word.is_empty() && !value.is_empty() => {
                found.push(format!("<{word}:{value}>"));
                rest = behind;
            }
            _ => rest = after,
        }
    }
    found
}

proptest! {
    #[test]
    fn jobs_with_different_tags_never_share(
        first in "[<>:ab ,_]{0,12}",
        second in "[<>:ab ,_]{0,12}",
    ) {
        let together = share(&json!({ "prompt": first }), &json!({ "prompt": second }));
        let is_same = tags_of_the_webui(&first) == tags_of_the_webui(&second);
        prop_assert!(!together || is_same, "{first:?} {second:?}");
    }

    #[test]
    fn jobs_share_exactly_if_all_other_fields_are_equal(
        first in prop::collection::btree_map("[a-c]", 0..3_i32, 0..3),
        second in prop::collection::btree_map("[a-c]", 0..3_i32, 0..3),
    ) {
        prop_assert_eq!(share(&json!(first), &json!(second)), first == second);
    }
}
