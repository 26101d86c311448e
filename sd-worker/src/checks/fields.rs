//! Finds the fields that the WebUI silently drops (`docs/protocol/webui-api.md` §0 and §3).

use super::catalogue::Catalogue;
use super::finding::Finding;
use super::list::{List, ListEntry};
use crate::nearest::nearest;
use crate::splice::Object;
use crate::webui::{Call, JobKind};

/// Field names of other programs, and the WebUI's names for them.
const MEANT: &[(&str, &str)] = &[
    ("num_inference_steps", "steps"),
    ("inference_steps", "steps"),
    ("num_steps", "steps"),
    ("guidance_scale", "cfg_scale"),
    ("cfg", "cfg_scale"),
    ("num_images_per_prompt", "batch_size"),
    ("num_images", "batch_size"),
    ("num_outputs", "batch_size"),
    ("n", "n_iter"),
    ("batch_count", "n_iter"),
    ("sampler", "sampler_name"),
    ("sampler_id", "sampler_name"),
    ("scheduler_name", "scheduler"),
    ("schedule_type", "scheduler"),
    ("strength", "denoising_strength"),
    ("prompt_strength", "denoising_strength"),
    ("image", "init_images"),
    ("init_image", "init_images"),
    ("mask_image", "mask"),
    ("negativePrompt", "negative_prompt"),
    ("model", "override_settings.sd_model_checkpoint"),
    ("model_id", "override_settings.sd_model_checkpoint"),
    ("checkpoint", "override_settings.sd_model_checkpoint"),
    ("sd_model_checkpoint", "override_settings.sd_model_checkpoint"),
    ("vae", "override_settings.sd_vae"),
    ("sd_vae", "override_settings.sd_vae"),
    ("clip_skip", "override_settings.CLIP_stop_at_last_layers"),
    ("loras", "<lora:name:1> in prompt"),
    ("lora", "<lora:name:1> in prompt"),
    ("hires_fix", "enable_hr"),
    ("controlnet_units", "alwayson_scripts.ControlNet.args"),
    ("controlnet", "alwayson_scripts.ControlNet.args"),
];

/// The fields that txt2img has in any version, for a server that does not publish its fields.
const SHARED: &str = "prompt negative_prompt styles seed subseed subseed_strength seed_resize_from_h \
    seed_resize_from_w sampler_name scheduler batch_size n_iter steps cfg_scale distilled_cfg_scale width height \
    restore_faces tiling do_not_save_samples do_not_save_grid eta denoising_strength s_min_uncond s_churn s_tmax \
    s_tmin s_noise override_settings override_settings_restore_afterwards refiner_checkpoint refiner_switch_at \
    disable_extra_networks firstpass_image comments force_task_id sampler_index script_name script_args \
    send_images save_images alwayson_scripts infotext";
const TEXT_ONLY: &str = "enable_hr firstphase_width firstphase_height hr_scale hr_upscaler hr_second_pass_steps \
    hr_resize_x hr_resize_y hr_checkpoint_name hr_additional_modules hr_sampler_name hr_scheduler hr_prompt \
    hr_negative_prompt hr_cfg hr_distilled_cfg";
const PICTURE_ONLY: &str = "init_images resize_mode image_cfg_scale mask mask_blur_x mask_blur_y mask_blur \
    mask_round inpainting_fill inpaint_full_res inpaint_full_res_padding inpainting_mask_invert \
    initial_noise_multiplier latent_mask include_init_images";

/// The fields of a request to txt2img or img2img that have no effect.
pub(super) async fn dropped(call: &Call, request: &Object<'_>, catalogue: &Catalogue) -> Vec<Finding> {
    let (list, own) = match call.job_kind {
        JobKind::Txt2Img => (List::TextFields, TEXT_ONLY),
        JobKind::Img2Img => (List::PictureFields, PICTURE_ONLY),
        JobKind::Extras | JobKind::Nothing => return Vec::new(),
    };
    let served = catalogue.list(list, false).await;
    let known: Vec<&str> = match &served {
        Some(entries) => entries
            .iter()
            .flat_map(ListEntry::names)
            .map(String::as_str)
            .collect(),
        None => SHARED.split_whitespace().chain(own.split_whitespace()).collect(),
    };
    request
        .keys()
        .filter(|key| !known.contains(key))
        .map(|key| Finding::dropped(key, meant(key, &known)))
        .collect()
}

fn meant(key: &str, known: &[&str]) -> Option<String> {
    let table = MEANT.iter().find(|(name, _)| name.eq_ignore_ascii_case(key));
    table
        .map(|(_, meant)| (*meant).to_owned())
        .or_else(|| nearest(key, known.iter().copied()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_field_that_was_meant_is_named() {
        let known: Vec<&str> = SHARED.split_whitespace().collect();
        for (key, expected) in [
            ("num_inference_steps", Some("steps")),
            ("Guidance_Scale", Some("cfg_scale")),
            ("sampler_nam", Some("sampler_name")),
            ("model", Some("override_settings.sd_model_checkpoint")),
            ("zzz", None),
        ] {
            assert_eq!(meant(key, &known).as_deref(), expected, "{key}");
        }
    }
}
