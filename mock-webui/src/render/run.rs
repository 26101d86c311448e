//! Running one generation on the card.

use http::StatusCode;
use serde_json::{Value, json};

use super::generation::Generation;
use super::grid;
use super::input_picture;
use super::paste;
use super::plan::{Plan, PlanInput};
use super::scripts::{self, Script};
use super::{sd_next, sd_next_info};
use crate::answer::{Answer, Failure};
use crate::catalogue::sampling::{self, Sampling};
use crate::faults::ActiveFaults;
use crate::gpu::QueuePlace;
use crate::memory::out_of_memory;
use crate::request::Mode;

/// Runs a request whose fields are valid: checks the rest, waits for its turn, renders, and answers.
pub(crate) async fn run(mut generation: Generation, place: QueuePlace) -> Result<Answer, Failure> {
    let Generation {
        server,
        mode,
        fields,
        faults,
    } = &mut generation;
    if *mode == Mode::Img2Img {
        if fields.get("init_images").is_null() {
            if server.profile().is_sd_next() {
                let body = json!({ "error": "Init image is none" });
                let answer = Answer::with_status(StatusCode::BAD_REQUEST, &body);
                return Err(Failure::Ready(Box::new(answer)));
            }
            return Err(Failure::deliberate(StatusCode::NOT_FOUND, "Init image not found"));
        }
        if let Some(mask) = fields.non_empty("mask") {
            input_picture::decode(server.profile(), mask)?;
        }
    }
    for name in &faults.forgotten_fields {
        fields.forget(name);
    }
    paste::apply(fields);
    let script = scripts::find(server.profile(), *mode, fields)?;
    let name = fields
        .non_empty("sampler_name")
        .unwrap_or_else(|| fields.text("sampler_index"));
    let sampling = sampling::resolve(server.profile(), name, fields.non_empty("scheduler"))
        .ok_or_else(|| Failure::deliberate(StatusCode::NOT_FOUND, "Sampler not found"))?;
    scripts::check_always_on(server, *mode, fields)?;

    let task = fields
        .non_empty("force_task_id")
        .map_or_else(|| server.task_id(*mode), str::to_owned);
    server
        .gpu()
        .change(|state| state.pending_tasks.push_back(task.clone()));
    place.turn().await;
    let sd_next = server.profile().is_sd_next();
    server.gpu().change(|state| {
        let job = mode.job();
        state.begin(if sd_next { mode.job_of_sd_next() } else { job });
        if sd_next {
            state.sampling_steps = 0;
        }
        state.renders += 1;
        state.begin_task(task);
    });
    let result = generation.with_overrides(script, sampling).await;
    generation.server.gpu().change(|state| {
        state.end();
        if sd_next {
            state.job_no = 0;
        }
    });
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
            faults,
            ..
        } = self;
        let Value::Object(overrides) = fields.get("override_settings") else {
            return self.answer_or_fail_quietly(script, sampling).await;
        };
        let mut overrides = overrides.clone();
        let before = server.current_model();
        let asked = overrides.shift_remove("sd_model_checkpoint");
        let asked = asked.as_ref().and_then(Value::as_str);
        // An unknown checkpoint is passed over, and the request runs with the current one.
        let asked = asked.and_then(|name| server.find_model(name));
        if let Some(model) = asked {
            server.switch_model(model, faults);
        }
        let (replaced, applied) = server.settings().replace(&overrides);
        let result = match applied {
            Ok(()) => self.answer_or_fail_quietly(script, sampling).await,
            Err(failure) => Err(failure),
        };
        if fields.flag("override_settings_restore_afterwards") {
            server.settings().restore(replaced);
            if let Some(before) = before.filter(|_| asked.is_some()) {
                server.switch_model(before, &ActiveFaults::default());
            }
        }
        result
    }

    /// The answer; of SD.Next also to a render that fails.
    async fn answer_or_fail_quietly(
        &self,
        script: Option<&str>,
        sampling: Sampling,
    ) -> Result<Answer, Failure> {
        let result = self.answer(script, sampling.clone()).await;
        match result {
            // This one comes from describing the pictures, after the part that hides exceptions.
            Err(Failure::Unexpected { class, .. })
                if self.server.profile().is_sd_next() && class != "IndexError" =>
            {
                let plan = self.server.current_model().and_then(|_| {
                    Plan::new(PlanInput {
                        server: &self.server,
                        mode: self.mode,
                        fields: &self.fields,
                        script: &Script::Plain,
                        sampling,
                        pictures: Vec::new(),
                        faults: &self.faults,
                    })
                    .ok()
                });
                Ok(self.failed_reply(plan.as_ref()))
            }
            result => result,
        }
    }

    async fn answer(&self, script: Option<&str>, sampling: Sampling) -> Result<Answer, Failure> {
        let Self {
            server,
            mode,
            fields,
            faults,
        } = self;
        if server.current_model().is_none() {
            return Err(no_checkpoint(&server.setup().root));
        }
        server.model_loaded().await;
        server.claim_memory(faults)?;
        if let Some((class, text)) = &faults.exception {
            return Err(Failure::unexpected(class, text));
        }
        if faults.grow_megabytes > 0 {
            server.grow(faults.grow_megabytes);
        }
        let pictures = self.pictures()?;
        if server.profile().is_sd_next() && !sd_next::can_render(fields) {
            return Err(Failure::unexpected(
                "ValueError",
                "width and height have to be divisible by 8",
            ));
        }
        let script = scripts::read(server.profile(), script, *mode, fields)?;
        if let Script::Plot(plot) = script {
            return self.plot(plot, &sampling, &pictures).await;
        }
        let input = PlanInput {
            server,
            mode: *mode,
            fields,
            script: &script,
            sampling,
            pictures,
            faults,
        };
        let plan = Plan::new(input)?;
        if faults.most_pictures.is_some_and(|most| plan.batch_size > most) {
            return Err(out_of_memory());
        }
        let stamp = server.gpu().change(|state| {
            let passes = if plan.hires.is_some() { 2 } else { 1 };
            state.job_count = i64::try_from(plan.batches() * passes).unwrap_or(i64::MAX);
            state.job_timestamp
        });
        let mut rendered = self.batches(&plan).await?;
        self.check_for_nan(&plan.prompts)?;
        let with_grid = match &script {
            Script::PromptMatrix { .. } => true,
            _ => {
                fields.flag("save_images")
                    && server.settings().flag("return_grid")
                    && rendered.pictures.len() > 1
            }
        };
        if with_grid && !rendered.pictures.is_empty() {
            let layout = grid::layout(rendered.pictures.len());
            rendered.put_grid_first(matches!(script, Script::PromptMatrix { .. }));
            if let (Some(details), Some(text)) = (&plan.sd_next, rendered.texts.first_mut()) {
                *text = sd_next_info::grid_infotext(&plan, details, layout);
            }
        }
        let maps = scripts::controlnet_units(fields);
        if server.setup().controlnet_maps && maps > 0 {
            rendered.append_maps(maps);
        }
        self.reply(&plan, rendered, usize::from(with_grid), stamp).await
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
