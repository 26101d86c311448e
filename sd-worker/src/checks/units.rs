//! Checks that the always-on scripts of extensions have run, by the entries that they add to the infotext.

use serde_json::{Map, Value};

use super::finding::Finding;
use super::reported::ReportedParameters;
use crate::coerce::is_true;
use crate::splice::Object;

/// A finding if `ADetailer` is asked for, and the answer does not report it.
pub(super) fn missing(request: &Object<'_>, reported: &ReportedParameters) -> Option<Finding> {
    let scripts = request.object("alwayson_scripts")?;
    let (title, script) = scripts
        .iter()
        .find(|(title, _)| title.eq_ignore_ascii_case("adetailer"))?;
    let args: Vec<Value> = Object::read(script.get())?.decode("args")?;
    let asked = adetailer_models(&args);
    let is_described = reported.described().is_some_and(|described| described > 0);
    if asked.is_empty() || !is_described || reported.has_parameter("ADetailer") {
        return None;
    }
    let field = format!("alwayson_scripts.{title}");
    Some(Finding::other(&field, asked.join(", "), Value::Null))
}

/// The models of the units that are on. A first argument of `false` turns all of them off.
fn adetailer_models(args: &[Value]) -> Vec<String> {
    if args.first().is_some_and(|on| on.is_boolean() && !is_true(on)) {
        return Vec::new();
    }
    let is_on = |unit: &&Map<String, Value>| unit.get("ad_tab_enable").is_none_or(is_true);
    let units = args.iter().filter_map(Value::as_object).filter(is_on);
    let models = units.filter_map(|unit| unit.get("ad_model")?.as_str());
    models
        .filter(|model| *model != "None")
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(args: &str, infotext: &str) -> Option<Finding> {
        let request = format!(r#"{{"alwayson_scripts": {{"ADetailer": {{"args": {args}}}}}}}"#);
        let info = serde_json::json!({ "infotexts": [infotext], "extra_generation_params": {} });
        let answer = serde_json::json!({ "info": info.to_string() }).to_string();
        let reported = ReportedParameters::read(&Object::read(&answer).unwrap()).unwrap();
        missing(&Object::read(&request).unwrap(), &reported)
    }

    #[test]
    fn adetailer_that_is_asked_for_and_has_not_run_is_found() {
        let on = r#"[true, false, {"ad_model": "face_yolov8n.pt"}]"#;
        let finding = found(on, "x\nSteps: 1, Sampler: Euler").unwrap();
        assert_eq!(finding.field(), "alwayson_scripts.ADetailer");
        assert!(found(r#"[{"ad_model": "hand_yolov8n.pt"}]"#, "Steps: 1").is_some());
        assert!(
            found(
                on,
                "x\nSteps: 1, ADetailer model: face_yolov8n.pt, ADetailer version: 24.8.0"
            )
            .is_none()
        );
    }

    #[test]
    fn adetailer_that_is_off_is_not_missed() {
        for off in [
            "[]",
            "[true]",
            r#"[false, {"ad_model": "face_yolov8n.pt"}]"#,
            r#"[true, false, {"ad_model": "None"}]"#,
            r#"[true, false, {"ad_model": "face_yolov8n.pt", "ad_tab_enable": false}]"#,
        ] {
            assert_eq!(found(off, "Steps: 1"), None, "{off}");
        }
    }
}
