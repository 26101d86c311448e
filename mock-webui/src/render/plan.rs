//! What one generation will do, decided before the first step.

use serde_json::{Map, Value, json};

use crate::answer::Failure;
use crate::catalogue::sampler::Sampling;
use crate::gpu::picture::Scene;
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

/// One generation, with its values checked as far as Python would fail on them.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) prompt: String,
    pub(crate) negative: String,
    pub(crate) styles: Vec<String>,
    pub(crate) seeds: Vec<i64>,
    pub(crate) subseeds: Vec<i64>,
    pub(crate) subseed_strength: Value,
    pub(crate) seed_resize_from: (i64, i64),
    pub(crate) sampling: Sampling,
    pub(crate) batch_size: usize,
    pub(crate) batches: usize,
    pub(crate) steps: u32,
    pub(crate) cfg_scale: f64,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) denoising: Option<f64>,
    pub(crate) restore_faces: bool,
    pub(crate) tiling: bool,
    pub(crate) clip_skip: i64,
    /// Entries that scripts and passes add to the infotext, in order.
    pub(crate) extra: Map<String, Value>,
    pub(crate) model: (String, Option<String>),
    pub(crate) version: &'static str,
}

impl Plan {
    pub(crate) fn new(server: &Server, fields: &Fields, sampling: Sampling) -> Result<Self, Failure> {
        let prompt = fields
            .get("prompt")
            .as_str()
            .ok_or_else(|| Failure::unexpected("AssertionError", ""))?;
        let batch_size = count(fields, "batch_size")?;
        let batches = count(fields, "n_iter")?;
        if batch_size * batches == 0 {
            return Err(Failure::unexpected("IndexError", "list index out of range"));
        }
        let steps = steps(fields)?;
        let (width, height) = (side(fields, "width")?, side(fields, "height")?);
        let cfg_scale = fields
            .float("cfg_scale")
            .ok_or_else(|| type_error("*", "Tensor"))?;
        let strength = fields.float("subseed_strength").unwrap_or_default();
        let (seed, subseed) = (seed(server, fields, "seed")?, seed(server, fields, "subseed")?);
        let pictures = i64::try_from(batch_size * batches).unwrap_or(i64::MAX);
        let counted = |from: i64| {
            (0..pictures)
                .map(|index| from.wrapping_add(index))
                .collect::<Vec<_>>()
        };
        let seeds = if strength == 0.0 {
            counted(seed)
        } else {
            vec![seed; batch_size * batches]
        };

        let settings = server.settings();
        let mut extra = Map::new();
        if let Some(schedule) = &sampling.named_schedule {
            extra.insert("Schedule type".to_owned(), json!(schedule));
        }
        let restore_faces = fields
            .get("restore_faces")
            .as_bool()
            .unwrap_or(settings.flag("face_restoration"));
        let tiling = fields.get("tiling").as_bool().unwrap_or(settings.flag("tiling"));
        let clip_skip = settings.integer("CLIP_stop_at_last_layers");
        drop(settings);
        let model = server.current_model().cloned().unwrap_or_default();
        Ok(Self {
            prompt: prompt.to_owned(),
            negative: fields.text("negative_prompt").to_owned(),
            styles: fields
                .list("styles")
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect(),
            seeds,
            subseeds: counted(subseed),
            subseed_strength: fields.get("subseed_strength").clone(),
            seed_resize_from: (
                fields.integer("seed_resize_from_w").unwrap_or(-1),
                fields.integer("seed_resize_from_h").unwrap_or(-1),
            ),
            sampling,
            batch_size,
            batches,
            steps,
            cfg_scale,
            width,
            height,
            denoising: fields.float("denoising_strength"),
            restore_faces,
            tiling,
            clip_skip,
            extra,
            model: (model.name().to_owned(), model.short_hash().map(str::to_owned)),
            version: server.profile().version(),
        })
    }

    /// The picture with this index, counted over all batches.
    pub(crate) fn scene(&self, index: usize) -> Scene {
        let strength = self.subseed_strength.as_f64().unwrap_or_default();
        let variation = (strength != 0.0).then(|| (self.subseeds[index], strength.to_bits()));
        let material = (
            (&self.prompt, &self.negative, self.seeds[index], variation),
            (
                &self.sampling.sampler,
                &self.sampling.schedule,
                self.steps,
                self.cfg_scale.to_bits(),
            ),
            (&self.model.0, self.clip_skip, self.denoising.map(f64::to_bits)),
        );
        Scene::new(&material, self.width, self.height, self.steps)
    }
}

fn type_error(operator: &str, other: &str) -> Failure {
    Failure::unexpected(
        "TypeError",
        format!("unsupported operand type(s) for {operator}: 'NoneType' and '{other}'"),
    )
}

/// A number of pictures; negative ones make empty lists in Python.
fn count(fields: &Fields, name: &str) -> Result<usize, Failure> {
    let count = fields.integer(name).ok_or_else(|| {
        Failure::unexpected(
            "TypeError",
            "can't multiply sequence by non-int of type 'NoneType'",
        )
    })?;
    Ok(usize::try_from(count).unwrap_or(0))
}

fn steps(fields: &Fields) -> Result<u32, Failure> {
    match fields.integer("steps").ok_or_else(|| type_error("//", "int"))? {
        0 => Err(Failure::unexpected(
            "ZeroDivisionError",
            "integer division or modulo by zero",
        )),
        steps => u32::try_from(steps)
            .map_err(|_| Failure::unexpected("RuntimeError", "number of steps must be non-negative")),
    }
}

/// Width or height. Under 8 pixels nothing is left of the latent picture.
fn side(fields: &Fields, name: &str) -> Result<u32, Failure> {
    const LARGEST: i64 = 16_384; // beyond it, no card has the memory
    match fields.integer(name).ok_or_else(|| type_error("//", "int"))? {
        side if side > LARGEST => Err(out_of_memory()),
        side if side < 0 => Err(Failure::unexpected(
            "RuntimeError",
            format!(
                "Trying to create tensor with negative dimension {0}: [4, {0}, {0}]",
                side / 8
            ),
        )),
        side if side < 8 => Err(Failure::unexpected(
            "RuntimeError",
            "Input and output sizes should be greater than 0, but got input (H: 0, W: 0) output (H: 0, W: 0)",
        )),
        side => Ok(u32::try_from(side).unwrap_or(u32::MAX)),
    }
}

/// The error of a card whose memory is full.
pub(crate) fn out_of_memory() -> Failure {
    Failure::unexpected(
        "OutOfMemoryError",
        "CUDA out of memory. Tried to allocate 9.00 GiB. GPU 0 has a total capacty of 23.64 GiB of which 2.97 \
         GiB is free. Process 41 has 20.66 GiB memory in use. Of the allocated memory 19.62 GiB is allocated by \
         PyTorch, and 569.02 MiB is reserved by PyTorch but unallocated. If reserved but unallocated memory is \
         large try setting max_split_size_mb to avoid fragmentation.  See documentation for Memory Management \
         and PYTORCH_CUDA_ALLOC_CONF",
    )
}

/// A seed as sent, or a random one for −1 and null.
fn seed(server: &Server, fields: &Fields, name: &str) -> Result<i64, Failure> {
    let value = fields.get(name);
    match value.as_i64() {
        Some(-1) => Ok(server.random_seed()),
        Some(seed) => Ok(seed),
        None if value.is_null() => Ok(server.random_seed()),
        None => Err(Failure::unexpected(
            "RuntimeError",
            "Overflow when unpacking long",
        )),
    }
}
