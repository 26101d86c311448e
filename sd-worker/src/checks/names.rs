//! Finds the names in a request, with the WebUI's lists that should have them.

use serde_json::value::RawValue;

use super::list::{List, Named};
use super::prompts;
use crate::splice::Object;
use crate::webui::{Call, JobKind};

/// Fields with a name, and the values that stand for no name there.
const FIELDS: &[(&str, List, &[&str])] = &[
    ("scheduler", List::Schedulers, &[]),
    ("hr_sampler_name", List::Samplers, &["Use same sampler"]),
    ("hr_scheduler", List::Schedulers, &["Use same scheduler"]),
    ("refiner_checkpoint", List::Checkpoints, &["None"]),
    (
        "hr_checkpoint_name",
        List::Checkpoints,
        &["Use same checkpoint", "None"],
    ),
    ("hr_upscaler", List::HiresUpscalers, &["None"]),
    ("upscaler_1", List::Upscalers, &["None"]),
    ("upscaler_2", List::Upscalers, &["None"]),
];

/// All names of a request to render.
pub(super) fn of_request(call: &Call, request: &Object<'_>) -> Vec<Named> {
    let mut found = Vec::new();
    let mut note = |field: String, name: String, list| {
        if !name.is_empty() {
            found.push(Named { field, name, list });
        }
    };
    if let Some((field, name)) = sampler(request) {
        note(field.to_owned(), name, List::Samplers);
    }
    for (field, list, special) in FIELDS {
        if let Some(name) = request.decode::<String>(field)
            && !special.contains(&name.as_str())
        {
            note((*field).to_owned(), name, *list);
        }
    }
    if let Some(settings) = request.object("override_settings") {
        if let Some(name) = settings.decode("sd_model_checkpoint") {
            note(
                "override_settings.sd_model_checkpoint".to_owned(),
                name,
                List::OverrideCheckpoints,
            );
        }
        if let Some(name) = settings.decode::<String>("sd_vae")
            && !["Automatic", "None"].contains(&name.as_str())
        {
            note("override_settings.sd_vae".to_owned(), name, List::Vaes);
        }
        for (key, list) in [
            ("face_restoration_model", List::FaceRestorers),
            ("upscaler_for_img2img", List::Upscalers),
        ] {
            if let Some(name) = settings.decode::<String>(key).filter(|name| name != "None") {
                note(format!("override_settings.{key}"), name, list);
            }
        }
    }
    for (field, name, list) in forge(request) {
        note(field, name, list);
    }
    for style in request.decode::<Vec<String>>("styles").unwrap_or_default() {
        note("styles".to_owned(), style, List::Styles);
    }
    for (kind, list) in [("lora", List::Loras), ("hypernet", List::Hypernetworks)] {
        for (field, name) in prompts::tags(request, kind) {
            note(field, name, list);
        }
    }
    let scripts = if call.job_kind == JobKind::Img2Img {
        List::PictureScripts
    } else {
        List::TextScripts
    };
    if let Some(name) = request.decode("script_name") {
        note("script_name".to_owned(), name, scripts);
    }
    if let Some(always_on) = request.object("alwayson_scripts") {
        for (title, value) in always_on.iter() {
            note("alwayson_scripts".to_owned(), title.to_owned(), scripts);
            if title.eq_ignore_ascii_case("controlnet") {
                for (field, name, list) in units(title, value) {
                    note(field, name, list);
                }
            }
        }
    }
    found
}

/// The text encoders and VAEs of Forge, and its preset. A name that it does not have it passes over.
fn forge(request: &Object<'_>) -> Vec<(String, String, List)> {
    let settings = request.object("override_settings");
    let of_settings = |key: &str| settings.as_ref()?.decode::<Vec<String>>(key);
    let mut found = Vec::new();
    let special = ["None", "Built-in", "Automatic", "Use same choices"];
    for (field, names) in [
        (
            "override_settings.forge_additional_modules",
            of_settings("forge_additional_modules"),
        ),
        ("hr_additional_modules", request.decode("hr_additional_modules")),
    ] {
        for name in names.into_iter().flatten() {
            if !special.contains(&name.as_str()) {
                found.push((field.to_owned(), name, List::Modules));
            }
        }
    }
    let preset: Option<String> = settings
        .as_ref()
        .and_then(|settings| settings.decode("forge_preset"));
    if let Some(preset) = preset {
        found.push(("override_settings.forge_preset".to_owned(), preset, List::Presets));
    }
    found
}

/// The sampler that counts, and its field.
pub(super) fn sampler(request: &Object<'_>) -> Option<(&'static str, String)> {
    ["sampler_name", "sampler_index"].into_iter().find_map(|field| {
        let name = request.decode::<String>(field)?;
        (!name.is_empty()).then_some((field, name))
    })
}

/// Preprocessors and models of ControlNet units.
fn units(title: &str, script: &RawValue) -> Vec<(String, String, List)> {
    let args: Vec<&RawValue> = Object::read(script.get())
        .and_then(|script| script.get("args"))
        .and_then(|args| serde_json::from_str(args.get()).ok())
        .unwrap_or_default();
    let mut found = Vec::new();
    for (index, unit) in args.into_iter().enumerate() {
        let Some(unit) = Object::read(unit.get()) else {
            continue;
        };
        if unit.decode::<bool>("enabled") == Some(false) {
            continue;
        }
        for (key, list) in [("module", List::ControlModules), ("model", List::ControlModels)] {
            if let Some(name) = unit.decode::<String>(key)
                && !name.eq_ignore_ascii_case("none")
            {
                let field = format!("alwayson_scripts.{title}.args.{index}.{key}");
                found.push((field, name, list));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use runpod_sdk::json::RawJson;

    use super::*;

    #[test]
    fn every_name_of_a_request_is_found() {
        let text = r#"{
            "prompt": "a <lora:one:0.5> b <lora:two> <lora:open", "sampler_name": "", "sampler_index": "Euler",
            "scheduler": "karras", "hr_sampler_name": "Use same sampler", "hr_upscaler": "Latent", "styles": ["s"],
            "hr_prompt": "<hypernet:h:1>", "script_name": "x",
            "override_settings": {"sd_model_checkpoint": "m", "sd_vae": "Automatic", "face_restoration_model": "f"},
            "alwayson_scripts": {"ControlNet": {"args": [
                {"module": "none", "model": "c"}, {"enabled": false, "model": "off"}, true]}}
        }"#;
        let call = Call::txt2img(RawJson::parse(text).unwrap());
        let found = of_request(&call, &Object::read(text).unwrap());
        let found: Vec<String> = found
            .into_iter()
            .map(|Named { field, name, list }| format!("{field} {name} {list:?}"))
            .collect();
        assert_eq!(
            found,
            [
                "sampler_index Euler Samplers",
                "scheduler karras Schedulers",
                "hr_upscaler Latent HiresUpscalers",
                "override_settings.sd_model_checkpoint m OverrideCheckpoints",
                "override_settings.face_restoration_model f FaceRestorers",
                "styles s Styles",
                "prompt one Loras",
                "prompt two Loras",
                "hr_prompt h Hypernetworks",
                "script_name x TextScripts",
                "alwayson_scripts ControlNet TextScripts",
                "alwayson_scripts.ControlNet.args.0.model c ControlModels",
            ]
        );
    }
}
