//! Which jobs may share a batch, by their requests. It is pure.
//!
//! One request renders the pictures of several jobs if it is that of each but for prompts and seeds, which the worker's
//! script sets for each picture (`docs/protocol/webui-api.md` §13). Equal means byte for byte, unknown fields
//! included. What the WebUI reads for all pictures at once from the first prompt alone has to be equal, too.

use std::sync::Arc;

use serde_json::value::RawValue;

use crate::splice::Object;
use crate::webui::{Call, JobKind, TXT2IMG};

/// A longer request has pictures in it, and is rendered alone.
const LONGEST: usize = 64 << 10;

/// Texts of a job's own, and whether the WebUI reads networks from them.
const TEXTS: [(&str, bool); 4] = [
    ("prompt", true),
    ("negative_prompt", false),
    ("hr_prompt", true),
    ("hr_negative_prompt", false),
];
const SEEDS: [&str; 2] = ["seed", "subseed"];
/// Fields that a job in a batch leaves to the worker.
const COUNTS: [&str; 2] = ["batch_size", "n_iter"];
const SCRIPTS: &str = "alwayson_scripts";

/// Fields with which a request is rendered alone, and the values that do not count: they ask for nothing.
const ALONE: [(&str, &[&str]); 8] = [
    // They are put into the prompts before the worker's script runs.
    ("styles", &["[]", "null"]),
    ("script_name", &["\"\"", "null"]),
    // A grid would come first.
    ("save_images", &["false"]),
    ("send_images", &["true"]),
    ("firstpass_image", &["\"\"", "null"]),
    // It sets further fields from a text.
    ("infotext", &["\"\"", "null"]),
    ("force_task_id", &["\"\"", "null"]),
    (SCRIPTS, &["{}"]),
];

/// Fields that decide how much memory a picture takes.
const SIZE: [&str; 10] = [
    "width",
    "height",
    "enable_hr",
    "hr_scale",
    "hr_resize_x",
    "hr_resize_y",
    "hr_upscaler",
    "firstphase_width",
    "firstphase_height",
    "override_settings",
];

/// What a job asks for that others of its batch do not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OwnFields {
    pub(super) prompt: String,
    pub(super) negative_prompt: String,
    pub(super) hr_prompt: String,
    pub(super) hr_negative_prompt: String,
    /// −1 for a random one.
    pub(super) seed: i64,
    pub(super) subseed: i64,
}

/// A job that may share a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Share {
    pub(super) own: OwnFields,
    /// Jobs with equal keys may share a batch.
    pub(super) key: String,
    /// The picture's size and checkpoint, which decide how many fit into the GPU's memory.
    pub(super) size: String,
}

/// What a server cannot do for several jobs at once.
#[derive(Debug, Default)]
pub(super) struct ServerLimits {
    /// The names of embeddings. The infotexts of a batch list those of all its prompts.
    pub(super) embeddings: Arc<[String]>,
    /// Whether the infotexts of a batch show the first job's own prompts of the second pass for all, as before 1.10.
    pub(super) shares_hires_prompts: bool,
}

impl Share {
    /// Reads a request; the error says why it is rendered alone.
    pub(super) fn read(call: &Call, server: &ServerLimits) -> Result<Self, &'static str> {
        let body = call.body.as_ref().ok_or("it has no body")?.as_str();
        if call.job_kind != JobKind::Txt2Img || call.route != TXT2IMG {
            return Err("it is not a plain txt2img");
        }
        if body.len() > LONGEST {
            return Err("it is long");
        }
        let object = Object::read(body).ok_or("it is no object")?;
        let mut fields: Vec<(&str, &RawValue)> = object.iter().collect();
        fields.sort_by_key(|(key, _)| *key);
        if fields.windows(2).any(|pair| pair[0].0 == pair[1].0) {
            return Err("a key is repeated");
        }
        let value = |name: &str| object.get(name).map(RawValue::get);
        for (name, nothing) in ALONE {
            if value(name).is_some_and(|value| !nothing.contains(&value)) {
                return Err("it has a field that concerns the whole batch");
            }
        }
        if COUNTS
            .iter()
            .any(|name| value(name).is_some_and(|value| value != "1"))
        {
            return Err("it asks for several pictures");
        }
        let mut texts = TEXTS.map(|(name, _)| text(value(name)));
        if texts.iter().any(Option::is_none) {
            return Err("a prompt is no text");
        }
        let [prompt, negative_prompt, hr_prompt, hr_negative_prompt] =
            [0, 1, 2, 3].map(|index: usize| texts[index].take().unwrap_or_default());
        let [Some(seed), Some(subseed)] = SEEDS.map(|name| seed(value(name))) else {
            return Err("a seed is no whole number");
        };
        let own = OwnFields {
            prompt,
            negative_prompt,
            hr_prompt,
            hr_negative_prompt,
            seed,
            subseed,
        };
        own.check(server)?;
        let is_own = |name: &str| {
            SEEDS.contains(&name)
                || COUNTS.contains(&name)
                || name == SCRIPTS
                || TEXTS.iter().any(|(text, _)| *text == name)
        };
        let mut key = String::new();
        for (name, value) in fields.iter().filter(|(name, _)| !is_own(name)) {
            push(&mut key, name, value.get());
        }
        own.add_networks(&mut key, server);
        let mut size = String::new();
        for name in SIZE {
            push(&mut size, name, value(name).unwrap_or_default());
        }
        Ok(Self { own, key, size })
    }
}

impl OwnFields {
    fn texts(&self) -> [(&str, bool); 4] {
        let texts = [
            &self.prompt,
            &self.negative_prompt,
            &self.hr_prompt,
            &self.hr_negative_prompt,
        ];
        [0, 1, 2, 3].map(|index: usize| (texts[index].as_str(), TEXTS[index].1))
    }

    fn check(&self, server: &ServerLimits) -> Result<(), &'static str> {
        // The WebUI removes comments before the worker's script runs.
        if self.texts().iter().any(|(text, _)| text.contains('#')) {
            return Err("a prompt may have a comment");
        }
        let has_hires_prompts = !self.hr_prompt.is_empty() || !self.hr_negative_prompt.is_empty();
        if server.shares_hires_prompts && has_hires_prompts {
            return Err("this server shows one prompt of the second pass for all");
        }
        Ok(())
    }

    /// Adds what the server reads from the prompts for the whole batch.
    fn add_networks(&self, key: &mut String, server: &ServerLimits) {
        for (text, has_networks) in self.texts() {
            if has_networks {
                for tag in tags(text) {
                    push(key, "network", tag);
                }
                key.push('\n');
            }
        }
        let lower = self.texts().map(|(text, _)| text.to_lowercase());
        for name in &*server.embeddings {
            if lower.iter().any(|text| text.contains(name.as_str())) {
                push(key, "embedding", name);
            }
        }
    }
}

/// A part of a key. The length keeps two different parts from reading alike.
fn push(key: &mut String, name: &str, value: &str) {
    use std::fmt::Write as _;
    // Writing into a text cannot fail.
    let _ = writeln!(key, "{}:{name}={}:{value}", name.len(), value.len());
}

/// Everything in a prompt that the WebUI may read as the tag of a network: `<lora:name:1>`. It takes more for a tag than
/// the WebUI does, which keeps jobs apart that might share a batch, and never the other way round.
fn tags(prompt: &str) -> impl Iterator<Item = &str> {
    prompt.match_indices('<').filter_map(|(start, _)| {
        let rest = &prompt[start..];
        let end = rest.find('>')?;
        rest[..end].contains(':').then(|| &rest[..=end])
    })
}

fn text(value: Option<&str>) -> Option<String> {
    value.map_or_else(|| Some(String::new()), |value| serde_json::from_str(value).ok())
}

fn seed(value: Option<&str>) -> Option<i64> {
    let value = value.unwrap_or("-1");
    value.parse().ok().filter(|seed| *seed >= -1)
}

#[cfg(test)]
mod tests;
