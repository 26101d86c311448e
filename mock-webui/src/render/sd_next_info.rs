//! How SD.Next describes a picture: the infotext and the `info` document (§12).

use serde_json::{Map, Value, json};

use super::info::Results;
use super::plan::Plan;
use super::sd_next::SdNextDetails;
use crate::digest;
use crate::json::{self, float, python_str, quote};

/// The infotext of the picture with this index.
pub(super) fn infotext(plan: &Plan, details: &SdNextDetails, index: usize) -> String {
    let (batch, place) = (index / plan.batch_size + 1, index % plan.batch_size + 1);
    text(plan, details, index, ("Index", format!("{batch}x{place}")))
}

/// The infotext of a grid of all pictures.
pub(super) fn grid_infotext(plan: &Plan, details: &SdNextDetails, (columns, rows): (u32, u32)) -> String {
    text(plan, details, 0, ("Grid", format!("{columns}x{rows}")))
}

/// `place` is the entry that tells one picture of several from the others.
fn text(plan: &Plan, details: &SdNextDetails, index: usize, place: (&'static str, String)) -> String {
    let (prompt, negative) = (&plan.prompts[index], &plan.negatives[index]);
    let entries: Vec<String> = entries(plan, details, index, place)
        .into_iter()
        .map(|(name, value)| format!("{name}: {}", quote(&value)))
        .collect();
    let mut lines = vec![prompt.clone(), format!("Negative prompt: {negative}")];
    for (name, text) in [("Template", prompt), ("Negative template", negative)] {
        if !text.is_empty() {
            lines.push(format!("{name}: {text}"));
        }
    }
    lines.push(entries.join(", "));
    lines.join("\n").trim().to_owned()
}

fn entries(
    plan: &Plan,
    details: &SdNextDetails,
    index: usize,
    place: (&'static str, String),
) -> Vec<(&'static str, String)> {
    let mut entries = Vec::new();
    let mut add = |name: &'static str, value: String| entries.push((name, value));
    // A number of -1 or less is left out.
    if details.steps > -1 {
        add("Steps", details.steps.to_string());
    }
    add("Size", format!("{}x{}", details.width, details.height));
    if plan.sampling.sampler != "Default" {
        add("Sampler", plan.sampling.sampler.clone());
    }
    // The class at the time of writing: that of the model's own scheduler, whichever was asked for.
    add("Scheduler", "EulerDiscreteScheduler".to_owned());
    if plan.seeds[index] > -1 {
        add("Seed", plan.seeds[index].to_string());
    }
    let (from_width, from_height) = plan.seed_resize_from;
    if from_width > 0 && from_height > 0 {
        add("Seed resize from", format!("{from_width}x{from_height}"));
    }
    add("CFG scale", float(plan.cfg_scale.max(1.0)));
    add("CFG rescale", python_str(&details.guidance_rescale));
    if details.clip_skip > 1 {
        add("Clip skip", details.clip_skip.to_string());
    }
    let several = details.batches > 1 || plan.batch_size > 1;
    if several {
        add("Batch", format!("{}x{}", details.batches, plan.batch_size));
    }
    if !plan.styles.is_empty() {
        add("Styles", plan.styles.join("; "));
    }
    add("App", "SD.Next".to_owned());
    add("Version", plan.version.to_owned());
    add("Pipeline", details.pipeline.to_owned());
    add("Operations", details.operations.to_owned());
    if let Some(model) = &details.model {
        add("Model", model.clone());
    }
    if let Some(hash) = &plan.model.1 {
        add("Model hash", hash.clone());
    }
    if several {
        add(place.0, place.1);
    }
    let strength = plan.subseed_strength.as_f64().unwrap_or_default();
    if strength > 0.0 && details.operations.contains("txt2img") {
        add("Variation seed", plan.subseeds[index].to_string());
        add("Variation strength", float(strength));
    }
    if let Some((steps, strength)) = &details.second_pass {
        add("Refine", "True".to_owned());
        add("Hires force", "True".to_owned());
        add("Hires steps", python_str(steps));
        add("Hires strength", python_str(strength));
    }
    if let Some(((width, height), denoising)) = &details.start {
        let hash = format!("{:08x}", digest::of(&(width, height)) >> 32);
        add("Init image size", format!("{width}x{height}"));
        add("Init image hash", hash);
        add("Denoising strength", python_str(denoising));
    }
    entries
}

/// The document, in the separators and escapes of Python's `json.dumps`.
pub(super) fn info(plan: &Plan, details: &SdNextDetails, results: &Results) -> String {
    let (resize_w, resize_h) = plan.seed_resize_from;
    let mut info = Map::new();
    let mut put = |name: &str, value: Value| info.insert(name.to_owned(), value);
    put("prompt", json!(plan.prompts[0]));
    put("all_prompts", json!(plan.prompts));
    put("negative_prompt", json!(plan.negatives[0]));
    put("all_negative_prompts", json!(plan.negatives));
    put("seed", json!(plan.seeds[0]));
    put("all_seeds", json!(plan.seeds));
    put("subseed", json!(plan.subseeds[0]));
    put("all_subseeds", json!(plan.subseeds));
    put("subseed_strength", plan.subseed_strength.clone());
    put("width", json!(details.width));
    put("height", json!(details.height));
    put("sampler_name", json!(plan.sampling.sampler));
    put("cfg_scale", json!(plan.cfg_scale));
    put("cfg_end", Value::Null);
    put("steps", json!(details.steps));
    put("batch_size", json!(plan.batch_size));
    put("detailer", json!(false));
    put("detailer_model", Value::Null);
    put("sd_model_hash", json!(plan.model.1));
    put("seed_resize_from_w", json!(resize_w));
    put("seed_resize_from_h", json!(resize_h));
    put("denoising_strength", json!(plan.denoising));
    put("extra_generation_params", json!({}));
    put("index_of_first_image", json!(results.index_of_first_image));
    put("infotexts", json!(results.infotexts));
    put("styles", json!(plan.styles));
    put("job_timestamp", json!(results.job_timestamp));
    put("clip_skip", json!(details.clip_skip));
    json::spaced(&Value::Object(info))
}
