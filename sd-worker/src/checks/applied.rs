//! What was asked for, compared with what the answer says of itself (`docs/protocol/webui-api.md` §5, §6).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use serde_json::value::RawValue;

use super::asked;
use super::catalogue::{Catalogue, List};
use super::finding::Finding;
use crate::lenient;
use crate::picture::Kind;
use crate::splice::Object;

/// Numbers that the document repeats as they were used.
const NUMBERS: [&str; 5] = ["steps", "cfg_scale", "width", "height", "batch_size"];

/// Everything in the answer that is not as the request has it.
pub(super) async fn differences(
    request: &Object<'_>,
    answer: &Object<'_>,
    catalogue: &Catalogue,
) -> Vec<Finding> {
    let Some(info) = answer.decode::<String>("info") else {
        return Vec::new();
    };
    let Ok(info) = serde_json::from_str::<Value>(&info) else {
        return Vec::new();
    };
    let infotext = infotext(&info);
    let mut found = Vec::new();
    for field in NUMBERS {
        found.extend(number(request, &info, field));
    }
    found.extend(seed(request, &info));
    // A script renders what it likes: other samplers, other prompts, more pictures.
    let script = request.decode::<String>("script_name").unwrap_or_default();
    if script.is_empty() {
        found.extend(sampling(request, &info, &infotext, catalogue).await);
        found.extend(checkpoint(request, &info, catalogue).await);
        found.extend(loras(request, &infotext, catalogue).await);
        found.extend(pictures(request, answer, &info));
    }
    if let Some(asked) = setting(request, "sd_vae")
        && !["Automatic", "None"].contains(&asked.as_str())
    {
        let got = &info["sd_vae_name"];
        if got.as_str() != Some(asked.as_str()) {
            found.push(Finding::other("override_settings.sd_vae", asked, got.clone()));
        }
    }
    found
}

/// The text of the first picture, behind a grid.
fn infotext(info: &Value) -> String {
    let first = info["index_of_first_image"].as_u64().unwrap_or_default();
    let first = usize::try_from(first).unwrap_or_default();
    info["infotexts"][first].as_str().unwrap_or_default().to_owned()
}

fn setting(request: &Object<'_>, key: &str) -> Option<String> {
    request.object("override_settings")?.decode(key)
}

fn asked_number(request: &Object<'_>, field: &str) -> Option<f64> {
    lenient::number(&request.decode(field)?)
}

/// A whole number without its point.
fn shown(number: f64) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "it is whole and not large")]
    if number.fract() == 0.0 && number.abs() < 1e15 {
        Value::from(number as i64)
    } else {
        Value::from(number)
    }
}

fn number(request: &Object<'_>, info: &Value, field: &str) -> Option<Finding> {
    let asked = asked_number(request, field)?;
    let got = info[field].as_f64()?;
    let asked_for = if field == "cfg_scale" {
        asked
    } else {
        asked.trunc()
    };
    ((asked_for - got).abs() > 1e-6).then(|| Finding::other(field, shown(asked), info[field].clone()))
}

fn seed(request: &Object<'_>, info: &Value) -> Option<Finding> {
    let asked: i64 = request.decode("seed")?;
    let got = info["seed"].as_i64()?;
    (asked != -1 && asked != got).then(|| Finding::other("seed", asked, got))
}

async fn sampling(request: &Object<'_>, info: &Value, infotext: &str, catalogue: &Catalogue) -> Vec<Finding> {
    let mut found = Vec::new();
    let got = info["sampler_name"].as_str().unwrap_or_default();
    let schedule = info["extra_generation_params"]["Schedule type"]
        .as_str()
        .map(str::to_owned)
        .or_else(|| entry(infotext, "Schedule type"));
    // A name such as "DPM++ 2M Karras" is both.
    let mut wanted_schedule = request
        .decode::<String>("scheduler")
        .filter(|name| !name.is_empty());
    if let Some((field, asked)) = asked::sampler(request)
        && !got.is_empty()
        && asked != got
    {
        match asked.strip_prefix(got).and_then(|rest| rest.strip_prefix(' ')) {
            Some(ending) => wanted_schedule = wanted_schedule.or_else(|| Some(ending.to_owned())),
            None => found.push(Finding::other(field, asked, got)),
        }
    }
    if let (Some(asked), Some(got)) = (wanted_schedule, schedule)
        && !asked.eq_ignore_ascii_case("automatic")
        && !asked.eq_ignore_ascii_case(&got)
    {
        // One may be the name and the other the label of the same.
        let entry = catalogue.find(List::Schedulers, &asked).await;
        if !entry.is_some_and(|entry| entry.is(&got)) {
            found.push(Finding::other("scheduler", asked, got));
        }
    }
    found
}

async fn checkpoint(request: &Object<'_>, info: &Value, catalogue: &Catalogue) -> Option<Finding> {
    let asked = setting(request, "sd_model_checkpoint").filter(|name| !name.is_empty())?;
    let got = info["sd_model_name"].as_str()?;
    let entry = catalogue.find(List::Checkpoints, &asked).await?;
    let same = entry.names().iter().any(|name| {
        let file = name.split(" [").next().unwrap_or(name);
        let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
        name == got || stem == got || stem.rsplit(['/', '\\']).next() == Some(got)
    });
    (!same).then(|| Finding::other("override_settings.sd_model_checkpoint", asked, got))
}

/// A `LoRA` that was applied has its hash in the infotext, unless a setting says otherwise.
async fn loras(request: &Object<'_>, infotext: &str, catalogue: &Catalogue) -> Vec<Finding> {
    let hashes = entry(infotext, "Lora hashes").unwrap_or_default();
    let applied: Vec<&str> = hashes
        .split(", ")
        .filter_map(|entry| Some(entry.split_once(": ")?.0))
        .collect();
    let missing: Vec<_> = asked::loras(request)
        .into_iter()
        .filter(|(field, name)| {
            field == "prompt" && !applied.contains(&name.replace([':', ','], "").as_str())
        })
        .collect();
    if missing.is_empty() || catalogue.hides_loras().await {
        return Vec::new();
    }
    missing
        .into_iter()
        .map(|(field, name)| Finding::other(&field, format!("<lora:{name}>"), Value::Null))
        .collect()
}

/// How many there are, and how large they are.
fn pictures(request: &Object<'_>, answer: &Object<'_>, info: &Value) -> Vec<Finding> {
    let Some(images) = answer.decode::<Vec<Box<RawValue>>>("images") else {
        return Vec::new();
    };
    if request.decode::<bool>("send_images") == Some(false) {
        return Vec::new();
    }
    let mut found = Vec::new();
    let grids = info["index_of_first_image"].as_u64().unwrap_or_default();
    let count = |field| asked_number(request, field).unwrap_or(1.0).trunc();
    let asked = count("batch_size") * count("n_iter");
    let got = (images.len() as u64).saturating_sub(grids);
    #[expect(clippy::cast_precision_loss, reason = "a few pictures")]
    if (got as f64 - asked).abs() > 0.5 {
        found.push(Finding::other("n_iter", shown(asked), got));
    }
    let grids = usize::try_from(grids).unwrap_or_default();
    if request.decode::<bool>("enable_hr") != Some(true)
        && let Some((width, height)) = images.get(grids).and_then(|image| png_size(image.get()))
    {
        for (field, got) in [("width", width), ("height", height)] {
            if let Some(asked) = asked_number(request, field)
                // Pictures are cut to a multiple of 8.
                && (f64::from(got) - (asked.trunc() / 8.0).floor() * 8.0).abs() > 0.5
            {
                found.push(Finding::other(field, shown(asked), got));
            }
        }
    }
    found
}

/// Width and height stand in a PNG's first 24 bytes.
fn png_size(image: &str) -> Option<(u32, u32)> {
    let start = STANDARD.decode(image.get(1..33)?).ok()?;
    Kind::of(&start)?.size(&start)
}

/// An entry of an infotext's last line. Values with commas or colons are in quotes.
fn entry(infotext: &str, key: &str) -> Option<String> {
    let line = infotext.lines().next_back()?;
    let mut rest = line;
    while !rest.is_empty() {
        let (name, after) = rest.split_once(": ")?;
        let (value, next) = if after.starts_with('"') {
            let mut texts = serde_json::Deserializer::from_str(after).into_iter::<String>();
            let value = texts.next()?.ok()?;
            let end = texts.byte_offset();
            (value, after[end..].trim_start_matches(", "))
        } else {
            let (value, next) = after.split_once(", ").unwrap_or((after, ""));
            (value.to_owned(), next)
        };
        if name == key {
            return Some(value);
        }
        rest = next;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_infotext_is_read_entry_by_entry() {
        let text = "a cat, Schedule type: no\nNegative prompt: x\nSteps: 2, Sampler: DPM++ 2M, Schedule type: Karras, \
            Lora hashes: \"a: 1, b: 2\", Version: v1.10.1";
        assert_eq!(entry(text, "Schedule type").as_deref(), Some("Karras"));
        assert_eq!(entry(text, "Lora hashes").as_deref(), Some("a: 1, b: 2"));
        assert_eq!(entry(text, "Version").as_deref(), Some("v1.10.1"));
        assert_eq!(entry(text, "VAE"), None);
    }

    #[test]
    fn a_png_tells_its_size() {
        let png = include_bytes!("../../../tests/fixtures/webui/v1.10.1/txt2img-minimal.png");
        let quoted = format!("\"{}\"", STANDARD.encode(png));
        assert_eq!(png_size(&quoted), Some((64, 64)));
        assert_eq!(png_size("\"aGk=\""), None);
    }
}
