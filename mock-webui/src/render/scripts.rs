//! Scripts: selectable ones and always-on ones (§3, §10).

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::batch_jobs;
use super::plot::Plot;
use super::script_table;
use crate::answer::Failure;
use crate::json::python_str;
use crate::profile::Profile;
use crate::request::{Fields, Mode};
use crate::server::Server;

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
    Prompts(PromptLines),
    /// Every combination of values on three axes, with grids in front.
    Plot(Plot),
}

/// The lines of the script "prompts from file or textbox".
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PromptLines {
    pub(crate) lines: Vec<String>,
    /// Whether a line comes before the request's own prompt.
    pub(crate) first: bool,
    /// Whether the seed counts on from line to line.
    pub(crate) counts_up: bool,
}

impl PromptLines {
    /// The prompt of a line: the line and the request's own prompt, if it has one.
    pub(crate) fn prompt(&self, line: &str, own: &str) -> String {
        match (own.is_empty(), self.first) {
            (true, _) => line.to_owned(),
            (false, true) => format!("{line} {own}"),
            (false, false) => format!("{own} {line}"),
        }
    }
}

/// Titles that always run, as the list of scripts shows them.
fn always_on(server: &Server, mode: Mode) -> Vec<&'static str> {
    let profile = server.profile();
    let mut titles: Vec<_> = script_table::always_on(profile, mode)
        .filter(|title| match *title {
            "soft inpainting" => profile >= Profile::V1_8,
            "sampler" => profile.has_schedulers(),
            _ => true,
        })
        // Its own list spells this one with a capital letter.
        .map(|title| if title == "hypertile" { "Hypertile" } else { title })
        .collect();
    if !server.setup().installed.controlnets.is_empty() && !titles.contains(&"controlnet") {
        let place = titles.iter().position(|title| *title == "refiner");
        titles.insert(place.unwrap_or(titles.len()), "controlnet");
    }
    if batch_jobs::is_installed(server, mode) {
        titles.push(batch_jobs::TITLE);
    }
    titles
}

fn not_found(name: &str) -> Failure {
    Failure::deliberate(
        StatusCode::UNPROCESSABLE_ENTITY,
        format!("Script '{name}' not found"),
    )
}

/// Checks that the selected script exists, before the sampler is looked at.
pub(crate) fn find(profile: Profile, mode: Mode, fields: &Fields) -> Result<Option<&'static str>, Failure> {
    let Some(name) = fields.non_empty("script_name") else {
        return Ok(None);
    };
    let known = script_table::selectable(profile, mode).find(|title| *title == name.to_lowercase());
    if profile.is_sd_next() {
        // It renders without one that it does not know, and the mock imitates none of those that it knows.
        return Ok(None);
    }
    known.map(Some).ok_or_else(|| not_found(name))
}

/// Checks the always-on scripts of a request, after the sampler.
pub(crate) fn check_always_on(server: &Server, mode: Mode, fields: &Fields) -> Result<(), Failure> {
    let empty = Map::new();
    for (name, script) in fields.get("alwayson_scripts").as_object().unwrap_or(&empty) {
        let lower = name.to_lowercase();
        if server.profile().is_sd_next() {
            // Its scripts have other titles.
            let text = format!("Always on script not found: {name}");
            return Err(Failure::deliberate(StatusCode::UNPROCESSABLE_ENTITY, text));
        }
        if script_table::selectable(server.profile(), mode).any(|title| title == lower) {
            let text = "Cannot have a selectable script in the always on scripts params";
            return Err(Failure::deliberate(StatusCode::UNPROCESSABLE_ENTITY, text));
        }
        if !always_on(server, mode)
            .iter()
            .any(|title| title.to_lowercase() == lower)
        {
            return Err(not_found(name));
        }
        check_arguments(script)?;
    }
    Ok(())
}

/// How many units of ControlNet a request has.
pub(crate) fn controlnet_units(fields: &Fields) -> usize {
    let scripts = fields.get("alwayson_scripts").as_object();
    let units = scripts
        .into_iter()
        .flatten()
        .find(|(title, _)| title.eq_ignore_ascii_case("controlnet"))
        .and_then(|(_, script)| script["args"].as_array());
    units.map_or(0, |units| units.iter().filter(|unit| unit.is_object()).count())
}

/// What Python makes of the arguments of an always-on script that are no list.
fn check_arguments(script: &Value) -> Result<(), Failure> {
    let type_error = |text: &str| Err(Failure::unexpected("TypeError", text));
    match script {
        // A list may hold the word "args", and then fails; no client writes that.
        Value::Array(_) | Value::String(_) => Ok(()),
        Value::Null => type_error("argument of type 'NoneType' is not iterable"),
        Value::Bool(_) => type_error("argument of type 'bool' is not iterable"),
        Value::Number(_) => type_error("argument of type 'int' is not iterable"),
        Value::Object(script) => match script.get("args") {
            Some(Value::Null) => type_error("object of type 'NoneType' has no len()"),
            Some(Value::Bool(_)) => type_error("object of type 'bool' has no len()"),
            Some(Value::Number(_)) => type_error("object of type 'int' has no len()"),
            Some(Value::Object(args)) if !args.is_empty() => Err(Failure::unexpected("KeyError", "0")),
            _ => Ok(()),
        },
    }
}

/// Reads the arguments of the selected script. Too few are Python's `TypeError`, or an error of the script itself.
pub(crate) fn read(
    profile: Profile,
    title: Option<&str>,
    mode: Mode,
    fields: &Fields,
) -> Result<Script, Failure> {
    let Some(title) = title else {
        return Ok(Script::Plain);
    };
    let args = &script_table::arguments(profile, title, mode, fields.list("script_args"))?;
    let at = |index: usize| args.get(index).unwrap_or(&Value::Null);
    match title {
        "prompt matrix" => {
            let choice = |index: usize, what: &str, choices: [&str; 2]| {
                let given = at(index);
                let known = choices.iter().any(|choice| given == *choice);
                let words = || format!("Unknown {what} {}", python_str(given));
                known
                    .then_some(given)
                    .ok_or_else(|| Failure::unexpected("ValueError", words()))
            };
            let prompt_type = choice(2, "prompt type", ["positive", "negative"])?;
            let delimiter = choice(3, "variations delimiter", ["comma", "space"])?;
            Ok(Script::PromptMatrix {
                at_start: *at(0) == true,
                different_seeds: *at(1) == true,
                negative: prompt_type == "negative",
                delimiter: if delimiter == "space" { " " } else { ", " },
            })
        }
        "prompts from file or textbox" => {
            let text = at(3).as_str().or_else(|| at(2).as_str()).unwrap_or_default();
            let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
            Ok(Script::Prompts(PromptLines {
                lines: lines.map(str::to_owned).collect(),
                first: *at(2) == "start",
                counts_up: *at(0) == true,
            }))
        }
        "x/y/z plot" => Plot::read(args, mode).map(Script::Plot),
        _ => Ok(Script::Plain),
    }
}

/// Every combination of the parts after the first, in the script's order.
pub(crate) fn matrix(prompt: &str, at_start: bool, delimiter: &str) -> Vec<String> {
    let mut parts = prompt.split('|');
    // Only the parts after the first one lose their blanks and commas.
    let base = parts.next().unwrap_or_default();
    let options: Vec<&str> = parts.map(|part| part.trim().trim_matches(',')).collect();
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
    if server.profile().is_sd_next() {
        let recorded = include_str!("../../data/sd-next/scripts.json");
        return serde_json::from_str(recorded).expect("the file is a JSON object");
    }
    let titles = |mode| {
        let mut titles: Vec<_> = script_table::selectable(server.profile(), mode).collect();
        titles.extend(always_on(server, mode));
        titles
    };
    json!({ "txt2img": titles(Mode::Txt2Img), "img2img": titles(Mode::Img2Img) })
}

/// The answer of `GET script-info`: one entry a script, with the arguments of its controls.
pub(crate) fn info(server: &Server) -> Value {
    let profile = server.profile();
    let mut entries = Vec::new();
    for mode in [Mode::Txt2Img, Mode::Img2Img] {
        let picture = mode == Mode::Img2Img;
        let titles = script_table::selectable(profile, mode).map(|title| (title, false));
        for (title, is_alwayson) in
            titles.chain(always_on(server, mode).into_iter().map(|title| (title, true)))
        {
            let title = title.to_lowercase();
            let mut args = script_table::controls(profile, &title, mode);
            if title == "controlnet" && args == json!([]) {
                // As many units as the extension has in its own default settings.
                let unit = json!({
                    "label": "", "value": null, "minimum": null, "maximum": null, "step": null, "choices": null,
                });
                args = json!([unit, unit, unit]);
            }
            if title == batch_jobs::TITLE {
                args = batch_jobs::controls(server);
            }
            if title == "refiner" {
                args[1]["choices"] = checkpoint_choices(server);
            }
            entries.push(json!({
                "name": title, "is_alwayson": is_alwayson, "is_img2img": picture, "args": args,
            }));
        }
    }
    Value::Array(entries)
}

/// What the refiner's menu of checkpoints holds. Forge shows names without endings.
fn checkpoint_choices(server: &Server) -> Value {
    let titles = server.setup().installed.models.iter().map(|model| {
        let title = model.title();
        if server.profile().is_forge() {
            title.replace(".safetensors", "")
        } else {
            title
        }
    });
    std::iter::once(String::new()).chain(titles).collect()
}

/// The refiner that its always-on script asks for: checkpoint and share of steps. It wins over the request's own fields.
pub(crate) fn refiner(fields: &Fields) -> Option<(&str, &Value)> {
    let scripts = fields.get("alwayson_scripts").as_object()?;
    let (_, script) = scripts
        .iter()
        .find(|(title, _)| title.eq_ignore_ascii_case("refiner"))?;
    let args = script["args"].as_array()?;
    let enabled = args.first().is_some_and(|enabled| *enabled == true);
    let checkpoint = args.get(1)?.as_str()?;
    let named = enabled && !matches!(checkpoint, "" | "None");
    named.then(|| (checkpoint, args.get(2).unwrap_or(&Value::Null)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matrix_holds_every_combination_of_the_parts() {
        assert_eq!(matrix("a|b", false, ", "), ["a", "a, b"]);
        assert_eq!(matrix("a| b, |c ", false, " "), ["a", "a b", "a c", "a b c"]);
        assert_eq!(matrix("a | b", false, ", "), ["a ", "a , b"]);
        assert_eq!(matrix("a|b", true, ", "), ["a", "b, a"]);
        assert_eq!(matrix("a", false, ", "), ["a"]);
    }
}
