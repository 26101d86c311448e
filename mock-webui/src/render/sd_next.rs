//! What SD.Next makes of a request before it renders (§12).

use serde_json::{Value, json};

use super::input_picture::InputPicture;
use crate::request::Fields;
use crate::server::Server;

/// A side that is not given.
const SIDE: i64 = 1024;

/// What a picture's description needs beyond the plan.
#[derive(Debug, Clone)]
pub(crate) struct SdNextDetails {
    /// Sides floored to multiples of 8, as they are described. Negative ones stay so.
    pub(crate) width: i64,
    pub(crate) height: i64,
    pub(crate) steps: i64,
    pub(crate) clip_skip: i64,
    pub(crate) batches: i64,
    pub(crate) operations: &'static str,
    pub(crate) pipeline: &'static str,
    /// Size and strength of a start from a picture.
    pub(crate) start: Option<((u32, u32), Value)>,
    /// Steps and strength of a second pass by a latent upscaler.
    pub(crate) second_pass: Option<(Value, Value)>,
    pub(crate) guidance_rescale: Value,
    pub(crate) model: Option<String>,
}

/// The fields that the render works with: sides and steps that would fail elsewhere are replaced.
pub(super) fn sanitized(fields: &Fields) -> Fields {
    let mut sane = fields.clone();
    for name in ["width", "height"] {
        sane.set(name, json!(side(fields, name).max(8)));
    }
    let steps = fields.integer("steps").unwrap_or_default();
    sane.set("steps", json!(steps.max(1)));
    if fields.get("prompt").is_null() {
        sane.set("prompt", json!(""));
    }
    if fields.get("cfg_scale").is_null() {
        sane.set("cfg_scale", json!(6.0));
    }
    sane.set("enable_hr", json!(false));
    sane.set("alwayson_scripts", json!({}));
    sane
}

/// Whether the sides are ones that can be rendered.
pub(super) fn can_render(fields: &Fields) -> bool {
    side(fields, "width") > 0 && side(fields, "height") > 0
}

fn side(fields: &Fields, name: &str) -> i64 {
    match fields.integer(name) {
        None | Some(0) => SIDE,
        Some(side) => side / 8 * 8,
    }
}

impl SdNextDetails {
    pub(super) fn new(server: &Server, fields: &Fields, pictures: &[InputPicture]) -> Self {
        let given = fields.list("init_images");
        let (operations, pipeline) = match (given.is_empty(), pictures.is_empty()) {
            (true, _) => ("txt2img", "StableDiffusionPipeline"),
            // Pictures that are null leave the pipeline of img2img without one.
            (false, true) => ("img2img; txt2img", "StableDiffusionImg2ImgPipeline"),
            (false, false) if fields.non_empty("mask").is_some() => {
                ("inpaint", "StableDiffusionInpaintPipeline")
            }
            (false, false) => ("img2img", "StableDiffusionImg2ImgPipeline"),
        };
        // By another upscaler, or without one, the pass is left out.
        let passes = fields.flag("enable_hr") && fields.text("hr_upscaler").contains("Latent");
        let second_pass = passes.then(|| {
            let of = |name: &str| fields.get(name).clone();
            (of("hr_second_pass_steps"), of("hr_denoising_strength"))
        });
        let operations = if passes && operations == "txt2img" {
            "txt2img; hires"
        } else {
            operations
        };
        let start = pictures.first().map(|input| {
            let size = (input.picture.width, input.picture.height);
            (size, fields.get("denoising_strength").clone())
        });
        Self {
            width: side(fields, "width"),
            height: side(fields, "height"),
            steps: fields.integer("steps").unwrap_or_default(),
            clip_skip: fields.integer("clip_skip").unwrap_or(1),
            batches: fields.integer("n_iter").unwrap_or(1),
            operations,
            pipeline,
            start,
            second_pass,
            guidance_rescale: fields.get("guidance_rescale").clone(),
            model: server.current_model().map(|model| model.base_name().to_owned()),
        }
    }
}
