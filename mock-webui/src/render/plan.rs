//! What one generation will do, decided before the first step.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::batch_jobs::{self, PictureJob};
use super::entries::{eta_entry, lora_entries, mask_entries, noise_entry, refiner_entries};
use super::from_settings::FromSettings;
use super::hires::Hires;
use super::input_picture::InputPicture;
use super::numbers::{self, SeedOrder};
use super::prompt;
use super::scripts::{self, Script};
use super::sd_next::{SdNextDetails, sanitized};
use crate::answer::Failure;
use crate::catalogue::sampling::Sampling;
use crate::faults::ActiveFaults;
use crate::gpu::picture::{Base, Scene};
use crate::json::python_str;
use crate::profile::Profile;
use crate::request::{Fields, Mode};
use crate::server::Server;

/// Everything a plan is made from.
pub(crate) struct PlanInput<'a> {
    pub(crate) server: &'a Server,
    pub(crate) mode: Mode,
    pub(crate) fields: &'a Fields,
    pub(crate) script: &'a Script,
    pub(crate) sampling: Sampling,
    pub(crate) pictures: Vec<InputPicture>,
    pub(crate) faults: &'a ActiveFaults,
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
    /// Whether `info` shows the prompts of the second pass as null, as from 1.10 on.
    pub(crate) states_hires_prompts_as_null: bool,
    /// What SD.Next describes in its own way.
    pub(crate) sd_next: Option<SdNextDetails>,
    bases: Vec<Base>,
    /// The names of the `LoRA`s that are applied.
    loras: Vec<String>,
    /// The jobs of sd-worker's script, one for each picture.
    jobs: Option<Vec<PictureJob>>,
}

impl Plan {
    pub(crate) fn new(input: PlanInput<'_>) -> Result<Self, Failure> {
        let PlanInput {
            server,
            mode,
            fields,
            script,
            sampling,
            pictures,
            faults,
        } = input;
        let sd_next = (server.profile().is_sd_next()).then(|| SdNextDetails::new(server, fields, &pictures));
        let sane = sd_next.as_ref().map(|_| sanitized(fields));
        let fields = sane.as_ref().unwrap_or(fields);
        let prompt = fields
            .get("prompt")
            .as_str()
            .ok_or_else(|| Failure::unexpected("AssertionError", ""))?
            .to_owned();
        let negative = fields.text("negative_prompt").to_owned();
        let batch_size = numbers::count(fields, "batch_size")?;
        let batches = numbers::count(fields, "n_iter")?;
        let steps = numbers::steps(fields)?;
        let (width, height) = numbers::size(server.profile(), fields)?;
        let cfg_scale = fields
            .float("cfg_scale")
            .ok_or_else(|| numbers::type_error("*", "Tensor"))?;

        let pictures_asked = batch_size * batches;
        let (texts, order) = texts(script, (&prompt, &negative), pictures_asked);
        let (mut prompts, mut negatives): (Vec<_>, Vec<_>) = texts
            .into_iter()
            .map(|(prompt, negative)| prompt::prepare(server, fields, &prompt, &negative))
            .unzip();
        if prompts.is_empty() || batch_size == 0 {
            return Err(Failure::unexpected("IndexError", "list index out of range"));
        }
        let (mut seeds, mut subseeds) = numbers::seeds(server, fields, prompts.len(), order)?;
        let jobs = batch_jobs::read(server, mode, fields, prompts.len());
        if let Some(jobs) = &jobs {
            batch_jobs::put(jobs, [&mut prompts, &mut negatives], [&mut seeds, &mut subseeds]);
        }
        let hires = if mode == Mode::Txt2Img {
            Hires::plan(server, fields, &sampling, (width, height))?
        } else {
            None
        };
        let denoising = fields.float("denoising_strength");
        let sampled_steps = sampled_steps(mode, steps, denoising)?;
        let ignore_loras = faults.ignore_loras || fields.flag("disable_extra_networks");
        let extra = extra_entries(
            server,
            mode,
            fields,
            &sampling,
            hires.as_ref(),
            (!ignore_loras).then_some(with_networks(&prompts, jobs.as_deref())),
        )?;
        let installed = server.setup().installed.loras.iter().filter(|_| !ignore_loras);
        let loras = installed.map(|lora| lora.name().to_owned()).collect();
        let from_settings = FromSettings::read(server, fields, &sampling.sampler);
        let model = server.current_model().cloned().unwrap_or_default();
        let share = denoising.unwrap_or(1.0);
        let bases = pictures
            .into_iter()
            .map(|input| Base::new(Arc::new(input.picture), share))
            .collect();
        Ok(Self {
            prompts,
            negatives,
            seeds,
            subseeds,
            styles: styles(fields),
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
            width,
            height,
            denoising,
            from_settings,
            extra,
            model: (model.name().to_owned(), model.short_hash().map(str::to_owned)),
            hires,
            version: server.profile().version(),
            states_version: server.profile() >= Profile::V1_8,
            states_hires_prompts_as_null: server.profile() >= Profile::V1_10_1,
            sd_next,
            bases,
            loras,
            jobs,
        })
    }

    /// How many batches it takes.
    pub(crate) fn batches(&self) -> usize {
        self.prompts.len().div_ceil(self.batch_size)
    }

    /// The entry `name` of the infotext of one picture. With different jobs in a batch, the prompts of the second pass
    /// are the picture's own.
    pub(crate) fn extra_of<'a>(
        &'a self,
        index: usize,
        name: &str,
        shared: &'a Value,
    ) -> Option<Cow<'a, str>> {
        let job = self.jobs.as_ref().and_then(|jobs| jobs.get(index));
        match (job.filter(|_| self.states_hires_prompts_as_null), name) {
            (Some(job), "Hires prompt") => job.hires[0].as_deref().map(Cow::Borrowed),
            (Some(job), "Hires negative prompt") => job.hires[1].as_deref().map(Cow::Borrowed),
            _ => (!shared.is_null()).then(|| Cow::Owned(python_str(shared))),
        }
    }

    /// The picture with this index, counted over all batches.
    pub(crate) fn scene(&self, index: usize) -> Scene {
        let strength = self.subseed_strength.as_f64().unwrap_or_default();
        let variation = (strength != 0.0).then(|| (self.subseeds[index], strength.to_bits()));
        let (text, _) = prompt::split_loras(&self.prompts[index]);
        // All pictures of a batch get the networks of its first prompt (§13).
        let first = index / self.batch_size * self.batch_size;
        let applied: Vec<_> = prompt::split_loras(&self.prompts[first])
            .1
            .into_iter()
            .filter(|(name, _)| self.loras.contains(name))
            .collect();
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

/// The prompt pairs of all pictures, and how their seeds follow from the first one.
fn texts(
    script: &Script,
    (prompt, negative): (&str, &str),
    count: usize,
) -> (Vec<(String, String)>, SeedOrder) {
    let pair = |prompt: &str, negative: &str| (prompt.to_owned(), negative.to_owned());
    match script {
        Script::Prompts(script) if !script.lines.is_empty() => {
            let prompts = script.lines.iter().map(|line| script.prompt(line, prompt));
            let pairs = prompts.flat_map(|prompt| vec![pair(&prompt, negative); count]);
            let order = if script.counts_up {
                SeedOrder::CountUp
            } else {
                SeedOrder::CountUpWithin(count)
            };
            (pairs.collect(), order)
        }
        Script::Plain | Script::Plot(_) | Script::Prompts(_) => {
            (vec![pair(prompt, negative); count], SeedOrder::CountUp)
        }
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
            let order = if *different_seeds {
                SeedOrder::CountUp
            } else {
                SeedOrder::Equal
            };
            (pairs.collect(), order)
        }
    }
}

/// The steps that are really sampled: fewer than asked when a picture is the start.
fn sampled_steps(mode: Mode, steps: u32, denoising: Option<f64>) -> Result<u32, Failure> {
    match mode {
        Mode::Txt2Img => Ok(steps),
        Mode::Img2Img => {
            let strength = denoising.ok_or_else(|| numbers::not_comparable("<"))?;
            Ok(numbers::share(steps, strength) + 1)
        }
    }
}

/// The prompts whose networks the real server reads: with different jobs in a batch that of the first alone (§13).
fn with_networks<'a>(prompts: &'a [String], jobs: Option<&[PictureJob]>) -> &'a [String] {
    if jobs.is_some() { &prompts[..1] } else { prompts }
}

/// The names of the request's styles.
fn styles(fields: &Fields) -> Vec<String> {
    let names = fields.list("styles").iter().filter_map(Value::as_str);
    names.map(str::to_owned).collect()
}

/// What passes, `LoRA`s, the sampler and the refiner add to the infotext, in the order in which the real server adds
/// them: on preparing a pass, on applying `LoRA`s, on sampling. `prompts` are those whose `LoRA`s are applied.
fn extra_entries(
    server: &Server,
    mode: Mode,
    fields: &Fields,
    sampling: &Sampling,
    hires: Option<&Hires>,
    prompts: Option<&[String]>,
) -> Result<Map<String, Value>, Failure> {
    let mut extra = pass_entries(mode, fields, sampling, hires);
    if let Some(prompts) = prompts {
        extra.extend(lora_entries(server, prompts));
    }
    if mode == Mode::Img2Img {
        extra.extend(noise_entry(server, fields));
    }
    if let Some(schedule) = &sampling.named_schedule {
        extra.insert("Schedule type".to_owned(), json!(schedule));
    }
    extra.extend(eta_entry(server, fields, &sampling.sampler));
    extra.extend(refiner_entries(server, fields)?);
    Ok(extra)
}

/// What the second pass or the start from a picture adds to the infotext.
fn pass_entries(
    mode: Mode,
    fields: &Fields,
    sampling: &Sampling,
    hires: Option<&Hires>,
) -> Map<String, Value> {
    let mut entries = hires
        .map(|hires| hires.entries(fields, sampling))
        .unwrap_or_default();
    if mode == Mode::Img2Img {
        entries.insert(
            "Denoising strength".to_owned(),
            fields.get("denoising_strength").clone(),
        );
        entries.extend(mask_entries(fields));
    }
    entries
}
