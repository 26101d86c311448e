//! The text that describes one picture: written, and read back (§6).

use std::fmt::{Display, Write};

use serde_json::Value;

use super::plan::Plan;
use crate::json::float;

/// Entries of the extra parameters that have a fixed place among the others.
const PLACED: [&str; 2] = ["Schedule type", "Denoising strength"];

/// The infotext of the picture with this index.
pub(crate) fn infotext(plan: &Plan, index: usize) -> String {
    let strength = plan.subseed_strength.as_f64().unwrap_or_default();
    let (from_width, from_height) = plan.seed_resize_from;

    let set = &plan.from_settings;
    let mut entries = Entries {
        text: String::new(),
        hidden: &set.hidden,
    };
    entries.add("Steps", plan.steps);
    entries.add("Sampler", &plan.sampling.sampler);
    entries.add_if("Schedule type", plan.sampling.schedule.as_deref());
    entries.add("CFG scale", float(plan.cfg_scale));
    entries.add_if("Image CFG scale", plan.image_cfg_scale.map(float));
    entries.add("Seed", plan.seeds[index]);
    entries.add_if("Face restoration", set.restore_faces.then_some("CodeFormer"));
    entries.add("Size", format_args!("{}x{}", plan.width, plan.height));
    entries.add_if("Model hash", plan.model.1.as_deref());
    entries.add("Model", &plan.model.0);
    if let Some((name, hash)) = &set.vae {
        entries.add("VAE hash", hash);
        entries.add("VAE", name);
    }
    if strength != 0.0 {
        entries.add("Variation seed", plan.subseeds[index]);
        entries.add("Variation seed strength", float(strength));
    }
    if from_width > 0 && from_height > 0 {
        entries.add("Seed resize from", format_args!("{from_width}x{from_height}"));
    }
    entries.add_if(
        "Denoising strength",
        plan.extra.get("Denoising strength").map(shown),
    );
    entries.add_if("Clip skip", (set.clip_skip > 1).then_some(set.clip_skip));
    for (name, value) in &set.entries {
        entries.add(name, value);
    }
    entries.add_if("Tiling", set.tiling.then_some("True"));
    for (name, value) in &plan.extra {
        if !PLACED.contains(&name.as_str()) && !value.is_null() {
            entries.add(name, shown(value));
        }
    }
    entries.add("Version", plan.version);

    let negative = match plan.negatives[index].as_str() {
        "" => String::new(),
        negative => format!("\nNegative prompt: {negative}"),
    };
    format!("{}{negative}\n{}", plan.prompts[index], entries.text)
        .trim()
        .to_owned()
}

/// `name: value` pairs with commas between them.
struct Entries<'a> {
    text: String,
    hidden: &'a [&'static str],
}

impl Entries<'_> {
    fn add(&mut self, name: &str, value: impl Display) {
        if self.hidden.contains(&name) {
            return;
        }
        if !self.text.is_empty() {
            self.text.push_str(", ");
        }
        write!(self.text, "{name}: {}", quote(&value.to_string())).expect("a string takes any text");
    }

    fn add_if(&mut self, name: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.add(name, value);
        }
    }
}

/// A value that could be mistaken for several entries is written as a JSON string.
fn quote(text: &str) -> String {
    if text.contains([',', '\n', ':']) {
        Value::from(text).to_string()
    } else {
        text.to_owned()
    }
}

/// Python's `str` of a JSON value.
pub(crate) fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Null => "None".to_owned(),
        Value::Number(number) if number.is_f64() => float(number.as_f64().unwrap_or_default()),
        other => other.to_string(),
    }
}

/// An infotext taken apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Parsed {
    pub(crate) prompt: String,
    pub(crate) negative: String,
    /// Entries of the last line in their order; a value like `512x768` becomes two, `Size-1` and `Size-2`.
    pub(crate) entries: Vec<(String, String)>,
}

impl Parsed {
    pub(crate) fn entry(&self, name: &str) -> Option<&str> {
        self.entries
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}

/// Reads an infotext as the server does: a last line with fewer than three entries is part of the prompt.
pub(crate) fn parse(text: &str) -> Parsed {
    let mut lines: Vec<&str> = text.trim().lines().collect();
    let mut pairs = lines.pop().map(entries).unwrap_or_default();
    if pairs.len() < 3 {
        lines = text.trim().lines().collect();
        pairs = Vec::new();
    }
    let mut parsed = Parsed::default();
    let mut negative = false;
    for line in lines {
        let mut line = line.trim();
        if let Some(rest) = line.strip_prefix("Negative prompt:") {
            negative = true;
            line = rest.trim();
        }
        let target = if negative {
            &mut parsed.negative
        } else {
            &mut parsed.prompt
        };
        if !target.is_empty() {
            target.push('\n');
        }
        target.push_str(line);
    }
    for (name, value) in pairs {
        let size = value.split_once('x').filter(|(width, height)| {
            [width, height]
                .iter()
                .all(|side| !side.is_empty() && side.bytes().all(|byte| byte.is_ascii_digit()))
        });
        match size {
            Some((width, height)) => {
                parsed.entries.push((format!("{name}-1"), width.to_owned()));
                parsed.entries.push((format!("{name}-2"), height.to_owned()));
            }
            None => parsed.entries.push((name, value)),
        }
    }
    parsed
}

/// The `name: value` pairs of a line. A value in quotes may hold commas.
fn entries(line: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = line.trim();
    while let Some((name, tail)) = rest.split_once(':') {
        let name = name.trim();
        let legal = |c: char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '/' | '_');
        if name.is_empty() || !name.chars().all(legal) {
            break;
        }
        let tail = tail.trim_start();
        let mut quoted = serde_json::Deserializer::from_str(tail).into_iter::<String>();
        let (value, end) = match quoted.next() {
            Some(Ok(text)) if tail.starts_with('"') => (text, quoted.byte_offset()),
            _ => {
                let end = tail.find(',').unwrap_or(tail.len());
                (tail[..end].trim().to_owned(), end)
            }
        };
        found.push((name.to_owned(), value));
        rest = tail[end..].trim_start().trim_start_matches(',').trim_start();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_hold_separators_are_quoted() {
        assert_eq!(quote("a"), "a");
        assert_eq!(quote("a, b: \"c\""), r#""a, b: \"c\"""#);
    }

    #[test]
    fn a_text_is_taken_apart_into_prompts_and_entries() {
        let parsed = parse(
            "a cat\non a mat\nNegative prompt: dog\nbird\nSteps: 20, Sampler: DPM++ 2M, Size: 512x768, \
             Lora hashes: \"x: 1, y: 2\", Version: v1.10.1",
        );
        assert_eq!(
            (parsed.prompt.as_str(), parsed.negative.as_str()),
            ("a cat\non a mat", "dog\nbird")
        );
        assert_eq!(parsed.entry("Sampler"), Some("DPM++ 2M"));
        assert_eq!(
            (parsed.entry("Size-1"), parsed.entry("Size-2")),
            (Some("512"), Some("768"))
        );
        assert_eq!(parsed.entry("Lora hashes"), Some("x: 1, y: 2"));
        assert_eq!(parsed.entry("Version"), Some("v1.10.1"));
    }

    #[test]
    fn a_text_without_entries_is_all_prompt() {
        let parsed = parse("a cat, sitting: still");
        assert_eq!(
            (parsed.prompt.as_str(), parsed.entries.len()),
            ("a cat, sitting: still", 0)
        );
    }
}
