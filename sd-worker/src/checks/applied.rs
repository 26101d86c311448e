//! Compares a request with the parameters that its answer reports (`docs/protocol/webui-api.md` §5, §6).

use serde_json::Value;

use super::answer_pictures::{fewer, is_put_back, sent, size};
use super::finding::Finding;
use super::list::List;
use super::lookups::Lookups;
use super::numbers::{self, number, same, shown};
use super::reported::ReportedParameters;
use super::{names, passes, prompts, scripts, styles, units};
use crate::splice::Object;

/// Numbers that the document reports as they were used, and whether the WebUI reads them as whole ones.
const NUMBERS: [(&str, bool); 6] = [
    ("steps", true),
    ("cfg_scale", false),
    ("width", true),
    ("height", true),
    ("batch_size", true),
    ("subseed_strength", false),
];

/// Everything that the answer reports differently than the request has it.
pub(super) async fn differences(
    request: &Object<'_>,
    answer: &Object<'_>,
    lookups: &Lookups<'_>,
) -> Vec<Finding> {
    let Some(reported) = &ReportedParameters::read(answer) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    let script = request.decode::<String>("script_name").unwrap_or_default();
    if scripts::keeps_parameters(&script, request) {
        found.extend(parameters(request, reported));
        found.extend(passes::differences(request, answer, reported, lookups).await);
    }
    // A script may render with other samplers and prompts, and more pictures.
    if script.is_empty() {
        found.extend(strength(request, reported));
        found.extend(sampling(request, reported, lookups).await);
        found.extend(checkpoint(request, reported, lookups).await);
        found.extend(modules(request, reported));
        found.extend(loras(request, reported, lookups).await);
        if !reported.is_of_sd_next() {
            found.extend(styles::missing(request, reported, lookups).await);
        }
        found.extend(pictures(request, answer, reported));
    } else {
        found.extend(scripts::result(request, answer, reported));
    }
    if scripts::keeps_parameters(&script, request) {
        found.extend(settings(request, reported));
        found.extend(units::missing(request, reported));
    }
    found
}

/// Numbers, seeds and switches.
fn parameters(request: &Object<'_>, reported: &ReportedParameters) -> Vec<Finding> {
    let mut found = Vec::new();
    for (field, whole) in NUMBERS {
        found.extend(used(request, reported, field, whole));
    }
    found.extend(seed(request, reported, "seed"));
    if numbers::asked(request, "subseed_strength").is_some_and(|strength| strength > 0.0) {
        found.extend(seed(request, reported, "subseed"));
    }
    found.extend(switches(request, reported));
    found
}

fn setting(request: &Object<'_>, key: &str) -> Option<String> {
    request.object("override_settings")?.decode(key)
}

fn used(request: &Object<'_>, reported: &ReportedParameters, field: &str, whole: bool) -> Option<Finding> {
    let asked = numbers::asked(request, field)?;
    let got = reported.info(field).as_f64()?;
    let asked_for = if whole { asked.trunc() } else { asked };
    if is_of_the_first_pass(request, field) {
        return None;
    }
    (!same(asked_for, got)).then(|| Finding::other(field, shown(asked), reported.info(field).clone()))
}

/// Whether the old fields for the first pass take the place of a side.
fn is_of_the_first_pass(request: &Object<'_>, field: &str) -> bool {
    matches!(field, "width" | "height")
        && ["firstphase_width", "firstphase_height"]
            .iter()
            .any(|field| numbers::asked(request, field).is_some_and(|side| side >= 1.0))
}

fn seed(request: &Object<'_>, reported: &ReportedParameters, field: &str) -> Option<Finding> {
    let asked: i64 = request.decode(field)?;
    let got = reported.info(field).as_i64()?;
    (asked != -1 && asked != got).then(|| Finding::other(field, asked, got))
}

/// The denoising strength. Without a picture to begin with it matters in the second pass alone.
fn strength(request: &Object<'_>, reported: &ReportedParameters) -> Option<Finding> {
    request.get("init_images")?;
    used(request, reported, "denoising_strength", false)
}

/// Fields that are on or off. Off is not checked, because a setting may have it on.
fn switches(request: &Object<'_>, reported: &ReportedParameters) -> Vec<Finding> {
    let is_on = |field| request.decode::<bool>(field) == Some(true);
    let mut found = Vec::new();
    if is_on("restore_faces") && reported.info("restore_faces") == &Value::Bool(false) {
        found.push(Finding::other("restore_faces", true, false));
    }
    let reports_tiling = reported.entry("Steps").is_some() && !reported.is_of_sd_next();
    if is_on("tiling") && reports_tiling && reported.entry("Tiling").is_none() {
        found.push(Finding::other("tiling", true, Value::Null));
    }
    found
}

/// The request's own settings that the document reports.
fn settings(request: &Object<'_>, reported: &ReportedParameters) -> Vec<Finding> {
    let mut found = Vec::new();
    if let Some(asked) = setting(request, "sd_vae")
        && !["Automatic", "None"].contains(&asked.as_str())
    {
        let got = reported.info("sd_vae_name");
        let is_reported = !reported.is_of_sd_next() || !got.is_null();
        if is_reported && got.as_str() != Some(asked.as_str()) {
            found.push(Finding::other("override_settings.sd_vae", asked, got.clone()));
        }
    }
    let clip_skip = "CLIP_stop_at_last_layers";
    if let Some(asked) = request
        .object("override_settings")
        .and_then(|settings| numbers::asked(&settings, clip_skip))
        && let Some(got) = number(reported.info("clip_skip"))
        && !same(asked, got)
    {
        let field = format!("override_settings.{clip_skip}");
        found.push(Finding::other(&field, shown(asked), shown(got)));
    }
    found
}

async fn sampling(
    request: &Object<'_>,
    reported: &ReportedParameters,
    lookups: &Lookups<'_>,
) -> Vec<Finding> {
    let mut found = Vec::new();
    let got = reported.info("sampler_name").as_str().unwrap_or_default();
    let schedule = reported.parameter("Schedule type");
    // A name such as "DPM++ 2M Karras" is both.
    let mut wanted_schedule = request
        .decode::<String>("scheduler")
        .filter(|name| !name.is_empty());
    if let Some((field, asked)) = names::sampler(request)
        && !got.is_empty()
        && asked != got
    {
        // "Euler a" is no "Euler" with another schedule, but a sampler of its own.
        let is_whole = lookups.find(List::Samplers, &asked).await.is_some();
        match asked.strip_prefix(got).and_then(|rest| rest.strip_prefix(' ')) {
            Some(ending) if !is_whole => {
                wanted_schedule = wanted_schedule.or_else(|| Some(ending.to_owned()));
            }
            _ => found.push(Finding::other(field, asked, got)),
        }
    }
    if let (Some(asked), Some(got)) = (wanted_schedule, schedule)
        && !asked.eq_ignore_ascii_case("automatic")
        && !asked.eq_ignore_ascii_case(&got)
    {
        // One may be the name and the other the label of the same.
        if !lookups.is_same_schedule(&asked, &got).await {
            found.push(Finding::other("scheduler", asked, got));
        }
    }
    found
}

async fn checkpoint(
    request: &Object<'_>,
    reported: &ReportedParameters,
    lookups: &Lookups<'_>,
) -> Option<Finding> {
    let asked = setting(request, "sd_model_checkpoint").filter(|name| !name.is_empty())?;
    let got = reported.info("sd_model_name").as_str()?;
    let entry = lookups.find(List::OverrideCheckpoints, &asked).await?;
    (!entry.is_checkpoint(got)).then(|| Finding::other("override_settings.sd_model_checkpoint", asked, got))
}

/// The modules of Forge, of which the infotext has the files' names without their endings.
fn modules(request: &Object<'_>, reported: &ReportedParameters) -> Option<Finding> {
    let asked: Vec<String> = request
        .object("override_settings")?
        .decode("forge_additional_modules")?;
    let got: Vec<String> = (1..)
        .map_while(|number| reported.parameter(&format!("Module {number}")))
        .collect();
    if got.is_empty() {
        return None; // Only some versions and models report them.
    }
    let is_used = |name: &String| {
        let file = name.rsplit(['/', '\\']).next().unwrap_or(name);
        let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
        got.iter().any(|got| got == stem || got == file)
    };
    (!asked.iter().all(is_used))
        .then(|| Finding::other("override_settings.forge_additional_modules", asked, got))
}

/// A `LoRA` that was applied has its hash in the infotext, unless hashes are off.
async fn loras(request: &Object<'_>, reported: &ReportedParameters, lookups: &Lookups<'_>) -> Vec<Finding> {
    let hashes = reported.parameter("Lora hashes").unwrap_or_default();
    let applied: Vec<&str> = hashes
        .split(", ")
        .filter_map(|entry| Some(entry.split_once(": ")?.0))
        .collect();
    let missing: Vec<_> = prompts::tags(request, "lora")
        .into_iter()
        .filter(|(field, name)| {
            field == "prompt" && !applied.contains(&name.replace([':', ','], "").as_str())
        })
        .collect();
    if missing.is_empty() || reported.is_of_sd_next() || !lookups.reports_loras(reported).await {
        return Vec::new();
    }
    missing
        .into_iter()
        .map(|(field, name)| Finding::other(&field, format!("<lora:{name}>"), Value::Null))
        .collect()
}

/// The number and the size of the pictures.
fn pictures(request: &Object<'_>, answer: &Object<'_>, reported: &ReportedParameters) -> Vec<Finding> {
    let Some(images) = sent(request, answer) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    let count = |field| numbers::asked(request, field).unwrap_or(1.0).trunc();
    let asked = count("batch_size") * count("n_iter");
    // Maps of ControlNet and masks come behind the pictures, and are not described.
    let own = reported.described().filter(|described| *described > 0);
    let own = own.map_or(images.len(), |described| described.min(images.len()));
    found.extend(fewer(asked, own, reported, "n_iter"));
    if request.decode::<bool>("enable_hr") != Some(true)
        && !is_put_back(request)
        && !is_of_the_first_pass(request, "width")
        && let Some((width, height)) = size(&images, reported)
    {
        for (field, got) in [("width", width), ("height", height)] {
            if let Some(asked) = numbers::asked(request, field)
                // Pictures are cut to a multiple of 8.
                && (f64::from(got) - (asked.trunc() / 8.0).floor() * 8.0).abs() > 0.5
            {
                found.push(Finding::other(field, shown(asked), got));
            }
        }
    }
    found
}
