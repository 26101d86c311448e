//! Writing an infotext: the text that describes one picture (§6).

use std::fmt::{Display, Write};

use super::plan::Plan;
use super::sd_next_info;
use crate::json::{float, python_str, quote};

/// Entries of the extra parameters that have a fixed place among the others.
const PLACED: [&str; 2] = ["Schedule type", "Denoising strength"];

/// The infotext of the picture with this index.
pub(crate) fn infotext(plan: &Plan, index: usize) -> String {
    if let Some(details) = &plan.sd_next {
        return sd_next_info::infotext(plan, details, index);
    }
    let strength = plan.subseed_strength.as_f64().unwrap_or_default();
    let (from_width, from_height) = plan.seed_resize_from;

    let set = &plan.from_settings;
    let mut entries = Entries {
        text: String::new(),
        hidden: &set.hidden,
    };
    entries.add("Steps", plan.steps);
    entries.add("Sampler", &plan.sampling.sampler);
    entries.add_if("Schedule type", plan.sampling.schedule.as_deref());
    entries.add("CFG scale", float(plan.cfg_scale));
    entries.add("Seed", plan.seeds[index]);
    entries.add_if("Face restoration", set.restore_faces.then_some("CodeFormer"));
    entries.add("Size", format_args!("{}x{}", plan.width, plan.height));
    entries.add_if("Model hash", plan.model.1.as_deref());
    entries.add("Model", &plan.model.0);
    if let Some((name, hash)) = &set.vae {
        entries.add("VAE hash", hash);
        entries.add("VAE", name);
    }
    if strength != 0.0 {
        entries.add("Variation seed", plan.subseeds[index]);
        entries.add("Variation seed strength", float(strength));
    }
    if from_width > 0 && from_height > 0 {
        entries.add("Seed resize from", format_args!("{from_width}x{from_height}"));
    }
    entries.add_if(
        "Denoising strength",
        plan.extra.get("Denoising strength").map(python_str),
    );
    entries.add_if("Clip skip", (set.clip_skip > 1).then_some(set.clip_skip));
    for (name, value) in &set.entries {
        entries.add(name, value);
    }
    entries.add_if("Tiling", set.tiling.then_some("True"));
    for (name, value) in &plan.extra {
        if !PLACED.contains(&name.as_str()) {
            entries.add_if(name, plan.extra_of(index, name, value));
        }
    }
    entries.add("Version", plan.version);

    let negative = match plan.negatives[index].as_str() {
        "" => String::new(),
        negative => format!("\nNegative prompt: {negative}"),
    };
    format!("{}{negative}\n{}", plan.prompts[index], entries.text)
        .trim()
        .to_owned()
}

/// `name: value` pairs with commas between them.
struct Entries<'a> {
    text: String,
    hidden: &'a [&'static str],
}

impl Entries<'_> {
    fn add(&mut self, name: &str, value: impl Display) {
        if self.hidden.contains(&name) {
            return;
        }
        if !self.text.is_empty() {
            self.text.push_str(", ");
        }
        write!(self.text, "{name}: {}", quote(&value.to_string())).expect("a string takes any text");
    }

    fn add_if(&mut self, name: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.add(name, value);
        }
    }
}
