//! Decides whose mistake a 500 is. The WebUI answers many bad requests as if it had failed itself
//! (`docs/protocol/webui-api.md` §0 and §3), so the request is searched for values that cannot work.
//!
//! Only failed requests are decoded here.

use serde_json::{Map, Value};

use super::call::Call;
use super::problem::Problem;
use crate::coerce::{is_true, number};
use crate::settings::split_query;
use crate::splice::Object;

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
    found.extend(nulls(body));
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
    found.extend(of_always_on_scripts(body, problem));
    found.extend(of_script(body, problem));
    if found.is_empty() && problem.mentions("cannot be multiplied") {
        found.extend(named_models(body));
    }
    found
}

/// Fields that the WebUI computes with. Null in another field stands for its default.
const NEEDED: &[&str] = &[
    "prompt",
    "negative_prompt",
    "subseed_strength",
    "seed_resize_from_h",
    "seed_resize_from_w",
    "batch_size",
    "n_iter",
    "steps",
    "cfg_scale",
    "distilled_cfg_scale",
    "width",
    "height",
    "script_args",
];
const NEEDED_FOR_HIRES: &[&str] = &[
    "hr_scale",
    "hr_second_pass_steps",
    "hr_resize_x",
    "hr_resize_y",
    "hr_prompt",
    "hr_negative_prompt",
    "hr_cfg",
    "hr_distilled_cfg",
];
const NEEDED_FOR_PICTURES: &[&str] = &[
    "resize_mode",
    "mask_blur_x",
    "mask_blur_y",
    "inpainting_fill",
    "inpaint_full_res_padding",
    "inpainting_mask_invert",
];

/// The null fields that need a value.
fn nulls(body: &Map<String, Value>) -> Vec<String> {
    let hires = body.get("enable_hr").is_some_and(is_true);
    let has_script = !script_name(body).is_empty();
    let from_picture = body.contains_key("init_images");
    let needed = NEEDED
        .iter()
        .filter(|field| **field != "script_args" || has_script);
    let needed = needed
        .chain(NEEDED_FOR_HIRES.iter().filter(|_| hires))
        .chain(NEEDED_FOR_PICTURES.iter().filter(|_| from_picture));
    let is_null = |settings: &Map<String, Value>, key: &str| settings.get(key).is_some_and(Value::is_null);
    let mut found: Vec<String> = needed
        .filter(|field| is_null(body, field))
        .map(|field| format!("{field}: must not be null"))
        .collect();
    let denoising = "denoising_strength";
    if from_picture && is_null(body, denoising) {
        found.push(format!("{denoising}: must not be null"));
    }
    if let Some(settings) = body.get("override_settings").and_then(Value::as_object) {
        let nulls = settings.keys().filter(|key| is_null(settings, key));
        found.extend(nulls.map(|key| format!("override_settings.{key}: must not be null")));
    }
    found
}

fn script_name(body: &Map<String, Value>) -> &str {
    body.get("script_name")
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// The selected script cannot use its arguments. Too few of them shift those of the scripts behind it, so the error is
/// any that Python has for a value of a wrong kind.
fn of_script(body: &Map<String, Value>, problem: &Problem) -> Option<String> {
    const OF_ARGUMENTS: [&str; 7] = [
        "TypeError",
        "IndexError",
        "ValueError",
        "KeyError",
        "AttributeError",
        "AssertionError",
        "UnboundLocalError",
    ];
    let script = script_name(body);
    // SD.Next sends the text of a TypeError without its class.
    let of_arguments = OF_ARGUMENTS.contains(&problem.exception.as_str())
        || problem.mentions("required positional argument");
    (!script.is_empty() && of_arguments).then(|| {
        format!("script_args: not what the script \"{script}\" takes; /sdapi/v1/script-info lists them")
    })
}

/// Always-on scripts whose arguments are no list, and those whose own checks refuse them.
fn of_always_on_scripts(body: &Map<String, Value>, problem: &Problem) -> Vec<String> {
    let mut found = Vec::new();
    let scripts = body.get("alwayson_scripts").and_then(Value::as_object);
    for (title, script) in scripts.into_iter().flatten() {
        let path = format!("alwayson_scripts.{title}");
        let args = script.get("args");
        if !script.is_object() {
            found.push(format!("{path}: must be an object with a list args"));
        } else if args.is_some_and(|args| !args.is_array()) {
            found.push(format!("{path}.args: must be a list"));
        }
        let is_controlnet = title.eq_ignore_ascii_case("controlnet");
        let args = args
            .and_then(Value::as_array)
            .map(Vec::as_slice)
            .unwrap_or_default();
        if problem.exception == "ValidationError"
            && (is_controlnet || problem.mentions(&title.to_lowercase()))
        {
            found.extend(refused_fields(&path, args, &problem.text));
        }
    }
    found
}

/// The fields that a model of the `pydantic` library refuses: `1 validation error for ControlNetUnit`, then each
/// field on a line of its own with its mistake behind it.
fn refused_fields(path: &str, units: &[Value], text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().skip(1).collect();
    let fields = lines
        .windows(2)
        .filter(|pair| !pair[0].starts_with(' ') && !pair[0].trim().is_empty() && pair[1].starts_with(' '));
    let mut found: Vec<String> = fields
        .map(|pair| {
            let field = pair[0].split(" -> ").next().unwrap_or_default().trim();
            let mistake = pair[1].trim();
            let mut having = units
                .iter()
                .enumerate()
                .filter(|(_, unit)| unit.get(field).is_some());
            match (having.next(), having.next()) {
                (Some((index, _)), None) => format!("{path}.args.{index}.{field}: {mistake}"),
                _ => format!("{path}.args: {field}: {mistake}"),
            }
        })
        .collect();
    if found.is_empty() {
        found.push(format!(
            "{path}.args: a unit has a field with a value that ControlNet does not take"
        ));
    }
    found
}

/// The models that the request itself names, any of which may be of another family than the checkpoint.
fn named_models(body: &Map<String, Value>) -> Vec<String> {
    let mut fields = Vec::new();
    for field in ["prompt", "hr_prompt"] {
        let text = body.get(field).and_then(Value::as_str).unwrap_or_default();
        if text.contains("<lora:") || text.contains("<lyco:") || text.contains("<hypernet:") {
            fields.push(field.to_owned());
        }
    }
    for field in ["refiner_checkpoint", "hr_checkpoint_name"] {
        if body
            .get(field)
            .and_then(Value::as_str)
            .is_some_and(|name| !name.is_empty())
        {
            fields.push(field.to_owned());
        }
    }
    let scripts = body.get("alwayson_scripts").and_then(Value::as_object);
    let titles = scripts.into_iter().flat_map(Map::keys);
    fields.extend(
        titles
            .filter(|title| title.eq_ignore_ascii_case("controlnet"))
            .map(|title| format!("alwayson_scripts.{title}")),
    );
    let settings = body.get("override_settings").and_then(Value::as_object);
    let keys = settings.into_iter().flat_map(Map::keys);
    fields.extend(
        keys.filter(|key| ["sd_model_checkpoint", "sd_vae"].contains(&key.as_str()))
            .map(|key| format!("override_settings.{key}")),
    );
    fields
        .into_iter()
        .map(|field| format!("{field}: names a model that may be of another family than the checkpoint"))
        .collect()
}

/// The sides of a render below zero, for which SD.Next answers without a picture and without a reason.
pub(super) fn sides_below_zero(call: &Call) -> Vec<String> {
    let body = call.body.as_ref().and_then(|body| Object::read(body.as_str()));
    let below_zero = |field: &&str| {
        let side = body.as_ref().and_then(|body| body.decode::<Value>(field));
        side.as_ref().and_then(number).is_some_and(|side| side < 0.0)
    };
    let sides = ["width", "height"].into_iter().filter(below_zero);
    sides
        .map(|field| format!("{field}: must be at least 8"))
        .collect()
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
    fn null_where_a_value_is_needed_is_named() {
        for field in [
            "cfg_scale",
            "steps",
            "width",
            "height",
            "batch_size",
            "n_iter",
            "negative_prompt",
            "subseed_strength",
        ] {
            let expected = format!("{field}: must not be null");
            assert_eq!(
                found(json!({ "prompt": "x", field: null }), "TypeError", ""),
                [expected],
                "{field}"
            );
        }
        // These stand for the default.
        for field in [
            "seed",
            "sampler_name",
            "styles",
            "denoising_strength",
            "hr_scale",
            "script_args",
            "alwayson_scripts",
        ] {
            assert!(
                found(json!({ "prompt": "x", field: null }), "TypeError", "").is_empty(),
                "{field}"
            );
        }
        let hires = json!({ "enable_hr": true, "denoising_strength": 0.5, "hr_scale": null });
        assert_eq!(found(hires, "TypeError", ""), ["hr_scale: must not be null"]);
        let settings = json!({ "override_settings": { "CLIP_stop_at_last_layers": null } });
        assert_eq!(
            found(settings, "TypeError", ""),
            ["override_settings.CLIP_stop_at_last_layers: must not be null"]
        );
    }

    #[test]
    fn a_unit_that_controlnet_refuses_is_named_with_its_field() {
        let units = json!({ "alwayson_scripts": { "ControlNet": { "args": [
            { "module": "none" }, { "module": "none", "resize_mode": "Stretch" },
        ] } } });
        let text = "1 validation error for ControlNetUnit\nresize_mode\n  value is not a valid enumeration member; permitted: 'Just Resize' (type=type_error.enum)";
        assert_eq!(
            found(units.clone(), "ValidationError", text),
            [
                "alwayson_scripts.ControlNet.args.1.resize_mode: value is not a valid enumeration member; permitted: 'Just Resize' (type=type_error.enum)"
            ]
        );
        let both = "2 validation errors for ControlNetUnit\nmodule\n  Input should be a valid string [type=string_type]\nweight\n  Input should be a valid number";
        assert_eq!(
            found(units.clone(), "ValidationError", both),
            [
                "alwayson_scripts.ControlNet.args: module: Input should be a valid string [type=string_type]",
                "alwayson_scripts.ControlNet.args: weight: Input should be a valid number",
            ]
        );
        // Forge of 2024 gives no text.
        assert_eq!(found(units, "ValidationError", "").len(), 1);
    }

    #[test]
    fn arguments_that_a_script_cannot_use_are_the_users() {
        let request = json!({ "script_name": "x/y/z plot", "script_args": [1] });
        for (class, text) in [
            (
                "TypeError",
                "Script.run() missing 17 required positional arguments: 'x_values'",
            ),
            ("IndexError", "list index out of range"),
            ("ValueError", "not enough values to unpack (expected 2, got 1)"),
            ("AttributeError", "'bool' object has no attribute 'strip'"),
            ("", "run() missing 1 required positional argument: 'x'"),
        ] {
            let found = found(request.clone(), class, text);
            assert!(
                found.len() == 1 && found[0].starts_with("script_args: "),
                "{class}: {found:?}"
            );
        }
        assert!(found(request, "RuntimeError", "boom").is_empty());
        for (script, path) in [
            (json!([]), "alwayson_scripts.x:"),
            (json!(null), "alwayson_scripts.x:"),
            (json!({ "args": {} }), "alwayson_scripts.x.args:"),
            (json!({ "args": null }), "alwayson_scripts.x.args:"),
        ] {
            let found = found(json!({ "alwayson_scripts": { "x": script } }), "TypeError", "");
            assert!(found.len() == 1 && found[0].starts_with(path), "{found:?}");
        }
    }

    #[test]
    fn mixed_families_are_the_request_s_only_where_it_names_a_model() {
        let text = "mat1 and mat2 shapes cannot be multiplied (77x2048 and 768x320)";
        assert!(found(json!({ "prompt": "x" }), "RuntimeError", text).is_empty());
        assert_eq!(
            found(json!({ "prompt": "x <lora:xl:1>" }), "RuntimeError", text),
            ["prompt: names a model that may be of another family than the checkpoint"]
        );
    }

    #[test]
    fn a_good_request_explains_nothing() {
        let good =
            json!({ "prompt": "x", "steps": 20, "seed": -1, "enable_hr": true, "denoising_strength": 0.5 });
        assert!(found(good, "RuntimeError", "boom").is_empty());
    }
}
