//! Whether a repeated request gives the same pictures, and has no other effect.
//!
//! In doubt the answer is no: then a picture is rendered once more, and no wrong picture is delivered.

use runpod_sdk::json::RawJson;
use serde_json::Value;

use crate::coerce::number;
use crate::splice::Object;
use crate::webui::Call;

/// Fields that hold pictures, as base64 or as a URL that the WebUI itself fetches.
const PICTURES: [&str; 4] = ["init_images", "mask", "latent_mask", "firstpass_image"];

/// The body of a repeatable request, or the reason why it is not repeatable.
pub(super) fn body(call: &Call) -> Result<&RawJson, &'static str> {
    let body = call.body.as_ref().filter(|_| call.job_kind.is_render());
    let body = body.ok_or("it is neither txt2img nor img2img")?;
    let request = Object::read(body.as_str()).ok_or("its body is not an object")?;
    match obstacle(&request) {
        Some(why) => Err(why),
        None => Ok(body),
    }
}

fn obstacle(request: &Object<'_>) -> Option<&'static str> {
    // `None` where it is absent or null.
    let value = |key| request.decode::<Value>(key);
    let given = |key| request.decode::<u64>(key).is_some();
    let unless = |key, harmless: Value| value(key).is_some_and(|value| value != harmless);
    if !given("seed") {
        Some("its seed is random, or not a number")
    } else if value("subseed_strength").is_some_and(|strength| number(&strength) != Some(0.0))
        && !given("subseed")
    {
        Some("its variation seed is random, or not a number")
    } else if unless("save_images", Value::Bool(false)) {
        Some("it saves its pictures")
    } else if unless("script_name", "".into()) {
        Some("a script may depend on more")
    } else if unless("alwayson_scripts", Value::Object(serde_json::Map::new())) {
        Some("alwayson_scripts may depend on more")
    } else if unless("infotext", "".into()) {
        Some("an infotext brings fields of its own")
    } else if PICTURES.iter().any(|key| is_elsewhere(request, key)) {
        Some("the WebUI fetches its picture, which may change")
    } else {
        None
    }
}

/// Whether a picture is, or could be, given by URL. Escapes are not decoded: base64 needs none.
fn is_elsewhere(request: &Object<'_>, key: &str) -> bool {
    request
        .get(key)
        .is_some_and(|value| value.get().contains("\"http") || value.get().contains('\\'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webui::JobKind;

    fn obstacle(body: &str) -> Option<&'static str> {
        let call = Call::img2img(RawJson::parse(body.to_owned()).unwrap());
        super::body(&call).err()
    }

    #[test]
    fn what_can_be_repeated_has_its_seeds_and_nothing_that_depends_on_more() {
        for body in [
            r#"{"seed": 0}"#,
            r#"{"seed": 7, "subseed_strength": 0.0, "subseed": -1}"#,
            r#"{"seed": 7, "subseed_strength": null}"#,
            r#"{"seed": 7, "subseed_strength": 0.3, "subseed": 4294967295}"#,
            r#"{"seed": 7, "save_images": false, "script_name": "", "alwayson_scripts": {}, "infotext": ""}"#,
            r#"{"seed": 7, "script_name": null, "alwayson_scripts": null}"#,
            r#"{"seed": 7, "override_settings": {"CLIP_stop_at_last_layers": 2}}"#,
            r#"{"seed": 7, "prompt": "see \"http://example.com\"", "init_images": ["iVBORw0KGgo="]}"#,
        ] {
            assert_eq!(obstacle(body), None, "{body}");
        }
    }

    #[test]
    fn what_may_come_out_otherwise_can_not() {
        for (body, why) in [
            ("[]", "not an object"),
            ("{}", "its seed"),
            (r#"{"seed": null}"#, "its seed"),
            (r#"{"seed": -1}"#, "its seed"),
            (r#"{"seed": -2}"#, "its seed"),
            (r#"{"seed": "7"}"#, "its seed"),
            (r#"{"seed": 7, "seed": -1}"#, "its seed"),
            (r#"{"seed": 7, "subseed_strength": 0.1}"#, "variation"),
            (
                r#"{"seed": 7, "subseed_strength": "0.1", "subseed": -1}"#,
                "variation",
            ),
            (r#"{"seed": 7, "subseed_strength": "odd"}"#, "variation"),
            (r#"{"seed": 7, "save_images": true}"#, "saves"),
            (r#"{"seed": 7, "save_images": "y"}"#, "saves"),
            (r#"{"seed": 7, "script_name": "x/y/z plot"}"#, "a script"),
            (
                r#"{"seed": 7, "alwayson_scripts": {"ControlNet": {"args": []}}}"#,
                "alwayson",
            ),
            (r#"{"seed": 7, "infotext": "a\nSeed: -1"}"#, "infotext"),
            (
                r#"{"seed": 7, "init_images": ["https://example.com/a.png"]}"#,
                "fetches",
            ),
            (
                r#"{"seed": 7, "mask": "\u0068ttps://example.com/a.png"}"#,
                "fetches",
            ),
        ] {
            assert!(
                obstacle(body).is_some_and(|found| found.contains(why)),
                "{body}: {:?}",
                obstacle(body)
            );
        }
    }

    #[test]
    fn other_routes_are_not_kept() {
        let mut call = Call::txt2img(RawJson::parse(r#"{"seed": 7}"#).unwrap());
        assert!(body(&call).is_ok());
        call.job_kind = JobKind::Extras;
        assert!(body(&call).is_err());
    }
}
