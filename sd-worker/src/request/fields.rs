//! The fields of txt2img and img2img, and other names for them (`docs/protocol/webui-api.md` §3 and §4).

use crate::nearest::nearest;
use crate::webui::JobKind;

/// The fields that both routes have in some version.
const SHARED: &[&str] = &[
    "prompt",
    "negative_prompt",
    "styles",
    "seed",
    "subseed",
    "subseed_strength",
    "seed_resize_from_h",
    "seed_resize_from_w",
    "sampler_name",
    "scheduler",
    "batch_size",
    "n_iter",
    "steps",
    "cfg_scale",
    "distilled_cfg_scale",
    "width",
    "height",
    "restore_faces",
    "tiling",
    "do_not_save_samples",
    "do_not_save_grid",
    "eta",
    "denoising_strength",
    "s_min_uncond",
    "s_churn",
    "s_tmax",
    "s_tmin",
    "s_noise",
    "override_settings",
    "override_settings_restore_afterwards",
    "refiner_checkpoint",
    "refiner_switch_at",
    "disable_extra_networks",
    "firstpass_image",
    "comments",
    "force_task_id",
    "sampler_index",
    "script_name",
    "script_args",
    "send_images",
    "save_images",
    "alwayson_scripts",
    "infotext",
];
/// The fields of txt2img alone.
const TEXT_ONLY: &[&str] = &[
    "enable_hr",
    "firstphase_width",
    "firstphase_height",
    "hr_scale",
    "hr_upscaler",
    "hr_second_pass_steps",
    "hr_resize_x",
    "hr_resize_y",
    "hr_checkpoint_name",
    "hr_additional_modules",
    "hr_sampler_name",
    "hr_scheduler",
    "hr_prompt",
    "hr_negative_prompt",
    "hr_cfg",
    "hr_distilled_cfg",
];
/// The fields of img2img alone.
const PICTURE_ONLY: &[&str] = &[
    "init_images",
    "resize_mode",
    "image_cfg_scale",
    "mask",
    "mask_blur_x",
    "mask_blur_y",
    "mask_blur",
    "mask_round",
    "inpainting_fill",
    "inpaint_full_res",
    "inpaint_full_res_padding",
    "inpainting_mask_invert",
    "initial_noise_multiplier",
    "latent_mask",
    "include_init_images",
];

/// Names that other programs and the WebUI's own page use, and the fields that they mean. Case and separators make no
/// difference.
const OTHER_NAMES: &[(&str, &[&str])] = &[
    (
        "prompt",
        &[
            "text",
            "texts",
            "text prompt",
            "prompt text",
            "positive",
            "positive prompt",
            "input prompt",
            "query",
        ],
    ),
    (
        "negative_prompt",
        &["negative", "neg prompt", "negative text", "uncond prompt"],
    ),
    (
        "init_images",
        &[
            "image",
            "images",
            "init image",
            "init img",
            "init image url",
            "init image base64",
            "initial image",
            "initial images",
            "input image",
            "input images",
            "source image",
            "src image",
            "base image",
            "start image",
            "image url",
            "image urls",
            "image base64",
            "base64 image",
            "img",
            "imgs",
            "picture",
            "pictures",
        ],
    ),
    (
        "mask",
        &[
            "mask image",
            "mask img",
            "mask url",
            "inpaint mask",
            "inpainting mask",
        ],
    ),
    (
        "steps",
        &[
            "num inference steps",
            "inference steps",
            "num steps",
            "sampling steps",
            "sample steps",
            "ddim steps",
        ],
    ),
    ("cfg_scale", &["guidance scale", "guidance", "cfg"]),
    (
        "batch_size",
        &[
            "num images per prompt",
            "num images",
            "num outputs",
            "num samples",
            "samples",
        ],
    ),
    ("n_iter", &["n", "batch count", "iterations", "num batches"]),
    (
        "sampler_name",
        &["sampler", "sampler id", "sampling method", "sampler type"],
    ),
    ("scheduler", &["scheduler name", "schedule type", "schedule"]),
    (
        "denoising_strength",
        &[
            "strength",
            "prompt strength",
            "denoise",
            "denoising",
            "denoise strength",
            "hires denoising strength",
            "hires denoise",
            "hr denoising strength",
        ],
    ),
    (
        "restore_faces",
        &["face restoration", "face restore", "restore face"],
    ),
    ("tiling", &["tile", "seamless"]),
    ("styles", &["style", "style preset"]),
    ("subseed", &["variation seed"]),
    (
        "subseed_strength",
        &["variation strength", "variation seed strength"],
    ),
    (
        "enable_hr",
        &[
            "hires",
            "hires fix",
            "highres fix",
            "hr fix",
            "use hires",
            "enable hires",
            "enable hires fix",
        ],
    ),
    (
        "hr_scale",
        &[
            "hires upscale",
            "hires scale",
            "hr upscale",
            "hires upscale by",
            "upscale by",
        ],
    ),
    ("hr_upscaler", &["hires upscaler", "upscaler"]),
    (
        "hr_second_pass_steps",
        &["hires steps", "hr steps", "hires second pass steps"],
    ),
    (
        "hr_resize_x",
        &["hires resize x", "hires width", "hires resize width"],
    ),
    (
        "hr_resize_y",
        &["hires resize y", "hires height", "hires resize height"],
    ),
    ("hr_prompt", &["hires prompt"]),
    ("hr_negative_prompt", &["hires negative prompt"]),
    (
        "hr_sampler_name",
        &["hires sampler", "hires sampler name", "hr sampler"],
    ),
    ("hr_scheduler", &["hires scheduler", "hires schedule type"]),
    (
        "hr_checkpoint_name",
        &["hires checkpoint", "hr checkpoint", "hires model"],
    ),
    (
        "refiner_checkpoint",
        &[
            "refiner",
            "use refiner",
            "enable refiner",
            "refiner model",
            "refiner name",
        ],
    ),
    (
        "refiner_switch_at",
        &["refiner switch", "refiner start", "switch at", "high noise frac"],
    ),
    ("inpainting_fill", &["masked content", "inpaint fill"]),
    (
        "inpainting_mask_invert",
        &["invert mask", "mask invert", "mask mode"],
    ),
    ("inpaint_full_res", &["inpaint area", "only masked"]),
    ("inpaint_full_res_padding", &["only masked padding"]),
    ("script_name", &["script"]),
    ("alwayson_scripts", &["scripts", "always on scripts"]),
    (
        "alwayson_scripts.ControlNet.args",
        &["controlnet", "controlnet units", "controlnets"],
    ),
    (
        "alwayson_scripts.ADetailer.args",
        &["adetailer", "after detailer"],
    ),
    (
        "override_settings.sd_model_checkpoint",
        &[
            "model",
            "model id",
            "model name",
            "sd model",
            "base model",
            "checkpoint",
            "checkpoint name",
            "sd model checkpoint",
        ],
    ),
    ("override_settings.sd_vae", &["vae", "vae name", "sd vae"]),
    (
        "override_settings.CLIP_stop_at_last_layers",
        &["clip skip", "clip stop at last layers"],
    ),
    ("<lora:name:1> in prompt", &["lora", "loras"]),
];

/// The fields of a route in any version.
pub(crate) fn fields_of(kind: JobKind) -> impl Iterator<Item = &'static str> {
    let own = match kind {
        JobKind::Txt2Img => TEXT_ONLY,
        JobKind::Img2Img => PICTURE_ONLY,
        JobKind::Extras | JobKind::Nothing => &[],
    };
    SHARED.iter().chain(own).copied()
}

/// Whether a route has the field in some version.
pub(super) fn is_field(kind: JobKind, key: &str) -> bool {
    fields_of(kind).any(|field| field == key)
}

/// The field that a key means, if it is one of its other names or a near miss of one of `known`.
pub(crate) fn meant<'a>(key: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let plain = plain(key);
    OTHER_NAMES
        .iter()
        .find(|(_, names)| names.iter().any(|name| plain == self::plain(name)))
        .map(|(field, _)| (*field).to_owned())
        .or_else(|| nearest(key, known))
}

/// A name without case and separators: `initImage`, `init-image` and `init_image` are the same one.
fn plain(name: &str) -> String {
    let letters = name.chars().filter(|character| character.is_alphanumeric());
    letters.flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meant(key: &str) -> Option<String> {
        super::meant(key, fields_of(JobKind::Txt2Img))
    }

    #[test]
    fn the_field_that_was_meant_is_named() {
        for (key, expected) in [
            ("num_inference_steps", Some("steps")),
            ("Guidance_Scale", Some("cfg_scale")),
            ("sampler_nam", Some("sampler_name")),
            ("model", Some("override_settings.sd_model_checkpoint")),
            ("hires_steps", Some("hr_second_pass_steps")),
            ("use_refiner", Some("refiner_checkpoint")),
            ("hires_upscale", Some("hr_scale")),
            ("hires_upscaler", Some("hr_upscaler")),
            ("negativePrompt", Some("negative_prompt")),
            ("initImage", Some("init_images")),
            ("widht", Some("width")),
        ] {
            assert_eq!(meant(key).as_deref(), expected, "{key}");
        }
    }

    #[test]
    fn a_key_that_is_like_none_has_no_hint() {
        for key in [
            "id", "zzz", "user", "webhook", "type", "name", "metadata", "job_id", "token", "debug", "s3",
        ] {
            assert_eq!(meant(key), None, "{key}");
        }
    }

    #[test]
    fn other_names_are_no_fields_and_mean_fields() {
        let is_known = |field: &str| is_field(JobKind::Txt2Img, field) || is_field(JobKind::Img2Img, field);
        for (field, names) in OTHER_NAMES {
            let first = field.split('.').next().unwrap();
            assert!(is_known(first) || field.starts_with("<lora:"), "{field}");
            assert!(
                names.iter().all(|name| !is_known(&name.replace(' ', "_"))),
                "{field}"
            );
        }
    }
}
