//! Adds `hr_additional_modules` to a second pass on Forge.

use runpod_sdk::json::RawJson;
use serde_json::Value;

use crate::coerce::is_true;
use crate::splice::{Edits, Object, may_have};

const KEY: &str = "hr_additional_modules";
/// What Forge's own page sends.
const SAME: &str = r#"["Use same choices"]"#;

/// A quick test for a second pass, so that most inputs need not be parsed.
pub(super) fn mentions_a_second_pass(input: &RawJson) -> bool {
    may_have(input.as_str(), "enable_hr")
}

/// The request with the modules of its first pass for the second. `None` if it names modules, or has no second pass.
pub(super) fn with_modules(input: &RawJson) -> Option<RawJson> {
    let text = input.as_str();
    let request = Object::read(text)?;
    let hires: Value = request.decode("enable_hr")?;
    if !is_true(&hires) || request.count(KEY) > 1 {
        return None;
    }
    let mut edits = Edits::of(text);
    match request.get(KEY) {
        None => edits.append(text, KEY, SAME),
        Some(value) if value.get() == "null" => edits.replace(value, SAME.to_owned()),
        Some(_) => return None,
    }
    edits.apply()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adapted(input: &str) -> Option<String> {
        let adapted = with_modules(&RawJson::parse(input.to_owned()).unwrap())?;
        Some(adapted.as_str().to_owned())
    }

    #[test]
    fn a_second_pass_gets_the_modules_of_the_first() {
        assert_eq!(
            adapted(r#"{"cfg_scale": 7.0e0, "enable_hr": true}"#).unwrap(),
            r#"{"cfg_scale": 7.0e0, "enable_hr": true,"hr_additional_modules":["Use same choices"]}"#
        );
        assert_eq!(
            adapted(r#"{"hr_additional_modules": null, "enable_hr": "on"}"#).unwrap(),
            r#"{"hr_additional_modules": ["Use same choices"], "enable_hr": "on"}"#
        );
        for untouched in [
            "{}",
            r#"{"enable_hr": false}"#,
            r#"{"enable_hr": true, "hr_additional_modules": []}"#,
            r#"{"enable_hr": true, "hr_additional_modules": ["ae.safetensors"]}"#,
        ] {
            assert_eq!(adapted(untouched), None, "{untouched}");
        }
    }
}
