//! Checks the form of always-on scripts. The WebUI looks for the key `args` of an object and passes over any other form
//! without a word.

use serde_json::value::RawValue;

use super::finding::Finding;
use crate::splice::Object;

const IGNORED: &str = "the WebUI passes over this form without a word; write {\"args\": [ … ]}";
const FAILS: &str = "the WebUI fails on arguments that are no list; write {\"args\": [ … ]}";

/// Findings for scripts whose arguments have no effect, and for pictures by URL among bare arguments.
pub(super) fn misshapen(request: &Object<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    let scripts = request.object("alwayson_scripts");
    for (title, script) in scripts.iter().flat_map(Object::iter) {
        let field = format!("alwayson_scripts.{title}");
        let Some(object) = Object::read(script.get()) else {
            if says_something(script) {
                found.push(Finding::misshapen(field, IGNORED));
            }
            continue;
        };
        let Some(args) = object.get("args") else {
            if object.keys().next().is_some() {
                found.push(Finding::misshapen(field, IGNORED));
            }
            continue;
        };
        match serde_json::from_str::<Vec<&RawValue>>(args.get()) {
            Ok(args) => found.extend(urls(&format!("{field}.args"), &args)),
            Err(_) => found.push(Finding::misshapen(format!("{field}.args"), FAILS)),
        }
    }
    // A list of prompts or of axis values may hold a URL; the arguments of these scripts are no pictures.
    let script: String = request.decode("script_name").unwrap_or_default();
    if !["prompts from file or textbox", "x/y/z plot", "prompt matrix"].contains(&&*script.to_lowercase()) {
        let args = request
            .get("script_args")
            .map(|args| serde_json::from_str::<Vec<&RawValue>>(args.get()));
        if let Some(Ok(args)) = args {
            found.extend(urls("script_args", &args));
        }
    }
    found
}

/// Whether a script's value is more than an empty list or text.
fn says_something(script: &RawValue) -> bool {
    let inside = script.get().trim_matches(['[', ']', '"']).trim();
    !inside.is_empty()
}

fn urls(field: &str, args: &[&RawValue]) -> Vec<Finding> {
    let is_url = |value: &RawValue| {
        serde_json::from_str::<String>(value.get()).is_ok_and(|text| {
            let start = text.trim_start().get(..8).unwrap_or(&text).to_lowercase();
            start.starts_with("http://") || start.starts_with("https://")
        })
    };
    let args = args.iter().enumerate().filter(|(_, value)| is_url(value));
    args.map(|(index, _)| Finding::not_fetched(format!("{field}.{index}")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(scripts: &str) -> Vec<String> {
        let request = format!(r#"{{"alwayson_scripts": {scripts}}}"#);
        let found = misshapen(&Object::read(&request).unwrap());
        found.iter().map(|finding| finding.field().to_owned()).collect()
    }

    #[test]
    fn only_an_object_with_a_list_of_arguments_has_an_effect() {
        for ignored in [
            r#"[{"model": "m"}]"#,
            r#""canny""#,
            r#"{"model": "m"}"#,
            "7",
            "null",
        ] {
            assert_eq!(
                fields(&format!(r#"{{"controlnet": {ignored}}}"#)),
                ["alwayson_scripts.controlnet"],
                "{ignored}"
            );
        }
        assert_eq!(
            fields(r#"{"controlnet": {"args": {"model": "m"}}}"#),
            ["alwayson_scripts.controlnet.args"]
        );
        for fine in [r#"{"args": [{"model": "m"}]}"#, r#"{"args": []}"#, "{}", "[]"] {
            assert_eq!(fields(&format!(r#"{{"controlnet": {fine}}}"#)), [""; 0], "{fine}");
        }
        assert_eq!(fields("null"), [""; 0]);
    }

    #[test]
    fn a_url_among_bare_arguments_is_no_picture() {
        assert_eq!(
            fields(
                r#"{"reactor": {"args": ["https://x.y/face.png", true, "0"]}, "roop": {"args": [" HTTP://x/y"]}}"#
            ),
            ["alwayson_scripts.reactor.args.0", "alwayson_scripts.roop.args.0"]
        );
        // The worker fetches it there.
        assert_eq!(
            fields(r#"{"controlnet": {"args": [{"image": "https://x.y/z.png"}]}}"#),
            [""; 0]
        );
        let script =
            Object::read(r#"{"script_name": "faceswap", "script_args": [1, "http://x/y.png"]}"#).unwrap();
        assert_eq!(misshapen(&script)[0].field(), "script_args.1");
    }
}
