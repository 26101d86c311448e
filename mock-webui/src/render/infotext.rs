//! The text that describes one picture (§6).

use std::fmt::{Display, Write};

use serde_json::Value;

use super::plan::Plan;
use crate::json::float;

/// The infotext of the picture with this index.
pub(crate) fn infotext(plan: &Plan, index: usize) -> String {
    let hash = plan.model.1.as_deref();
    let strength = plan.subseed_strength.as_f64().unwrap_or_default();
    let (from_width, from_height) = plan.seed_resize_from;

    let mut entries = Entries::default();
    entries.add("Steps", plan.steps);
    entries.add("Sampler", &plan.sampling.sampler);
    entries.add_if("Schedule type", plan.sampling.schedule.as_deref());
    entries.add("CFG scale", float(plan.cfg_scale));
    entries.add("Seed", plan.seeds[index]);
    entries.add_if("Face restoration", plan.restore_faces.then_some("CodeFormer"));
    entries.add("Size", format_args!("{}x{}", plan.width, plan.height));
    entries.add_if("Model hash", hash);
    entries.add("Model", &plan.model.0);
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
    entries.add_if("Clip skip", (plan.clip_skip > 1).then_some(plan.clip_skip));
    entries.add_if("Tiling", plan.tiling.then_some("True"));
    for (name, value) in &plan.extra {
        let placed = matches!(name.as_str(), "Schedule type" | "Denoising strength");
        if !placed && !value.is_null() {
            entries.add(name, shown(value));
        }
    }
    entries.add("Version", plan.version);

    let negative = if plan.negative.is_empty() {
        String::new()
    } else {
        format!("\nNegative prompt: {}", plan.negative)
    };
    format!("{}{negative}\n{}", plan.prompt, entries.0)
        .trim()
        .to_owned()
}

/// `name: value` pairs with commas between them.
#[derive(Default)]
struct Entries(String);

impl Entries {
    fn add(&mut self, name: &str, value: impl Display) {
        if !self.0.is_empty() {
            self.0.push_str(", ");
        }
        write!(self.0, "{name}: {}", quote(&value.to_string())).expect("a string takes any text");
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
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Number(number) if number.is_f64() => float(number.as_f64().unwrap_or_default()),
        other => other.to_string(),
    }
}
