//! Checks scripts: the number of their arguments, and the number of their pictures.

use serde_json::Value;
use serde_json::value::RawValue;

use super::answer_pictures;
use super::finding::Finding;
use super::lookups::Lookups;
use super::reported::ReportedParameters;
use crate::splice::Object;
use crate::webui::{Call, JobKind};

/// Findings for scripts with another number of arguments than they take.
pub(super) async fn arguments(call: &Call, request: &Object<'_>, lookups: &Lookups<'_>) -> Vec<Finding> {
    let always_on = request.object("alwayson_scripts");
    let selected: String = request.decode("script_name").unwrap_or_default();
    if selected.is_empty()
        && always_on
            .as_ref()
            .is_none_or(|scripts| scripts.keys().next().is_none())
    {
        return Vec::new();
    }
    let Some(known) = lookups.scripts().await else {
        return Vec::new();
    };
    let is_img2img = call.job_kind == JobKind::Img2Img;
    let takes = |title: &str, is_alwayson: bool| {
        let mut scripts = known.iter();
        let script = scripts.find(|script| {
            script.is_img2img == is_img2img
                && script.is_alwayson == is_alwayson
                && script.name.eq_ignore_ascii_case(title)
        })?;
        // The list has no arguments of some scripts that take some.
        (!script.args.is_empty()).then_some(script.args.len())
    };
    let mut found = Vec::new();
    if let Some(takes) = takes(&selected, false) {
        let given = count(request.get("script_args"));
        if given != takes {
            found.push(Finding::arguments("script_args".to_owned(), given, takes));
        }
    }
    for (title, value) in always_on.iter().flat_map(Object::iter) {
        let Some(takes) = takes(title, true) else { continue };
        let given = Object::read(value.get()).map_or(0, |script| count(script.get("args")));
        // Those that are missing keep their defaults.
        if given > takes {
            let field = format!("alwayson_scripts.{title}.args");
            found.push(Finding::arguments(field, given, takes));
        }
    }
    found
}

fn count(list: Option<&RawValue>) -> usize {
    let list = list.and_then(|list| serde_json::from_str::<Vec<&RawValue>>(list.get()).ok());
    list.map_or(0, |list| list.len())
}

/// Whether a script renders with the request's own numbers and settings. An x/y/z plot takes others, and a line of a list
/// of prompts may.
pub(super) fn keeps_parameters(script: &str, request: &Object<'_>) -> bool {
    match script.to_lowercase().as_str() {
        "" | "prompt matrix" => true,
        "prompts from file or textbox" => {
            let arguments = request.get("script_args").map(RawValue::get).unwrap_or_default();
            !arguments.contains("--")
        }
        _ => false,
    }
}

/// A finding if a script made fewer pictures than its arguments ask for, where that can be counted.
pub(super) fn result(
    request: &Object<'_>,
    answer: &Object<'_>,
    reported: &ReportedParameters,
) -> Option<Finding> {
    let images = answer_pictures::sent(request, answer)?;
    let arguments: Vec<Value> = request.decode("script_args").unwrap_or_default();
    let title: String = request.decode("script_name")?;
    let asked = match title.to_lowercase().as_str() {
        "prompt matrix" => {
            let field = if arguments.get(2).is_some_and(|kind| kind == "negative") {
                "negative_prompt"
            } else {
                "prompt"
            };
            let prompt: String = request.decode(field).unwrap_or_default();
            2_f64.powi(i32::try_from(prompt.matches('|').count()).ok()?)
        }
        "prompts from file or textbox" => {
            // Each line is a request of its own, and may have options.
            let many = |field| super::numbers::asked(request, field).is_some_and(|number| number > 1.0);
            let text = arguments.get(3)?.as_str()?;
            if many("batch_size") || many("n_iter") || text.contains("--") {
                return None;
            }
            let lines = text.lines().filter(|line| !line.trim().is_empty()).count();
            if lines == 0 {
                return None;
            }
            f64::from(u32::try_from(lines).ok()?)
        }
        _ => return None,
    };
    answer_pictures::fewer(asked, images.len(), reported, "script_name")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result_of(script: &str, pictures: usize, grids: usize) -> Option<Finding> {
        let images: Vec<&str> = vec!["x"; pictures + grids];
        let info = format!(r#"{{"index_of_first_image": {grids}}}"#);
        let answer = serde_json::json!({ "images": images, "info": info }).to_string();
        let answer = Object::read(&answer).unwrap();
        result(
            &Object::read(script).unwrap(),
            &answer,
            &ReportedParameters::read(&answer).unwrap(),
        )
    }

    #[test]
    fn a_matrix_makes_a_picture_of_every_combination() {
        let matrix = r#"{"prompt": "a|b|c", "script_name": "Prompt matrix", "script_args": [false, false, "positive", "comma", 0]}"#;
        assert_eq!(result_of(matrix, 4, 1), None);
        assert!(result_of(matrix, 3, 1).is_some());
    }

    #[test]
    fn a_list_of_prompts_makes_a_picture_of_every_line() {
        let list = |more: &str| {
            format!(
                r#"{{"script_name": "prompts from file or textbox", "script_args": [false, false, "start", "a\n\n b"]{more}}}"#
            )
        };
        assert_eq!(result_of(&list(""), 2, 0), None);
        assert!(result_of(&list(""), 1, 0).is_some());
        assert_eq!(result_of(&list(r#", "n_iter": 3"#), 1, 0), None, "not counted");
        assert_eq!(result_of(r#"{"script_name": "x/y/z plot"}"#, 1, 0), None);
    }
}
