//! Scripts: selectable ones and always-on ones (§3, §10).

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::plot::{self, Plot};
use crate::answer::Failure;
use crate::profile::Profile;
use crate::request::{Fields, Mode};
use crate::server::Server;

const FOR_TEXT: &[&str] = &["prompt matrix", "prompts from file or textbox", "x/y/z plot"];
const FOR_PICTURES: &[&str] = &[
    "img2img alternative test",
    "loopback",
    "outpainting mk2",
    "poor man's outpainting",
    "prompt matrix",
    "prompts from file or textbox",
    "sd upscale",
    "x/y/z plot",
];

/// What the selected script makes of a request.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Script {
    /// None, or one that the mock accepts and treats as none.
    Plain,
    /// Every combination of the prompt's parts, with a grid in front.
    PromptMatrix {
        at_start: bool,
        different_seeds: bool,
        negative: bool,
        delimiter: &'static str,
    },
    /// One render a line.
    Prompts(Vec<String>),
    /// Every combination of values on three axes, with grids in front.
    Plot(Plot),
}

/// Titles that can be selected, in lower case.
pub(crate) fn selectable(mode: Mode) -> &'static [&'static str] {
    match mode {
        Mode::Txt2Img => FOR_TEXT,
        Mode::Img2Img => FOR_PICTURES,
    }
}

/// Titles that always run, as the list of scripts shows them.
pub(crate) fn always_on(server: &Server, mode: Mode) -> Vec<&'static str> {
    let mut titles = vec!["extra options", "Hypertile"];
    if mode == Mode::Img2Img && server.profile() >= Profile::V1_8 {
        titles.push("soft inpainting");
    }
    if !server.setup().installed.controlnets.is_empty() {
        titles.push("controlnet");
    }
    titles.push("refiner");
    if server.profile().has_schedulers() {
        titles.push("sampler");
    }
    titles.push("seed");
    titles
}

fn not_found(name: &str) -> Failure {
    Failure::deliberate(
        StatusCode::UNPROCESSABLE_ENTITY,
        format!("Script '{name}' not found"),
    )
}

/// Checks that the selected script exists, before the sampler is looked at.
pub(crate) fn find(mode: Mode, fields: &Fields) -> Result<Option<&'static str>, Failure> {
    let Some(name) = fields.non_empty("script_name") else {
        return Ok(None);
    };
    let known = selectable(mode)
        .iter()
        .find(|title| **title == name.to_lowercase());
    known.copied().map(Some).ok_or_else(|| not_found(name))
}

/// Checks the always-on scripts of a request, after the sampler.
pub(crate) fn check_always_on(server: &Server, mode: Mode, fields: &Fields) -> Result<(), Failure> {
    let empty = Map::new();
    for name in fields
        .get("alwayson_scripts")
        .as_object()
        .unwrap_or(&empty)
        .keys()
    {
        let lower = name.to_lowercase();
        if selectable(mode).contains(&lower.as_str()) {
            let text = "Cannot have a selectable script in the always on scripts params";
            return Err(Failure::deliberate(StatusCode::UNPROCESSABLE_ENTITY, text));
        }
        if !always_on(server, mode)
            .iter()
            .any(|title| title.to_lowercase() == lower)
        {
            return Err(not_found(name));
        }
    }
    Ok(())
}

/// Reads the arguments of the selected script. Too few are Python's `TypeError`.
pub(crate) fn read(title: Option<&str>, mode: Mode, fields: &Fields) -> Result<Script, Failure> {
    let args = fields.list("script_args");
    let at = |index: usize| args.get(index).unwrap_or(&Value::Null);
    match title {
        Some("prompt matrix") => {
            require(
                args,
                &[
                    "put_at_start",
                    "different_seeds",
                    "prompt_type",
                    "variations_delimiter",
                    "margin_size",
                ],
            )?;
            Ok(Script::PromptMatrix {
                at_start: *at(0) == true,
                different_seeds: *at(1) == true,
                negative: *at(2) == "negative",
                delimiter: if *at(3) == "space" { " " } else { ", " },
            })
        }
        Some("prompts from file or textbox") => {
            require(
                args,
                &[
                    "checkbox_iterate",
                    "checkbox_iterate_batch",
                    "prompt_position",
                    "prompt_txt",
                ],
            )?;
            let text = at(3).as_str().or_else(|| at(2).as_str()).unwrap_or_default();
            let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
            Ok(Script::Prompts(lines.map(str::to_owned).collect()))
        }
        Some("x/y/z plot") => {
            require(args, &plot::ARGUMENTS)?;
            Plot::read(args, mode).map(Script::Plot)
        }
        _ => Ok(Script::Plain),
    }
}

fn require(args: &[Value], names: &[&str]) -> Result<(), Failure> {
    let missing: Vec<String> = names
        .iter()
        .skip(args.len())
        .map(|name| format!("'{name}'"))
        .collect();
    let list = match missing.as_slice() {
        [] => return Ok(()),
        [one] => one.clone(),
        [first, second] => format!("{first} and {second}"),
        [first @ .., last] => format!("{}, and {last}", first.join(", ")),
    };
    let plural = if missing.len() == 1 {
        "argument"
    } else {
        "arguments"
    };
    Err(Failure::unexpected(
        "TypeError",
        format!(
            "Script.run() missing {} required positional {plural}: {list}",
            missing.len()
        ),
    ))
}

/// Every combination of the parts after the first, in the script's order.
pub(crate) fn matrix(prompt: &str, at_start: bool, delimiter: &str) -> Vec<String> {
    let mut parts = prompt.split('|');
    let base = parts.next().unwrap_or_default().trim();
    let options: Vec<&str> = parts
        .map(|part| part.trim().trim_end_matches([',', '.', '!']))
        .collect();
    (0..1_usize << options.len().min(8))
        .map(|pattern| {
            let chosen = options
                .iter()
                .enumerate()
                .filter(|(index, _)| pattern & (1 << index) != 0)
                .map(|(_, part)| *part);
            let mut texts: Vec<&str> = Vec::new();
            if at_start {
                texts.extend(chosen);
                texts.push(base);
            } else {
                texts.push(base);
                texts.extend(chosen);
            }
            texts.join(delimiter)
        })
        .collect()
}

/// The answer of `GET scripts`.
pub(crate) fn list(server: &Server) -> Value {
    let titles = |mode| {
        let mut titles = selectable(mode).to_vec();
        titles.extend(always_on(server, mode));
        titles
    };
    json!({ "txt2img": titles(Mode::Txt2Img), "img2img": titles(Mode::Img2Img) })
}

/// The answer of `GET script-info`: one entry a script, with arguments where the mock reads them.
pub(crate) fn info(server: &Server) -> Value {
    let argument = |label: &str, value: Value, choices: Value| json!({ "label": label, "value": value, "minimum": null, "maximum": null, "step": null, "choices": choices });
    let entry = |title: &str, is_alwayson: bool, is_img2img: bool| {
        let args = match title {
            "prompt matrix" => vec![
                argument("Put variable parts at start of prompt", json!(false), Value::Null),
                argument("Use different seed for each picture", json!(false), Value::Null),
                argument(
                    "Select prompt",
                    json!("positive"),
                    json!(["positive", "negative"]),
                ),
                argument("Select joining char", json!("comma"), json!(["comma", "space"])),
                argument("Grid margins (px)", json!(0), Value::Null),
            ],
            "prompts from file or textbox" => vec![
                argument("Iterate seed every line", json!(false), Value::Null),
                argument("Use same random seed for all lines", json!(false), Value::Null),
                argument("Insert prompts at the", json!("start"), json!(["start", "end"])),
                argument("List of prompt inputs", json!(""), Value::Null),
            ],
            // As many units as the extension has in its own default settings.
            "controlnet" => (0..3).map(|_| argument("", Value::Null, Value::Null)).collect(),
            _ => Vec::new(),
        };
        json!({ "name": title.to_lowercase(), "is_alwayson": is_alwayson, "is_img2img": is_img2img, "args": args })
    };
    let mut entries = Vec::new();
    for mode in [Mode::Txt2Img, Mode::Img2Img] {
        let picture = mode == Mode::Img2Img;
        entries.extend(selectable(mode).iter().map(|title| entry(title, false, picture)));
        entries.extend(
            always_on(server, mode)
                .into_iter()
                .map(|title| entry(title, true, picture)),
        );
    }
    Value::Array(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matrix_holds_every_combination_of_the_parts() {
        assert_eq!(matrix("a|b", false, ", "), ["a", "a, b"]);
        assert_eq!(matrix("a | b | c", false, " "), ["a", "a b", "a c", "a b c"]);
        assert_eq!(matrix("a|b", true, ", "), ["a", "b, a"]);
        assert_eq!(matrix("a", false, ", "), ["a"]);
    }

    #[test]
    fn too_few_arguments_are_pythons_type_error() {
        let Err(Failure::Unexpected { class, text }) = require(&[json!(1)], &["a", "b", "c"]) else {
            panic!("passed")
        };
        assert_eq!(class, "TypeError");
        assert_eq!(
            text,
            "Script.run() missing 2 required positional arguments: 'b' and 'c'"
        );
    }
}
