//! The `info` document of an answer: a JSON object inside a string (§6).

use serde_json::{Map, Value, json};

use super::plan::Plan;
use crate::json;

/// What the batches left behind, for the document.
pub(crate) struct Results {
    pub(crate) infotexts: Vec<String>,
    pub(crate) index_of_first_image: usize,
    pub(crate) job_timestamp: String,
}

/// The document, in the separators and escapes of Python's `json.dumps`.
pub(crate) fn info(plan: &Plan, results: &Results) -> String {
    let set = &plan.from_settings;
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
    put("width", json!(plan.width));
    put("height", json!(plan.height));
    put("sampler_name", json!(plan.sampling.sampler));
    put("cfg_scale", json!(plan.cfg_scale));
    put("steps", json!(plan.steps));
    put("batch_size", json!(plan.batch_size));
    put("restore_faces", json!(set.restore_faces));
    put(
        "face_restoration_model",
        json!(set.restore_faces.then_some("CodeFormer")),
    );
    put("sd_model_name", json!(plan.model.0));
    put("sd_model_hash", json!(plan.model.1));
    put("sd_vae_name", json!(set.vae.as_ref().map(|(name, _)| name)));
    put("sd_vae_hash", json!(set.vae.as_ref().map(|(_, hash)| hash)));
    put("seed_resize_from_w", json!(resize_w));
    put("seed_resize_from_h", json!(resize_h));
    put("denoising_strength", json!(plan.denoising));
    // From 1.10 on these two are computed for each picture, which the document shows as null.
    let mut extra = plan.extra.clone();
    for name in ["Hires prompt", "Hires negative prompt"] {
        if let Some(value) = extra.get_mut(name).filter(|_| plan.states_hires_prompts_as_null) {
            *value = Value::Null;
        }
    }
    put("extra_generation_params", json!(extra));
    put("index_of_first_image", json!(results.index_of_first_image));
    put("infotexts", json!(results.infotexts));
    put("styles", json!(plan.styles));
    put("job_timestamp", json!(results.job_timestamp));
    put("clip_skip", json!(set.clip_skip));
    put("is_using_inpainting_conditioning", json!(false));
    if plan.states_version {
        put("version", json!(plan.version));
    }
    json::spaced(&Value::Object(info))
}
