//! The second pass of txt2img, at a larger size (§3, §6, §7).

use serde_json::{Map, Value, json};

use super::numbers;
use crate::answer::Failure;
use crate::catalogue::upscaler;
use crate::request::Fields;
use crate::server::Server;

/// A second pass.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Hires {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) steps: u32,
    upscaler: String,
}

impl Hires {
    /// The second pass that a request asks for, if any.
    pub(crate) fn plan(server: &Server, fields: &Fields, first: (u32, u32)) -> Result<Option<Self>, Failure> {
        if !fields.flag("enable_hr") {
            return Ok(None);
        }
        if let Some(name) = fields
            .non_empty("hr_checkpoint_name")
            .filter(|name| *name != "Use same checkpoint")
        {
            server.require_model(name)?;
        }
        let upscaler = fields.non_empty("hr_upscaler").unwrap_or("Latent");
        if !upscaler::latent_modes().contains(&upscaler) && !upscaler::exists(upscaler) {
            return Err(Failure::unexpected(
                "Exception",
                format!("could not find upscaler named {upscaler}"),
            ));
        }
        if fields.float("denoising_strength").is_none() {
            return Err(numbers::not_comparable(">"));
        }
        let (width, height) = target(fields, first)?;
        let steps = match fields.integer("hr_second_pass_steps").unwrap_or_default() {
            0 => numbers::steps(fields)?,
            steps => u32::try_from(steps).unwrap_or(1),
        };
        Ok(Some(Self {
            width,
            height,
            steps,
            upscaler: upscaler.to_owned(),
        }))
    }

    /// What the pass adds to the infotext.
    pub(crate) fn entries(&self, fields: &Fields) -> Map<String, Value> {
        let mut entries = Map::new();
        let mut add = |name: &str, value: Value| drop(entries.insert(name.to_owned(), value));
        add("Denoising strength", fields.get("denoising_strength").clone());
        for (field, entry, same) in [
            ("hr_checkpoint_name", "Hires checkpoint", "Use same checkpoint"),
            ("hr_sampler_name", "Hires sampler", "Use same sampler"),
            ("hr_scheduler", "Hires schedule type", "Use same scheduler"),
            ("hr_prompt", "Hires prompt", ""),
            ("hr_negative_prompt", "Hires negative prompt", ""),
        ] {
            if let Some(value) = fields.non_empty(field).filter(|value| *value != same) {
                add(entry, json!(value));
            }
        }
        let asked = (fields.integer("hr_resize_x"), fields.integer("hr_resize_y"));
        match (asked.0.unwrap_or_default(), asked.1.unwrap_or_default()) {
            (0, 0) => add("Hires upscale", fields.get("hr_scale").clone()),
            (x, y) => add("Hires resize", json!(format!("{x}x{y}"))),
        }
        if fields
            .integer("hr_second_pass_steps")
            .is_some_and(|steps| steps > 0)
        {
            add("Hires steps", json!(self.steps));
        }
        add("Hires upscaler", json!(self.upscaler));
        entries
    }
}

/// The size after the pass: given sides, one side with the other in proportion, or a scale.
fn target(fields: &Fields, (width, height): (u32, u32)) -> Result<(u32, u32), Failure> {
    let side = |name: &str| {
        fields
            .integer(name)
            .and_then(|side| u32::try_from(side).ok())
            .filter(|side| *side > 0)
    };
    let (width, height) = match (side("hr_resize_x"), side("hr_resize_y")) {
        (Some(x), Some(y)) => (x, y),
        (Some(x), None) => (x, in_proportion(height, x, width)),
        (None, Some(y)) => (in_proportion(width, y, height), y),
        (None, None) => {
            let scale = fields
                .float("hr_scale")
                .ok_or_else(|| numbers::type_error("*", "int"))?;
            (scaled(width, scale), scaled(height, scale))
        }
    };
    numbers::limited(width.max(8), height.max(8))
}

fn in_proportion(side: u32, new: u32, old: u32) -> u32 {
    u32::try_from(u64::from(side) * u64::from(new) / u64::from(old.max(1))).unwrap_or(u32::MAX)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped; too large is refused later"
)]
fn scaled(side: u32, scale: f64) -> u32 {
    (f64::from(side) * scale).clamp(0.0, f64::from(u32::MAX)) as u32
}
