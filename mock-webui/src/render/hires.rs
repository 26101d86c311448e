//! The second pass of txt2img, at a larger size (§3, §6, §7).

use serde_json::{Map, Value, json};

use super::numbers;
use crate::answer::Failure;
use crate::catalogue::sampling::{self, Sampling};
use crate::catalogue::upscaler;
use crate::profile::Profile;
use crate::request::Fields;
use crate::server::Server;

/// A second pass.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Hires {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) steps: u32,
    /// Null when the request leaves it to the server.
    upscaler: Option<String>,
    profile: Profile,
    /// The schedule of the pass, if it is not that of the first one.
    schedule: Option<String>,
    /// Forge's text encoders and VAE; `None` fails it after the first pass.
    modules: Option<Vec<String>>,
}

impl Hires {
    /// The second pass that a request asks for, if any.
    pub(crate) fn plan(
        server: &Server,
        fields: &Fields,
        sampling: &Sampling,
        first: (u32, u32),
    ) -> Result<Option<Self>, Failure> {
        if !fields.flag("enable_hr") {
            return Ok(None);
        }
        if let Some(name) = fields
            .non_empty("hr_checkpoint_name")
            .filter(|name| *name != "Use same checkpoint")
        {
            server.require_model(name)?;
        }
        let upscaler = fields.get("hr_upscaler").as_str();
        let known = |name: &str| upscaler::latent_modes().contains(&name) || upscaler::exists(name);
        if let Some(upscaler) = upscaler.filter(|name| !known(name)) {
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
            upscaler: upscaler.map(str::to_owned),
            profile: server.profile(),
            schedule: own_schedule(server.profile(), fields, sampling),
            modules: fields.get("hr_additional_modules").as_array().map(|modules| {
                let modules = modules.iter().filter_map(Value::as_str);
                modules.map(str::to_owned).collect()
            }),
        }))
    }

    /// What fails once the first pass is done: Forge looks for a text in a list of modules that is null.
    pub(crate) fn check_after_first_pass(&self) -> Result<(), Failure> {
        if self.profile.is_forge() && self.modules.is_none() {
            let text = "argument of type 'NoneType' is not iterable";
            return Err(Failure::unexpected("TypeError", text));
        }
        Ok(())
    }

    /// What the pass adds to the infotext, in the server's order. A prompt that is that of the first pass is null.
    pub(crate) fn entries(&self, fields: &Fields, sampling: &Sampling) -> Map<String, Value> {
        let mut entries = Map::new();
        let mut add = |name: &str, value: Value| drop(entries.insert(name.to_owned(), value));
        add("Denoising strength", fields.get("denoising_strength").clone());
        if self.profile.is_forge() {
            match self.modules.as_deref() {
                None => {}
                Some([]) => add("Hires Module 1", json!("Built-in")),
                Some(modules) if modules.iter().any(|name| name == SAME_MODULES) => {
                    add("Hires Module 1", json!(SAME_MODULES));
                }
                Some(modules) => {
                    for (number, name) in (1..).zip(modules) {
                        add(&format!("Hires Module {number}"), json!(stem(name)));
                    }
                }
            }
        }
        if let Some(name) = fields
            .non_empty("hr_checkpoint_name")
            .filter(|name| *name != "Use same checkpoint")
        {
            add("Hires checkpoint", json!(name));
        }
        let sampler = fields
            .non_empty("hr_sampler_name")
            .filter(|name| !["Use same sampler", &sampling.sampler].contains(name));
        if let Some(name) = sampler {
            add("Hires sampler", json!(name));
        }
        for (field, entry, first) in [
            ("hr_prompt", "Hires prompt", "prompt"),
            ("hr_negative_prompt", "Hires negative prompt", "negative_prompt"),
        ] {
            let own = fields.non_empty(field).filter(|text| *text != fields.text(first));
            if own.is_some() || self.profile >= Profile::V1_10_1 {
                add(entry, json!(own));
            }
        }
        if self.profile.is_forge() {
            add("Hires CFG Scale", fields.get("hr_cfg").clone());
        }
        if self.profile.has_schedulers() {
            add("Hires schedule type", json!(self.schedule));
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
        if let Some(upscaler) = &self.upscaler {
            add("Hires upscaler", json!(upscaler));
        }
        entries
    }
}

/// The entry of Forge's list of modules that stands for those of the first pass.
const SAME_MODULES: &str = "Use same choices";

/// A file's name without folders and ending.
fn stem(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

/// The schedule of the second pass, if it is not that of the first.
fn own_schedule(profile: Profile, fields: &Fields, first: &Sampling) -> Option<String> {
    let scheduler = fields
        .non_empty("hr_scheduler")
        .filter(|name| *name != "Use same scheduler");
    let sampler = fields
        .non_empty("hr_sampler_name")
        .filter(|name| *name != "Use same sampler");
    if scheduler.is_none() && sampler.is_none() {
        return None;
    }
    let scheduler = scheduler.or(fields.non_empty("scheduler"));
    let own = sampling::resolve(profile, sampler.unwrap_or(&first.sampler), scheduler)?.named_schedule;
    own.filter(|own| Some(own) != first.named_schedule.as_ref())
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
