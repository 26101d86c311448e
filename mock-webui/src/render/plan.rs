//! What one generation will do, decided before the first step.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::hires::Hires;
use super::numbers;
use super::prompt;
use super::scripts::{self, Script};
use super::source::SourcePicture;
use crate::answer::Failure;
use crate::catalogue::sampler::{self, Sampling};
use crate::digest;
use crate::faults::{FaultKind, Trouble};
use crate::gpu::picture::{Base, Scene};
use crate::json::float;
use crate::profile::Profile;
use crate::request::Fields;
use crate::server::Server;

/// The route that a generation came in by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    Text,
    Picture,
}

impl Source {
    /// The job's name while it runs (§7).
    pub(crate) fn job(self) -> &'static str {
        match self {
            Self::Text => "scripts_txt2img",
            Self::Picture => "scripts_img2img",
        }
    }
}

/// Everything a plan is made from.
pub(crate) struct Order<'a> {
    pub(crate) server: &'a Server,
    pub(crate) source: Source,
    pub(crate) fields: &'a Fields,
    pub(crate) script: &'a Script,
    pub(crate) sampling: Sampling,
    pub(crate) pictures: Vec<SourcePicture>,
    pub(crate) trouble: &'a Trouble,
}

/// One generation, with its values checked as far as Python would fail on them. Lists have one entry a
/// picture.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) prompts: Vec<String>,
    pub(crate) negatives: Vec<String>,
    pub(crate) seeds: Vec<i64>,
    pub(crate) subseeds: Vec<i64>,
    pub(crate) styles: Vec<String>,
    pub(crate) subseed_strength: Value,
    pub(crate) seed_resize_from: (i64, i64),
    pub(crate) sampling: Sampling,
    pub(crate) batch_size: usize,
    pub(crate) steps: u32,
    /// Steps that are really sampled: fewer than asked when a picture is the start.
    pub(crate) sampled_steps: u32,
    pub(crate) cfg_scale: f64,
    pub(crate) image_cfg_scale: Option<f64>,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) denoising: Option<f64>,
    pub(crate) from_settings: FromSettings,
    /// Entries that scripts and passes add to the infotext, in order.
    pub(crate) extra: Map<String, Value>,
    pub(crate) model: (String, Option<String>),
    pub(crate) hires: Option<Hires>,
    pub(crate) version: &'static str,
    /// Whether `info` has the version, as from 1.7 on.
    pub(crate) states_version: bool,
    bases: Vec<Base>,
    ignore_loras: bool,
}

/// Values that a request may set and that come from the settings otherwise.
#[derive(Debug, Clone)]
pub(crate) struct FromSettings {
    pub(crate) restore_faces: bool,
    pub(crate) tiling: bool,
    pub(crate) clip_skip: i64,
    /// Name and hash.
    pub(crate) vae: Option<(String, String)>,
    /// Entries of the infotext for settings that are not at their defaults.
    pub(crate) entries: Vec<(&'static str, String)>,
    /// Entries of the infotext that settings turn off.
    pub(crate) hidden: Vec<&'static str>,
}

/// Settings that turn entries of the infotext off.
const SWITCHES: [(&str, &str); 5] = [
    ("add_model_name_to_info", "Model"),
    ("add_model_hash_to_info", "Model hash"),
    ("add_vae_name_to_info", "VAE"),
    ("add_vae_hash_to_info", "VAE hash"),
    ("add_version_to_infotext", "Version"),
];

impl FromSettings {
    fn read(server: &Server, fields: &Fields, sampler_name: &str) -> Self {
        let settings = server.settings();
        let mut entries = Vec::new();
        let delta = settings.integer("eta_noise_seed_delta");
        if delta != 0 && sampler::uses_ensd(sampler_name) {
            entries.push(("ENSD", delta.to_string()));
        }
        if let Some(ratio) = settings
            .get("token_merging_ratio")
            .as_f64()
            .filter(|ratio| *ratio != 0.0)
        {
            entries.push(("Token merging ratio", float(ratio)));
        }
        if settings.text("randn_source") != "GPU" {
            entries.push(("RNG", settings.text("randn_source").to_owned()));
        }
        let flag = |field: &str, key: &str| fields.get(field).as_bool().unwrap_or(settings.flag(key));
        Self {
            restore_faces: flag("restore_faces", "face_restoration"),
            tiling: flag("tiling", "tiling"),
            clip_skip: settings.integer("CLIP_stop_at_last_layers"),
            vae: vae(settings.text("sd_vae")),
            entries,
            hidden: SWITCHES
                .into_iter()
                .filter(|(key, _)| !settings.flag(key))
                .map(|(_, entry)| entry)
                .collect(),
        }
    }
}

impl Plan {
    pub(crate) fn new(order: Order<'_>) -> Result<Self, Failure> {
        let Order {
            server,
            source,
            fields,
            script,
            sampling,
            pictures,
            trouble,
        } = order;
        let prompt = fields
            .get("prompt")
            .as_str()
            .ok_or_else(|| Failure::unexpected("AssertionError", ""))?
            .to_owned();
        let negative = fields.text("negative_prompt").to_owned();
        let batch_size = numbers::count(fields, "batch_size")?;
        let batches = numbers::count(fields, "n_iter")?;
        let steps = numbers::steps(fields)?;
        let (width, height) = numbers::size(fields)?;
        let cfg_scale = fields
            .float("cfg_scale")
            .ok_or_else(|| numbers::type_error("*", "Tensor"))?;

        let pictures_asked = batch_size * batches;
        let (texts, different_seeds) = texts(script, (&prompt, &negative), pictures_asked);
        let (prompts, negatives): (Vec<_>, Vec<_>) = texts
            .into_iter()
            .map(|(prompt, negative)| prompt::prepare(server, fields, &prompt, &negative))
            .unzip();
        if prompts.is_empty() || batch_size == 0 {
            return Err(Failure::unexpected("IndexError", "list index out of range"));
        }
        let (seeds, subseeds) = numbers::seeds(server, fields, prompts.len(), different_seeds)?;
        let hires = if source == Source::Text {
            Hires::plan(server, fields, (width, height))?
        } else {
            None
        };
        let denoising = fields.float("denoising_strength");
        let sampled_steps = match source {
            Source::Text => steps,
            Source::Picture => {
                numbers::share(steps, denoising.ok_or_else(|| numbers::not_comparable("<"))?) + 1
            }
        };
        let ignore_loras = trouble.has(&FaultKind::IgnoreLora) || fields.flag("disable_extra_networks");
        let mut extra = Map::new();
        if let Some(schedule) = &sampling.named_schedule {
            extra.insert("Schedule type".to_owned(), json!(schedule));
        }
        extra.extend(pass_entries(server, source, fields, hires.as_ref())?);
        if !ignore_loras {
            extra.extend(lora_entries(server, &prompts));
        }
        let from_settings = FromSettings::read(server, fields, &sampling.sampler);
        let model = server.current_model().cloned().unwrap_or_default();
        let share = denoising.unwrap_or(1.0);
        let bases = pictures
            .into_iter()
            .map(|source| Base::new(Arc::new(source.picture), share))
            .collect();
        Ok(Self {
            prompts,
            negatives,
            seeds,
            subseeds,
            styles: fields
                .list("styles")
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect(),
            subseed_strength: fields.get("subseed_strength").clone(),
            seed_resize_from: (
                fields.integer("seed_resize_from_w").unwrap_or(-1),
                fields.integer("seed_resize_from_h").unwrap_or(-1),
            ),
            sampling,
            batch_size,
            steps,
            sampled_steps,
            cfg_scale,
            image_cfg_scale: fields.float("image_cfg_scale"),
            width,
            height,
            denoising,
            from_settings,
            extra,
            model: (model.name().to_owned(), model.short_hash().map(str::to_owned)),
            hires,
            version: server.profile().version(),
            states_version: server.profile() >= Profile::V1_8,
            bases,
            ignore_loras,
        })
    }

    /// How many batches it takes.
    pub(crate) fn batches(&self) -> usize {
        self.prompts.len().div_ceil(self.batch_size)
    }

    /// The picture with this index, counted over all batches.
    pub(crate) fn scene(&self, index: usize) -> Scene {
        let strength = self.subseed_strength.as_f64().unwrap_or_default();
        let variation = (strength != 0.0).then(|| (self.subseeds[index], strength.to_bits()));
        let (text, loras) = prompt::split_loras(&self.prompts[index]);
        let applied = if self.ignore_loras || !self.extra.contains_key("Lora hashes") {
            Vec::new()
        } else {
            loras
        };
        let set = &self.from_settings;
        let material = (
            (
                text,
                &self.negatives[index],
                self.seeds[index],
                variation,
                applied,
            ),
            (
                &self.sampling.sampler,
                &self.sampling.schedule,
                self.steps,
                self.cfg_scale.to_bits(),
            ),
            (
                &self.model.0,
                &set.vae,
                set.clip_skip,
                self.denoising.map(f64::to_bits),
                set.tiling,
            ),
        );
        let scene = Scene::new(&material, self.width, self.height, self.sampled_steps);
        match self.bases.get(index % self.batch_size).or(self.bases.first()) {
            Some(base) => scene.over(base.clone()),
            None => scene,
        }
    }
}

/// The prompt pairs of all pictures, and whether their seeds count up.
fn texts(script: &Script, (prompt, negative): (&str, &str), count: usize) -> (Vec<(String, String)>, bool) {
    let pair = |prompt: &str, negative: &str| (prompt.to_owned(), negative.to_owned());
    match script {
        Script::Prompts(lines) if !lines.is_empty() => {
            (lines.iter().map(|line| pair(line, negative)).collect(), false)
        }
        Script::Plain | Script::Plot(_) | Script::Prompts(_) => (vec![pair(prompt, negative); count], true),
        Script::PromptMatrix {
            at_start,
            different_seeds,
            negative: in_negative,
            delimiter,
        } => {
            let varied = if *in_negative { negative } else { prompt };
            let texts = scripts::matrix(varied, *at_start, delimiter).into_iter();
            let pairs = texts.map(|text| {
                if *in_negative {
                    pair(prompt, &text)
                } else {
                    pair(&text, negative)
                }
            });
            (pairs.collect(), *different_seeds)
        }
    }
}

/// What the second pass, the start from a picture and the refiner add to the infotext.
fn pass_entries(
    server: &Server,
    source: Source,
    fields: &Fields,
    hires: Option<&Hires>,
) -> Result<Map<String, Value>, Failure> {
    let mut entries = hires.map(|hires| hires.entries(fields)).unwrap_or_default();
    if source == Source::Picture {
        entries.insert(
            "Denoising strength".to_owned(),
            fields.get("denoising_strength").clone(),
        );
        entries.extend(mask_entries(fields));
    }
    entries.extend(refiner_entries(server, fields)?);
    Ok(entries)
}

/// What inpainting adds to the infotext (§6).
fn mask_entries(fields: &Fields) -> Map<String, Value> {
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

fn refiner_entries(server: &Server, fields: &Fields) -> Result<Map<String, Value>, Failure> {
    let mut entries = Map::new();
    let wanted = fields
        .non_empty("refiner_checkpoint")
        .filter(|name| *name != "None");
    if let Some(name) = wanted {
        let model = server.find_model(name).ok_or_else(|| no_checkpoint_named(name))?;
        let short = model.title().replace(".safetensors", "");
        entries.insert("Refiner".to_owned(), json!(short));
        entries.insert(
            "Refiner switch at".to_owned(),
            fields.get("refiner_switch_at").clone(),
        );
    }
    Ok(entries)
}

/// The error for a checkpoint that a second pass or the refiner asks for in vain.
pub(super) fn no_checkpoint_named(name: &str) -> Failure {
    Failure::unexpected("Exception", format!("Could not find checkpoint with name {name}"))
}

/// The hashes of the `LoRA`s that the prompts name and the server has. Unknown names are passed over.
fn lora_entries(server: &Server, prompts: &[String]) -> Map<String, Value> {
    let mut hashes: Vec<String> = Vec::new();
    for (name, _) in prompts.iter().flat_map(|prompt| prompt::split_loras(prompt).1) {
        let known = server
            .setup()
            .installed
            .loras
            .iter()
            .find(|lora| lora.name() == name);
        let entry = known.map(|lora| format!("{name}: {}", lora.hash()));
        hashes.extend(entry.filter(|entry| !hashes.contains(entry)));
    }
    let mut entries = Map::new();
    if !hashes.is_empty() {
        entries.insert("Lora hashes".to_owned(), json!(hashes.join(", ")));
    }
    entries
}

/// A VAE chosen in the settings, with a made-up hash that depends on its name.
fn vae(name: &str) -> Option<(String, String)> {
    if matches!(name, "" | "Automatic" | "None") {
        return None;
    }
    Some((name.to_owned(), format!("{:010x}", digest::of(&name) >> 24)))
}
