//! Decides whose mistake a 500 is. The WebUI answers many bad requests as if it had failed itself
//! (`docs/protocol/webui-api.md` §0 and §3), so the request is searched for values that cannot work.
//!
//! Only failed requests are decoded here.

use serde_json::{Map, Value};

use super::call::Call;
use super::problem::Problem;
use crate::coerce::{is_true, number};
use crate::settings::split_query;

/// The mistakes of the request that explain the failure, each with its field: `steps: must be at least 1`.
pub(super) fn mistakes(call: &Call, problem: &Problem) -> Vec<String> {
    let Some(Ok(body)) = call
        .body
        .as_ref()
        .map(|body| serde_json::from_slice::<Value>(body.as_bytes()))
    else {
        return Vec::new();
    };
    let Value::Object(body) = body else {
        return Vec::new();
    };
    let (route, _) = split_query(&call.route);
    match route.rsplit('/').next() {
        Some("txt2img") => of_render(&body, problem, false),
        Some("img2img") => of_render(&body, problem, true),
        Some("options") => unknown_setting("", &body, problem).into_iter().collect(),
        _ => Vec::new(),
    }
}

fn of_render(body: &Map<String, Value>, problem: &Problem, from_picture: bool) -> Vec<String> {
    let mut found = Vec::new();
    // (field, the least that works)
    for (field, least) in [
        ("steps", 1),
        ("batch_size", 1),
        ("n_iter", 1),
        ("width", 8),
        ("height", 8),
    ] {
        if body
            .get(field)
            .and_then(number)
            .is_some_and(|number| number < f64::from(least))
        {
            found.push(format!("{field}: must be at least {least}"));
        }
    }
    if body.get("prompt").is_some_and(Value::is_null) {
        found.push("prompt: must not be null".to_owned());
    }
    for field in ["seed", "subseed"] {
        if body
            .get(field)
            .and_then(number)
            .is_some_and(|seed| seed.abs() >= 9.2e18)
        {
            found.push(format!(
                "{field}: too large; the largest useful seed is 4294967295"
            ));
        }
    }
    let hires = body.get("enable_hr").is_some_and(is_true);
    if hires && body.get("denoising_strength").is_none_or(Value::is_null) {
        found.push("denoising_strength: needed with enable_hr".to_owned());
    }
    if from_picture {
        found.extend(of_init_images(body));
    }
    if let Some(settings) = body.get("override_settings").and_then(Value::as_object) {
        found.extend(unknown_setting("override_settings.", settings, problem));
    }
    let script = body
        .get("script_name")
        .and_then(Value::as_str)
        .unwrap_or_default();
    // SD.Next sends the text of a TypeError without its class.
    let of_arguments = ["TypeError", "IndexError"].contains(&problem.exception.as_str())
        || problem.mentions("required positional argument");
    if !script.is_empty() && of_arguments {
        found.push(format!(
            "script_args: not what the script \"{script}\" takes; /sdapi/v1/script-info lists them"
        ));
    }
    found
}

fn of_init_images(body: &Map<String, Value>) -> Option<String> {
    let pictures = body.get("init_images")?.as_array()?;
    let batch = body.get("batch_size").and_then(number).unwrap_or(1.0);
    let not_text = pictures.iter().position(|picture| !picture.is_string());
    if pictures.is_empty() {
        Some("init_images: must not be empty".to_owned())
    } else if let Some(index) = not_text {
        Some(format!("init_images.{index}: must be base64 text"))
    } else if pictures.len() > 1 && f64::from(u32::try_from(pictures.len()).unwrap_or(u32::MAX)) > batch {
        Some("init_images: more pictures than batch_size".to_owned())
    } else {
        None
    }
}

/// Python's `KeyError: 'nope'`, where the request has a setting of that name.
fn unknown_setting(path: &str, settings: &Map<String, Value>, problem: &Problem) -> Option<String> {
    if problem.exception != "KeyError" {
        return None;
    }
    let key = problem.text.trim_matches(['\'', '"']);
    settings
        .contains_key(key)
        .then(|| format!("{path}{key}: the WebUI has no such setting"))
}

#[cfg(test)]
mod tests {
    use runpod_sdk::json::RawJson;
    use serde_json::json;

    use super::*;

    fn found(body: Value, error: &str, text: &str) -> Vec<String> {
        let problem = Problem::read(json!({ "error": error, "errors": text }).to_string().as_bytes());
        mistakes(&Call::txt2img(RawJson::from(body)), &problem)
    }

    #[test]
    fn what_can_not_work_is_named() {
        assert_eq!(
            found(
                json!({ "steps": "0", "batch_size": 0, "prompt": null, "seed": 18_446_744_073_709_551_616.0 }),
                "RuntimeError",
                ""
            ),
            [
                "steps: must be at least 1",
                "batch_size: must be at least 1",
                "prompt: must not be null",
                "seed: too large; the largest useful seed is 4294967295"
            ]
        );
        assert_eq!(
            found(json!({ "enable_hr": true }), "TypeError", ""),
            ["denoising_strength: needed with enable_hr"]
        );
    }

    #[test]
    fn a_key_error_is_the_user_s_only_if_the_key_is() {
        let settings = json!({ "override_settings": { "nope": 1 } });
        assert_eq!(
            found(settings.clone(), "KeyError", "'nope'"),
            ["override_settings.nope: the WebUI has no such setting"]
        );
        assert!(found(settings, "KeyError", "'other'").is_empty());
    }

    #[test]
    fn a_good_request_explains_nothing() {
        let good =
            json!({ "prompt": "x", "steps": 20, "seed": -1, "enable_hr": true, "denoising_strength": 0.5 });
        assert!(found(good, "RuntimeError", "boom").is_empty());
    }
}
