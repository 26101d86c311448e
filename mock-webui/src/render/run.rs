//! Running one generation on the card.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use serde_json::{Value, json};

use super::grid;
use super::info::{Results, info};
use super::infotext::infotext;
use super::paste;
use super::plan::{Order, Plan, Source};
use super::plot::Plot;
use super::scripts::{self, Script};
use super::source::{self, SourcePicture};
use crate::answer::{Answer, Failure};
use crate::catalogue::sampler::{self, Sampling};
use crate::faults::{FaultKind, Trouble};
use crate::file;
use crate::gpu::picture::Picture;
use crate::gpu::{Marks, Place, Preview, Sampled, State};
use crate::profile::Profile;
use crate::request::Fields;
use crate::server::Server;

/// A request on its way through the checks.
pub(crate) struct Generation {
    pub(crate) server: Server,
    pub(crate) source: Source,
    pub(crate) fields: Fields,
    pub(crate) trouble: Trouble,
}

/// Runs a request whose fields are valid: checks the rest, waits for its turn, renders, and answers.
pub(crate) async fn run(mut generation: Generation, place: Place) -> Result<Answer, Failure> {
    let Generation {
        server,
        source,
        fields,
        trouble,
    } = &mut generation;
    if *source == Source::Picture {
        if fields.get("init_images").is_null() {
            if server.profile() == Profile::SdNext {
                let body = json!({ "error": "Init image is none" });
                let answer = Answer::with_status(StatusCode::BAD_REQUEST, &body);
                return Err(Failure::Ready(Box::new(answer)));
            }
            return Err(Failure::deliberate(StatusCode::NOT_FOUND, "Init image not found"));
        }
        if let Some(mask) = fields.non_empty("mask") {
            source::decode(mask)?;
        }
    }
    for name in trouble.forgotten() {
        fields.forget(name);
    }
    paste::apply(fields);
    let script = scripts::find(*source, fields)?;
    let name = fields
        .non_empty("sampler_name")
        .unwrap_or_else(|| fields.text("sampler_index"));
    let sampling = sampler::resolve(server.profile(), name, fields.non_empty("scheduler"))
        .ok_or_else(|| Failure::deliberate(StatusCode::NOT_FOUND, "Sampler not found"))?;
    scripts::check_always_on(server, *source, fields)?;

    let task = fields
        .non_empty("force_task_id")
        .map_or_else(|| server.task_id(*source), str::to_owned);
    server
        .gpu()
        .change(|state| state.pending_tasks.push_back(task.clone()));
    place.turn().await;
    server.gpu().change(|state| {
        state.begin(source.job());
        state.renders += 1;
        state.begin_task(task);
    });
    let result = generation.with_overrides(script, sampling).await;
    generation.server.gpu().change(State::end);
    // The place is given up only now: the next job begins when this one has left the card.
    drop(place);
    result
}

impl Generation {
    /// Applies the request's settings for the time of the render (§9).
    async fn with_overrides(&self, script: Option<&str>, sampling: Sampling) -> Result<Answer, Failure> {
        let Self {
            server,
            fields,
            trouble,
            ..
        } = self;
        let Value::Object(overrides) = fields.get("override_settings") else {
            return self.answer(script, sampling).await;
        };
        let mut overrides = overrides.clone();
        let before = server.current_model();
        let asked = overrides.shift_remove("sd_model_checkpoint");
        // An unknown checkpoint is passed over, and the request runs with the current one.
        let asked = asked
            .as_ref()
            .and_then(Value::as_str)
            .and_then(|name| server.find_model(name));
        if let Some(model) = asked {
            server.switch_model(model, trouble);
        }
        let (replaced, applied) = server.settings().replace(&overrides);
        let result = match applied {
            Ok(()) => self.answer(script, sampling).await,
            Err(failure) => Err(failure),
        };
        if fields.flag("override_settings_restore_afterwards") {
            server.settings().restore(replaced);
            if let Some(before) = before.filter(|_| asked.is_some()) {
                server.switch_model(before, &Trouble::default());
            }
        }
        result
    }

    async fn answer(&self, script: Option<&str>, sampling: Sampling) -> Result<Answer, Failure> {
        let Self {
            server,
            source,
            fields,
            trouble,
        } = self;
        if server.current_model().is_none() {
            return Err(no_checkpoint(&server.setup().root));
        }
        server.model_loaded().await;
        server.claim_memory(trouble)?;
        for kind in trouble.kinds() {
            match kind {
                FaultKind::Exception { class, text } => return Err(Failure::unexpected(class, text)),
                FaultKind::GrowMemory { megabytes } => server.grow(*megabytes),
                _ => {}
            }
        }
        let pictures = self.pictures()?;
        let script = scripts::read(script, *source, fields)?;
        if let Script::Plot(plot) = script {
            return self.plot(plot, &sampling, &pictures).await;
        }
        let order = Order {
            server,
            source: *source,
            fields,
            script: &script,
            sampling,
            pictures,
            trouble,
        };
        let plan = Plan::new(order)?;
        let stamp = server.gpu().change(|state| {
            let passes = if plan.hires.is_some() { 2 } else { 1 };
            state.job_count = i64::try_from(plan.batches() * passes).unwrap_or(i64::MAX);
            state.job_timestamp
        });
        let mut album = Album::default();
        for batch in 0..plan.batches() {
            if !self.batch(&plan, batch, &mut album).await? {
                break;
            }
        }
        if trouble.has(&FaultKind::Nan) {
            return Err(not_a_number());
        }
        let with_grid = match &script {
            Script::PromptMatrix { .. } => true,
            _ => {
                fields.flag("save_images")
                    && server.settings().flag("return_grid")
                    && album.pictures.len() > 1
            }
        };
        if with_grid && !album.pictures.is_empty() {
            album.put_grid_first(matches!(script, Script::PromptMatrix { .. }));
        }
        self.respond(&plan, album, usize::from(with_grid), stamp).await
    }

    /// Renders every combination of a plot (§6). One that an interrupt cuts off
    /// leaves a blank place in the grid.
    async fn plot(
        &self,
        mut plot: Plot,
        sampling: &Sampling,
        pictures: &[SourcePicture],
    ) -> Result<Answer, Failure> {
        let Self { server, trouble, .. } = self;
        let mut fixed = self.fields.clone();
        plot.fix_seeds(server, &mut fixed);
        let stamp = server.gpu().change(|state| {
            state.job_count = i64::try_from(plot.cells()).unwrap_or(i64::MAX);
            state.job_timestamp
        });
        let mut rendered = Vec::new();
        for cell in 0..plot.cells() {
            let (mut fields, mut sampling) = (fixed.clone(), sampling.clone());
            plot.apply(cell, server, &mut fields, &mut sampling)?;
            let plan = Plan::new(Order {
                server,
                source: self.source,
                fields: &fields,
                script: &Script::Plain,
                sampling,
                pictures: pictures.to_vec(),
                trouble,
            })?;
            server.gpu().change(|state| {
                state.job = format!("{} out of {}", cell + 1, plot.cells());
            });
            let mut album = Album::default();
            for batch in 0..plan.batches() {
                if !self.batch(&plan, batch, &mut album).await? {
                    break;
                }
            }
            rendered.push((plan, album));
        }
        if trouble.has(&FaultKind::Nan) {
            return Err(not_a_number());
        }
        let (plan, album) = plot
            .assemble(rendered)
            .ok_or_else(|| Failure::unexpected("IndexError", "list index out of range"))?;
        self.respond(&plan, album, 1, stamp).await
    }

    /// The answer with the pictures of an album.
    async fn respond(
        &self,
        plan: &Plan,
        album: Album,
        index_of_first_image: usize,
        stamp: Option<std::time::SystemTime>,
    ) -> Result<Answer, Failure> {
        let Self {
            server,
            source,
            fields,
            ..
        } = self;
        let results = Results {
            index_of_first_image,
            job_timestamp: stamp.map_or_else(|| "0".to_owned(), crate::gpu::time_stamp),
            infotexts: album.texts.clone(),
        };
        let seeds = album.seeds.clone();
        let files = album.encode(server).await?;
        if fields.flag("save_images")
            && let Some(directory) = &server.setup().save_to
        {
            let format = server.settings().text("samples_format").to_owned();
            super::disk::save(directory, *source, &format, &files, index_of_first_image, &seeds)
                .map_err(|error| Failure::unexpected("OSError", error.to_string()))?;
        }
        let images: Vec<String> = if fields.flag("send_images") {
            files.iter().map(|file| STANDARD.encode(file)).collect()
        } else {
            Vec::new()
        };
        let mut parameters = fields.echo();
        if *source == Source::Picture && !fields.flag("include_init_images") {
            parameters["init_images"] = Value::Null;
            parameters["mask"] = Value::Null;
        }
        let mut body = json!({ "images": images, "parameters": parameters });
        body["info"] = Value::from(info(plan, &results));
        Ok(Answer::json(&body))
    }

    /// The pictures that img2img starts from.
    fn pictures(&self) -> Result<Vec<SourcePicture>, Failure> {
        if self.source == Source::Text {
            return Ok(Vec::new());
        }
        let given = self.fields.list("init_images");
        let pictures = given
            .iter()
            .map(source::decode_value)
            .collect::<Result<Vec<_>, _>>()?;
        let room = self
            .fields
            .integer("batch_size")
            .and_then(|size| usize::try_from(size).ok())
            .unwrap_or(0);
        match pictures.len() {
            0 => Err(Failure::unexpected(
                "RuntimeError",
                "Expected 3D (unbatched) or 4D (batched) input to conv2d, but got input of size: [0]",
            )),
            count if count > 1 && count > room => Err(Failure::unexpected(
                "RuntimeError",
                format!("bad number of images passed: {count}; expecting {room} or less"),
            )),
            _ => Ok(pictures),
        }
    }

    /// Renders one batch into the album. False when the job was interrupted before it.
    async fn batch(&self, plan: &Plan, batch: usize, album: &mut Album) -> Result<bool, Failure> {
        let gpu = self.server.gpu();
        let go_on = gpu.change(|state| {
            state.skipped = false;
            if plan.batches() > 1 && !state.interrupted {
                state.job = format!("Batch {} out of {}", batch + 1, plan.batches());
            }
            !state.interrupted
        });
        if !go_on {
            return Ok(false);
        }
        let indices = batch * plan.batch_size..((batch + 1) * plan.batch_size).min(plan.prompts.len());
        let scenes: Vec<_> = indices.clone().map(|index| plan.scene(index)).collect();
        let mut sampled = self
            .sample(
                plan.sampled_steps,
                Preview {
                    scenes: scenes.clone(),
                },
            )
            .await?;
        let mut scenes = scenes;
        if let Some(hires) = &plan.hires {
            gpu.change(State::next_job);
            let stopped = gpu.change(|state| state.interrupted);
            if !stopped {
                scenes = scenes
                    .iter()
                    .map(|scene| scene.enlarged(hires.width, hires.height, hires.steps))
                    .collect();
                sampled = self
                    .sample(
                        hires.steps,
                        Preview {
                            scenes: scenes.clone(),
                        },
                    )
                    .await?;
            }
        }
        for (index, scene) in indices.zip(scenes) {
            let drawn = tokio::task::spawn_blocking(move || scene.draw(sampled.steps)).await;
            album
                .pictures
                .push(drawn.map_err(|error| Failure::unexpected("RuntimeError", error.to_string()))?);
            album.texts.push(infotext(plan, index));
            album
                .seeds
                .push(plan.seeds.get(index).copied().unwrap_or_default());
        }
        gpu.change(State::next_job);
        Ok(true)
    }

    /// Samples, with the faults that strike in the middle.
    async fn sample(&self, steps: u32, preview: Preview) -> Result<Sampled, Failure> {
        let Self { server, trouble, .. } = self;
        let mut marks = Marks::default();
        for kind in trouble.kinds() {
            match kind {
                FaultKind::DieAt { step } => marks.stop_at = Some(*step),
                FaultKind::StallAt { step, deaf } => marks.stall = Some((*step, *deaf)),
                FaultKind::DropMidStep { step } => marks.tell_at = Some((*step, trouble.cut.clone())),
                _ => {}
            }
        }
        let stop_at = marks.stop_at;
        let sampled = server.gpu().sample(steps, preview, marks).await;
        if Some(sampled.steps) == stop_at {
            server.die();
            // The death ends this task; nothing after this line runs.
            std::future::pending::<()>().await;
        }
        Ok(sampled)
    }
}

/// The pictures of a job and their texts, in the order of the answer.
#[derive(Debug, Default)]
pub(super) struct Album {
    pub(super) pictures: Vec<Picture>,
    pub(super) texts: Vec<String>,
    /// Without those of grids.
    pub(super) seeds: Vec<i64>,
}

impl Album {
    fn put_grid_first(&mut self, matrix: bool) {
        let grid = if matrix {
            grid::matrix(&self.pictures)
        } else {
            grid::of(&self.pictures)
        };
        self.pictures.insert(0, grid);
        self.texts.insert(0, self.texts[0].clone());
    }

    /// The files, written outside the async threads.
    async fn encode(self, server: &Server) -> Result<Vec<Vec<u8>>, Failure> {
        let (format, with_text) = {
            let settings = server.settings();
            (
                settings.text("samples_format").to_owned(),
                settings.flag("enable_pnginfo"),
            )
        };
        let encoded = tokio::task::spawn_blocking(move || {
            let pairs = self.pictures.iter().zip(&self.texts);
            pairs
                .map(|(picture, text)| file::encode(picture, &format, with_text.then_some(text)))
                .collect()
        });
        encoded
            .await
            .map_err(|error| Failure::unexpected("RuntimeError", error.to_string()))?
    }
}

fn no_checkpoint(root: &str) -> Failure {
    Failure::unexpected(
        "FileNotFoundError",
        format!(
            "No checkpoints found. When searching for checkpoints, looked at:\n - file {root}/model.ckpt\n - \
             directory {root}/models/Stable-diffusionCan't run without a checkpoint. Find and place a .ckpt or \
             .safetensors file into any of those locations."
        ),
    )
}

fn not_a_number() -> Failure {
    Failure::unexpected(
        "NansException",
        "A tensor with all NaNs was produced in Unet. This could be either because there's not enough precision \
         to represent the picture, or because your video card does not support half type. Try setting the \
         \"Upcast cross attention layer to float32\" option in Settings > Stable Diffusion or using the --no-half \
         commandline argument to fix this. Use --disable-nan-check commandline argument to disable this check.",
    )
}
