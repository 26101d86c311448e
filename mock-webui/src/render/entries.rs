//! What a start from a picture, the refiner and `LoRA`s add to the infotext (§6).

use serde_json::{Map, Value, json};

use super::prompt;
use super::scripts;
use crate::answer::Failure;
use crate::catalogue::sampling;
use crate::request::Fields;
use crate::server::Server;

/// What inpainting adds to the infotext (§6).
pub(super) fn mask_entries(fields: &Fields) -> Map<String, Value> {
    let mut entries = Map::new();
    if fields.non_empty("mask").is_none() {
        return entries;
    }
    let mut add = |name: &str, value: Value| drop(entries.insert(name.to_owned(), value));
    if fields.integer("inpainting_mask_invert").unwrap_or_default() != 0 {
        add("Mask mode", json!("Inpaint not masked"));
    }
    let both = fields.get("mask_blur");
    let blur = |name: &str| {
        if both.is_null() {
            fields.get(name).clone()
        } else {
            both.clone()
        }
    };
    let (x, y) = (blur("mask_blur_x"), blur("mask_blur_y"));
    if x == y {
        if x.as_i64().is_some_and(|blur| blur > 0) {
            add("Mask blur", x);
        }
    } else {
        add("Mask blur X", x);
        add("Mask blur Y", y);
    }
    if fields.flag("inpaint_full_res") {
        add("Inpaint area", json!("Only masked"));
        add(
            "Masked area padding",
            fields.get("inpaint_full_res_padding").clone(),
        );
    }
    let content = match fields.integer("inpainting_fill") {
        Some(0) => Some("fill"),
        Some(2) => Some("latent noise"),
        Some(3) => Some("latent nothing"),
        _ => None,
    };
    if let Some(content) = content {
        add("Masked content", json!(content));
    }
    entries
}

/// The factor of a start's noise, if it is another than 1.
pub(super) fn noise_entry(server: &Server, fields: &Fields) -> Option<(String, Value)> {
    const NAME: &str = "initial_noise_multiplier";
    let factor = match fields.float(NAME) {
        Some(factor) => factor,
        None => server.settings().get(NAME).as_f64()?,
    };
    #[expect(clippy::float_cmp, reason = "the real server compares them so")]
    let differs = factor != 1.0;
    differs.then(|| ("Noise multiplier".to_owned(), json!(factor)))
}

/// The request's `eta`, or that of the settings, if the sampler reads one and it is not the usual one.
pub(super) fn eta_entry(server: &Server, fields: &Fields, sampler: &str) -> Option<(String, Value)> {
    let (entry, usual) = sampling::eta_entry(sampler)?;
    let setting = if entry == "Eta DDIM" {
        "eta_ddim"
    } else {
        "eta_ancestral"
    };
    let eta = match fields.float("eta") {
        Some(eta) => eta,
        None => server.settings().get(setting).as_f64()?,
    };
    #[expect(clippy::float_cmp, reason = "the real server compares them so")]
    let differs = eta != usual;
    differs.then(|| (entry.to_owned(), json!(eta)))
}

/// What the refiner adds. An unknown checkpoint is an exception.
pub(super) fn refiner_entries(server: &Server, fields: &Fields) -> Result<Map<String, Value>, Failure> {
    let mut entries = Map::new();
    let own = fields
        .non_empty("refiner_checkpoint")
        .filter(|name| *name != "None")
        .map(|name| (name, fields.get("refiner_switch_at")));
    if let Some((name, switch_at)) = scripts::refiner(fields).or(own) {
        let model = server.require_model(name)?;
        let short = model.title().replace(".safetensors", "");
        entries.insert("Refiner".to_owned(), json!(short));
        entries.insert("Refiner switch at".to_owned(), switch_at.clone());
    }
    Ok(entries)
}

/// The hashes of the `LoRA`s that the prompts name and the server has. Unknown names are passed over.
pub(super) fn lora_entries(server: &Server, prompts: &[String]) -> Map<String, Value> {
    let mut hashes: Vec<String> = Vec::new();
    for (name, _) in prompts.iter().flat_map(|prompt| prompt::split_loras(prompt).1) {
        let known = server
            .setup()
            .installed
            .loras
            .iter()
            .find(|lora| lora.name() == name);
        let entry = known.and_then(|lora| Some(format!("{name}: {}", lora.hash()?)));
        hashes.extend(entry.filter(|entry| !hashes.contains(entry)));
    }
    let mut entries = Map::new();
    if !hashes.is_empty() {
        entries.insert("Lora hashes".to_owned(), json!(hashes.join(", ")));
    }
    entries
}
