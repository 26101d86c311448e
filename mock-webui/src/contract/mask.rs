//! Masking what differs between any two runs of the real server.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::json;

/// Keys whose value is a time.
const TIMES: [&str; 3] = ["eta_relative", "job_timestamp", "id"];
/// Installation details that no two servers share.
const PLACES: [&str; 5] = ["filename", "path", "commit_hash", "config", "ckpt"];
/// Keys that name a checkpoint or its hash.
const CHECKPOINTS: [&str; 9] = [
    "title",
    "model_name",
    "hash",
    "sha256",
    "sd_model_name",
    "sd_model_hash",
    "sd_model_checkpoint",
    "sd_checkpoint_hash",
    "Model hash",
];
/// Entries of an infotext that differ between any two servers: what names the checkpoint, and random digests.
const ENTRIES: [(&str, &str); 4] = [
    ("Model", "<model>"),
    ("Refiner", "<model>"),
    ("Hires checkpoint", "<model>"),
    ("Init image hash", "<digest>"),
];
/// A recording keeps this many characters of a page.
const PAGE: usize = 400;

/// The masked form of a body. `request` tells which seeds were chosen by the client.
pub(super) fn masked(body: &Value, request: &Value) -> Value {
    let mut body = body.clone();
    let text = body["info"]
        .as_str()
        .filter(|_| body["images"].is_array())
        .unwrap_or_default();
    if let Ok(Value::Object(parsed)) = serde_json::from_str::<Value>(text) {
        let like_python = json::spaced(&Value::Object(parsed.clone())) == text;
        body["info"] = Value::Object(info(parsed, request));
        body["info is written as Python does"] = json!(like_python);
    }
    mask(&mut body, "");
    body
}

fn mask(value: &mut Value, key: &str) {
    match value {
        Value::Null => {
            // A server that computes no hashes knows none; whether it does is not what is compared.
            if CHECKPOINTS.contains(&key) && key.contains("sha") | key.contains("hash") {
                *value = json!("<hash>");
            }
        }
        _ if TIMES.contains(&key) => *value = json!("<time>"),
        _ if PLACES.contains(&key) => *value = json!("<place>"),
        _ if CHECKPOINTS.contains(&key) && key.contains("sha") | key.contains("hash") => {
            *value = json!("<hash>");
        }
        _ if CHECKPOINTS.contains(&key) => *value = json!("<model>"),
        // A copy without a git folder states its version without the `v`.
        Value::String(version) if key == "version" => {
            *version = version.trim_start_matches('v').to_owned();
        }
        Value::String(text) => *value = json!(masked_text(text)),
        Value::Array(items) => {
            items.retain(|item| !is_the_recorders_script(item));
            for item in items {
                mask(item, key);
            }
        }
        Value::Object(entries) => {
            for (name, entry) in entries {
                mask(entry, name);
            }
        }
        Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The recorder had scripts of its own, which lists of scripts show.
fn is_the_recorders_script(item: &Value) -> bool {
    let title = if item.is_object() { &item["name"] } else { item };
    *title == "golden fault" || *title == "real fault"
}

fn masked_text(text: &str) -> String {
    if let Some(picture) = picture(text) {
        return picture;
    }
    if text.trim_start().starts_with("<!") {
        return text.chars().take(PAGE).collect();
    }
    // The entries of an infotext, which are its last line.
    match text.rsplit_once('\n') {
        Some((before, last)) if last.contains(": ") => format!("{before}\n{}", masked_entries(last)),
        None if text.contains("Steps: ") || text.contains("Model: ") => masked_entries(text),
        _ => text.to_owned(),
    }
}

fn masked_entries(line: &str) -> String {
    let entries = line.split(", ").filter_map(|entry| {
        let Some((name, value)) = entry.split_once(": ") else {
            return Some(entry.to_owned());
        };
        match name {
            // A server that computes no hashes leaves it out.
            "Model hash" => None,
            "Version" => Some(format!("Version: {}", value.trim_start_matches('v'))),
            _ => ENTRIES
                .iter()
                .find(|(masked, _)| *masked == name)
                .map(|(_, mask)| format!("{name}: {mask}"))
                .or_else(|| Some(entry.to_owned())),
        }
    });
    entries.collect::<Vec<_>>().join(", ")
}

/// A picture becomes its format and size: `png 64x64`.
fn picture(text: &str) -> Option<String> {
    if let Some(placeholder) = text.strip_prefix("<base64 ") {
        let mut words = placeholder.split([' ', ',']);
        return match words.next()? {
            // Only of PNG files the recorder noted a size.
            "png" => Some(format!("png {}", words.next()?)),
            _ => Some("a picture".to_owned()),
        };
    }
    if text.len() > 200 && (text.starts_with("/9j/") || text.starts_with("UklGR")) {
        return Some("a picture".to_owned());
    }
    let start = text.get(..44).filter(|start| start.starts_with("iVBORw0KGgo"))?;
    let head = STANDARD.decode(start).ok()?;
    let side = |at: usize| Some(u32::from_be_bytes(head.get(at..at + 4)?.try_into().ok()?));
    Some(format!("png {}x{}", side(16)?, side(20)?))
}

/// Seeds that the server chose become their distance from the first one.
fn info(mut info: Map<String, Value>, request: &Value) -> Map<String, Value> {
    for (name, all, entry) in [
        ("seed", "all_seeds", "Seed: "),
        ("subseed", "all_subseeds", "Variation seed: "),
    ] {
        if request[name].as_i64().is_some_and(|seed| seed != -1) {
            continue;
        }
        let Some(first) = info.get(name).and_then(Value::as_i64) else {
            continue;
        };
        let masked = |seed: i64| format!("<{name}+{}>", seed.wrapping_sub(first));
        if let Some(texts) = info.get_mut("infotexts").and_then(Value::as_array_mut) {
            for text in texts {
                if let Some((before, rest)) = text.as_str().and_then(|text| text.split_once(entry)) {
                    let end = rest.find(',').unwrap_or(rest.len());
                    if let Ok(seed) = rest[..end].parse() {
                        *text = json!(format!("{before}{entry}{}{}", masked(seed), &rest[end..]));
                    }
                }
            }
        }
        if let Some(seeds) = info.get_mut(all).and_then(Value::as_array_mut) {
            for seed in seeds {
                if let Some(number) = seed.as_i64() {
                    *seed = json!(masked(number));
                }
            }
        }
        info.insert(name.to_owned(), json!(masked(first)));
    }
    info
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_seeds_become_distances_and_chosen_ones_stay() {
        let info = json::spaced(&json!({
            "seed": 7, "all_seeds": [7, 8], "subseed": 3, "all_subseeds": [3, 4],
            "infotexts": ["x\nSeed: 8, Model hash: 0123456789, Model: mine"],
        }));
        let body = json!({ "images": [], "info": info });
        let hidden = masked(&body, &json!({}));
        assert_eq!(hidden["info"]["all_seeds"], json!(["<seed+0>", "<seed+1>"]));
        assert_eq!(
            hidden["info"]["infotexts"],
            json!(["x\nSeed: <seed+1>, Model: <model>"])
        );
        assert_eq!(hidden["info is written as Python does"], json!(true));
        let chosen = masked(&body, &json!({ "seed": 7 }));
        assert_eq!(chosen["info"]["all_seeds"], json!([7, 8]));
    }

    #[test]
    fn a_checkpoint_is_masked_where_it_is_named_and_nowhere_else() {
        let text =
            json!("tiny prompt, tiny\nSteps: 2, Model hash: 0123456789, Model: tiny, Version: v1.10.1");
        let hidden = masked(&json!({ "title": "tiny.ckpt", "infotexts": [text] }), &json!({}));
        assert_eq!(hidden["title"], json!("<model>"));
        assert_eq!(
            hidden["infotexts"][0],
            json!("tiny prompt, tiny\nSteps: 2, Model: <model>, Version: 1.10.1")
        );
    }

    #[test]
    fn pictures_become_their_size_whether_recorded_or_real() {
        let real = STANDARD.encode(crate::file::png(
            &crate::gpu::picture::Picture::plain(16, 8, [0; 3]),
            None,
        ));
        assert_eq!(picture(&real).as_deref(), Some("png 16x8"));
        assert_eq!(
            picture("<base64 png 16x8, 596 chars, 446 bytes>").as_deref(),
            Some("png 16x8")
        );
        assert_eq!(picture("a cat"), None);
    }
}
