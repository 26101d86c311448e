//! The field `infotext`: values for whatever the request leaves out (§3).

use serde_json::{Value, json};

use super::infotext_reader;
use crate::request::Fields;

/// Entries of an infotext and the fields they fill.
const ENTRIES: [(&str, &str); 12] = [
    ("Steps", "steps"),
    ("Sampler", "sampler_name"),
    ("Schedule type", "scheduler"),
    ("CFG scale", "cfg_scale"),
    ("Seed", "seed"),
    ("Size-1", "width"),
    ("Size-2", "height"),
    ("Denoising strength", "denoising_strength"),
    ("Variation seed", "subseed"),
    ("Variation seed strength", "subseed_strength"),
    ("Hires upscaler", "hr_upscaler"),
    ("Hires upscale", "hr_scale"),
];

/// Fills fields that the client did not send from the request's infotext, if it has one.
pub(crate) fn apply(fields: &mut Fields) {
    let Some(text) = fields.non_empty("infotext") else {
        return;
    };
    let parsed = infotext_reader::parse(text);
    let mut fill = |name: &str, value: Value| {
        if !fields.was_given(name) && fields.knows(name) {
            fields.set(name, value);
        }
    };
    fill("prompt", json!(parsed.prompt));
    fill("negative_prompt", json!(parsed.negative));
    for (entry, name) in ENTRIES {
        if let Some(value) = parsed.entry(entry) {
            let number = value
                .parse::<i64>()
                .map(Value::from)
                .or_else(|_| value.parse::<f64>().map(Value::from));
            fill(name, number.unwrap_or_else(|_| json!(value)));
        }
    }
    if parsed.entry("Hires upscaler").is_some() {
        fill("enable_hr", json!(true));
    }
    if let Some(layers) = parsed
        .entry("Clip skip")
        .and_then(|value| value.parse::<i64>().ok())
    {
        fill("override_settings", json!({ "CLIP_stop_at_last_layers": layers }));
    }
}
