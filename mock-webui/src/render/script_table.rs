//! The scripts of 1.10.1: their controls, and the parameters of their `run` (§3).

use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::answer::Failure;
use crate::catalogue::sampler;
use crate::profile::Profile;
use crate::request::Mode;

#[derive(Deserialize)]
struct Entry {
    name: String,
    is_alwayson: bool,
    is_img2img: bool,
    /// The names of the parameters of `run`. Of selectable scripts only.
    #[serde(default)]
    parameters: Vec<String>,
    args: Vec<Value>,
}

fn parsed(file: &str) -> Vec<Entry> {
    serde_json::from_str(file).expect("the file is a list of scripts")
}

static OF_A1111: LazyLock<Vec<Entry>> = LazyLock::new(|| parsed(include_str!("../../data/script-info.json")));
static OF_FORGE: LazyLock<Vec<Entry>> =
    LazyLock::new(|| parsed(include_str!("../../data/forge/script-info.json")));

fn entries(profile: Profile, mode: Mode) -> impl Iterator<Item = &'static Entry> {
    let table: &'static [Entry] = if profile.is_forge() { &OF_FORGE } else { &OF_A1111 };
    table
        .iter()
        .filter(move |entry| entry.is_img2img == (mode == Mode::Img2Img))
}

/// The titles of the scripts that can be selected, in lower case.
pub(super) fn selectable(profile: Profile, mode: Mode) -> impl Iterator<Item = &'static str> {
    let titles = entries(profile, mode).filter(|entry| !entry.is_alwayson);
    titles.map(|entry| entry.name.as_str())
}

/// The titles of the scripts that always run, in lower case.
pub(super) fn always_on(profile: Profile, mode: Mode) -> impl Iterator<Item = &'static str> {
    let titles = entries(profile, mode).filter(|entry| entry.is_alwayson);
    titles.map(|entry| entry.name.as_str())
}

/// The controls of a script, as `GET script-info` shows them. Lists of samplers are those of the version.
pub(super) fn controls(profile: Profile, title: &str, mode: Mode) -> Value {
    let mut args: Vec<Value> = entries(profile, mode)
        .find(|entry| entry.name == title)
        .map(|entry| entry.args.clone())
        .unwrap_or_default();
    if title == "sampler" && !profile.is_forge() {
        let names = |list: Value, key: &str| -> Value {
            let entries = list.as_array().cloned().unwrap_or_default();
            entries.iter().map(|entry| entry[key].clone()).collect()
        };
        args[1]["choices"] = names(sampler::samplers_json(profile), "name");
        args[2]["choices"] = names(sampler::schedulers_json(profile), "label");
    }
    json!(args)
}

/// The arguments that a selected script runs with.
///
/// The server keeps the arguments of all scripts in one list, and puts those of the request in the place of the
/// selected script's. With too few, the arguments of the scripts after it move up. Only the last script of the list
/// has too few then.
pub(super) fn arguments(
    profile: Profile,
    title: &str,
    mode: Mode,
    given: &[Value],
) -> Result<Vec<Value>, Failure> {
    let mut after = entries(profile, mode)
        .filter(|entry| !entry.is_alwayson)
        .skip_while(|entry| entry.name != title);
    let Some(script) = after.next() else {
        return Ok(given.to_vec());
    };
    let defaults = after.flat_map(|entry| entry.args.iter().map(|control| control["value"].clone()));
    let args: Vec<Value> = given
        .iter()
        .cloned()
        .chain(defaults)
        .take(script.parameters.len())
        .collect();
    require(&args, &script.parameters)?;
    Ok(args)
}

fn require(args: &[Value], names: &[String]) -> Result<(), Failure> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(title: &str, mode: Mode, given: &[Value]) -> (String, String) {
        match arguments(Profile::V1_10_1, title, mode, given) {
            Err(Failure::Unexpected { class, text }) => (class, text),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn too_few_arguments_of_the_last_script_are_pythons_type_error() {
        let (class, text) = refusal("x/y/z plot", Mode::Txt2Img, &vec![json!(0); 16]);
        assert_eq!(class, "TypeError");
        assert_eq!(
            text,
            "Script.run() missing 2 required positional arguments: 'margin_size' and 'csv_mode'"
        );
    }

    #[test]
    fn too_few_arguments_of_another_script_are_those_of_the_next_one() {
        let args =
            arguments(Profile::V1_10_1, "prompt matrix", Mode::Txt2Img, &[json!(true)]).expect("enough");
        assert_eq!(json!(args), json!([true, false, false, "start", ""]));
    }

    #[test]
    fn every_selectable_script_has_a_control_for_each_parameter() {
        for entry in OF_A1111
            .iter()
            .chain(OF_FORGE.iter())
            .filter(|entry| !entry.is_alwayson)
        {
            assert_eq!(entry.parameters.len(), entry.args.len(), "{}", entry.name);
        }
    }
}
