//! Masking what differs between any two runs of the real server.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::json;

/// What is masked, for one server.
#[derive(Debug)]
pub(super) struct Masks {
    /// Texts and what takes their place: the names and hashes of this server's models and of the recorded.
    names: Vec<(String, &'static str)>,
}

/// Keys whose value is a time.
const TIMES: [&str; 2] = ["eta_relative", "job_timestamp"];
/// Installation details that no two servers share.
const PLACES: [&str; 4] = ["filename", "path", "commit_hash", "config"];
/// A recording keeps this many characters of a page.
const PAGE: usize = 400;

impl Masks {
    /// `models` is the server's answer of `GET sd-models`.
    pub(super) fn for_models(models: &Value) -> Self {
        let mut names = Vec::new();
        let mut add = |value: &Value, mask| {
            if let Some(text) = value.as_str().filter(|text| text.len() > 2) {
                names.push((text.to_owned(), mask));
            }
        };
        let recorded = json!({ "model_name": "tiny-random", "hash": "72897b720f" });
        for model in models.as_array().into_iter().flatten().chain([&recorded]) {
            add(&model["sha256"], "<sha256>");
            add(&model["hash"], "<hash>");
            add(&model["model_name"], "<model>");
        }
        Self { names }
    }

    /// The masked form of a body. `request` tells which seeds were chosen by the client.
    pub(super) fn apply(&self, body: &Value, request: &Value) -> Value {
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
        self.value(&mut body, "");
        body
    }

    fn value(&self, value: &mut Value, key: &str) {
        match value {
            Value::Null => {}
            _ if TIMES.contains(&key) => *value = json!("<time>"),
            _ if PLACES.contains(&key) => *value = json!("<place>"),
            Value::String(text) => *value = json!(self.text(text)),
            Value::Array(items) => items.iter_mut().for_each(|item| self.value(item, key)),
            Value::Object(entries) => {
                for (name, entry) in entries {
                    self.value(entry, name);
                }
                // The recorder had a script of its own.
                for kind in ["txt2img", "img2img"] {
                    if let Some(titles) = value.get_mut(kind).and_then(Value::as_array_mut) {
                        titles.retain(|title| title != "golden fault");
                    }
                }
            }
            Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn text(&self, text: &str) -> String {
        if let Some(picture) = picture(text) {
            return picture;
        }
        let mut text: String = if text.trim_start().starts_with("<!") {
            text.chars().take(PAGE).collect()
        } else {
            text.to_owned()
        };
        for (name, mask) in &self.names {
            text = text.replace(name.as_str(), mask);
        }
        // A server that computes no hashes leaves the entry out.
        text.replace("Model hash: <hash>, ", "").replace(" [<hash>]", "")
    }
}

/// A picture becomes its format and size: `png 64x64`.
fn picture(text: &str) -> Option<String> {
    if let Some(placeholder) = text.strip_prefix("<base64 ") {
        let mut words = placeholder.split([' ', ',']);
        return Some(format!("{} {}", words.next()?, words.next()?));
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
    // A server that computes no hashes knows none; whether it does is not what is compared.
    info.insert("sd_model_hash".to_owned(), json!("<hash>"));
    info
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masks() -> Masks {
        Masks::for_models(&json!([{ "model_name": "mine", "hash": "0123456789", "sha256": null }]))
    }

    #[test]
    fn random_seeds_become_distances_and_chosen_ones_stay() {
        let info = json::spaced(&json!({
            "seed": 7, "all_seeds": [7, 8], "subseed": 3, "all_subseeds": [3, 4],
            "infotexts": ["x\nSeed: 8, Model hash: 0123456789, Model: mine"],
        }));
        let body = json!({ "images": [], "info": info });
        let masked = masks().apply(&body, &json!({}));
        assert_eq!(masked["info"]["all_seeds"], json!(["<seed+0>", "<seed+1>"]));
        assert_eq!(
            masked["info"]["infotexts"],
            json!(["x\nSeed: <seed+1>, Model: <model>"])
        );
        assert_eq!(masked["info is written as Python does"], json!(true));
        let chosen = masks().apply(&body, &json!({ "seed": 7 }));
        assert_eq!(chosen["info"]["all_seeds"], json!([7, 8]));
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
