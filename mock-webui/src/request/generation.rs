//! The fields of txt2img and img2img, in the order of the echo (§3, §4).

use std::sync::LazyLock;

use super::coerce::Kind::{Flag, Float, Integer, List, Object, Text, Texts};
use super::field::Field;
use crate::profile::Profile::{Forge2024, V1_8, V1_9_3};

const SHARED: &[Field] = &[
    Field::new("prompt", Text, "\"\""),
    Field::new("negative_prompt", Text, "\"\""),
    Field::new("styles", Texts, "null"),
    Field::new("seed", Integer, "-1"),
    Field::new("subseed", Integer, "-1"),
    Field::new("subseed_strength", Float, "0"),
    Field::new("seed_resize_from_h", Integer, "-1"),
    Field::new("seed_resize_from_w", Integer, "-1"),
    Field::new("sampler_name", Text, "null"),
    Field::new("scheduler", Text, "null").since(V1_9_3),
    Field::new("batch_size", Integer, "1"),
    Field::new("n_iter", Integer, "1"),
    Field::new("steps", Integer, "50"),
    Field::new("cfg_scale", Float, "7.0"),
    Field::new("distilled_cfg_scale", Float, "3.5").since(Forge2024),
    Field::new("width", Integer, "512"),
    Field::new("height", Integer, "512"),
    Field::new("restore_faces", Flag, "null"),
    Field::new("tiling", Flag, "null"),
    Field::new("do_not_save_samples", Flag, "false"),
    Field::new("do_not_save_grid", Flag, "false"),
    Field::new("eta", Float, "null"),
    Field::new("denoising_strength", Float, "null"),
    Field::new("s_min_uncond", Float, "null"),
    Field::new("s_churn", Float, "null"),
    Field::new("s_tmax", Float, "null"),
    Field::new("s_tmin", Float, "null"),
    Field::new("s_noise", Float, "null"),
    Field::new("override_settings", Object, "null"),
    Field::new("override_settings_restore_afterwards", Flag, "true"),
    Field::new("refiner_checkpoint", Text, "null"),
    Field::new("refiner_switch_at", Float, "null"),
    Field::new("disable_extra_networks", Flag, "false"),
    Field::new("firstpass_image", Text, "null").since(V1_8),
    Field::new("comments", Object, "null"),
];

const HIRES: &[Field] = &[
    Field::new("enable_hr", Flag, "false"),
    Field::new("firstphase_width", Integer, "0"),
    Field::new("firstphase_height", Integer, "0"),
    Field::new("hr_scale", Float, "2.0"),
    Field::new("hr_upscaler", Text, "null"),
    Field::new("hr_second_pass_steps", Integer, "0"),
    Field::new("hr_resize_x", Integer, "0"),
    Field::new("hr_resize_y", Integer, "0"),
    Field::new("hr_checkpoint_name", Text, "null"),
    Field::new("hr_additional_modules", List, "null").since(Forge2024),
    Field::new("hr_sampler_name", Text, "null"),
    Field::new("hr_scheduler", Text, "null").since(V1_9_3),
    Field::new("hr_prompt", Text, "\"\""),
    Field::new("hr_negative_prompt", Text, "\"\""),
    Field::new("hr_cfg", Float, "1.0").since(Forge2024),
    Field::new("hr_distilled_cfg", Float, "3.5").since(Forge2024),
];

const FROM_PICTURE: &[Field] = &[
    Field::new("init_images", List, "null"),
    Field::new("resize_mode", Integer, "0"),
    Field::new("image_cfg_scale", Float, "null"),
    Field::new("mask", Text, "null"),
    Field::new("mask_blur_x", Integer, "4"),
    Field::new("mask_blur_y", Integer, "4"),
    Field::new("mask_blur", Integer, "null"),
    Field::new("mask_round", Flag, "true").since(V1_8),
    Field::new("inpainting_fill", Integer, "0"),
    Field::new("inpaint_full_res", Flag, "true"),
    Field::new("inpaint_full_res_padding", Integer, "0"),
    Field::new("inpainting_mask_invert", Integer, "0"),
    Field::new("initial_noise_multiplier", Float, "null"),
    Field::new("latent_mask", Text, "null"),
];

const TASK: &[Field] = &[Field::new("force_task_id", Text, "null").since(V1_8)];

/// Forge has this field of the second pass in img2img, too.
const IMG2IMG_OF_FORGE: &[Field] = &[Field::new("hr_distilled_cfg", Float, "3.5").since(Forge2024)];

const SAMPLER_INDEX: &[Field] = &[Field::new("sampler_index", Text, "\"Euler\"")];

const INCLUDE_INIT: &[Field] = &[Field::new("include_init_images", Flag, "false")];

const SCRIPTS_AND_OUTPUT: &[Field] = &[
    Field::new("script_name", Text, "null"),
    Field::new("script_args", List, "[]"),
    Field::new("send_images", Flag, "true"),
    Field::new("save_images", Flag, "false"),
    Field::new("alwayson_scripts", Object, "{}"),
    Field::new("infotext", Text, "null").since(V1_8),
];

/// The fields of `POST txt2img`.
pub(crate) static TXT2IMG: LazyLock<Vec<Field>> =
    LazyLock::new(|| [SHARED, HIRES, TASK, SAMPLER_INDEX, SCRIPTS_AND_OUTPUT].concat());

/// The fields of `POST img2img`.
pub(crate) static IMG2IMG: LazyLock<Vec<Field>> = LazyLock::new(|| {
    let mut table = [
        SHARED,
        FROM_PICTURE,
        TASK,
        IMG2IMG_OF_FORGE,
        SAMPLER_INDEX,
        INCLUDE_INIT,
        SCRIPTS_AND_OUTPUT,
    ]
    .concat();
    for field in &mut table {
        if field.name == "denoising_strength" {
            field.default = Some("0.75");
        }
    }
    table
});
