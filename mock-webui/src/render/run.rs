//! Running one generation on the card.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use serde_json::{Value, json};

use super::info::{Results, info};
use super::infotext::infotext;
use super::plan::{Plan, Source};
use crate::answer::{Answer, Failure};
use crate::catalogue::sampler;
use crate::gpu::{Place, Preview, State};
use crate::png_file;
use crate::request::Fields;
use crate::server::Server;

/// Runs a checked request: waits for its turn, renders, and answers.
pub(crate) async fn run(
    server: Server,
    source: Source,
    fields: Fields,
    place: Place,
) -> Result<Answer, Failure> {
    let name = fields
        .non_empty("sampler_name")
        .unwrap_or_else(|| fields.text("sampler_index"));
    let sampling = sampler::resolve(server.profile(), name, fields.non_empty("scheduler"))
        .ok_or_else(|| Failure::deliberate(StatusCode::NOT_FOUND, "Sampler not found"))?;

    place.turn().await;
    server.gpu().change(|state| {
        state.begin(source.job());
        state.renders += 1;
    });
    let result = generate(&server, &fields, sampling).await;
    server.gpu().change(State::end);
    // The place is given up only now: the next job begins when this one has left the card.
    drop(place);
    result
}

async fn generate(server: &Server, fields: &Fields, sampling: sampler::Sampling) -> Result<Answer, Failure> {
    let mut replaced = None;
    if let Value::Object(overrides) = fields.get("override_settings") {
        let mut overrides = overrides.clone();
        let named = overrides.get("sd_model_checkpoint").and_then(Value::as_str);
        match named.map(|name| server.find_model(name).map(crate::Model::title)) {
            Some(Some(title)) => drop(overrides.insert("sd_model_checkpoint".to_owned(), json!(title))),
            Some(None) => drop(overrides.shift_remove("sd_model_checkpoint")),
            None => {}
        }
        replaced = Some(server.settings().replace(&overrides)?);
    }
    let result = pictures(server, fields, sampling).await;
    if let Some(replaced) = replaced.filter(|_| fields.flag("override_settings_restore_afterwards")) {
        server.settings().restore(replaced);
    }
    result
}

async fn pictures(server: &Server, fields: &Fields, sampling: sampler::Sampling) -> Result<Answer, Failure> {
    if server.current_model().is_none() {
        return Err(no_checkpoint(&server.setup().root));
    }
    let plan = Plan::new(server, fields, sampling)?;
    let gpu = server.gpu();
    let stamp = gpu.change(|state| {
        state.job_count = i64::try_from(plan.batches).unwrap_or(i64::MAX);
        state.job_timestamp
    });
    let mut images = Vec::new();
    let mut infotexts = Vec::new();
    for batch in 0..plan.batches {
        let stopped = gpu.change(|state| {
            state.skipped = false;
            if plan.batches > 1 && !state.interrupted {
                state.job = format!("Batch {} out of {}", batch + 1, plan.batches);
            }
            state.interrupted
        });
        if stopped {
            break;
        }
        let first = batch * plan.batch_size;
        let scenes: Vec<_> = (first..first + plan.batch_size)
            .map(|index| plan.scene(index))
            .collect();
        let sampled = gpu
            .sample(
                plan.steps,
                Preview {
                    scenes: scenes.clone(),
                },
                None,
            )
            .await;
        for (index, scene) in (first..).zip(scenes) {
            let text = infotext(&plan, index);
            let with_text = server.settings().flag("enable_pnginfo").then(|| text.clone());
            let encoded = tokio::task::spawn_blocking(move || {
                let file = png_file::write(&scene.draw(sampled.steps), with_text.as_deref());
                STANDARD.encode(file)
            });
            images.push(
                encoded
                    .await
                    .map_err(|error| Failure::unexpected("RuntimeError", error.to_string()))?,
            );
            infotexts.push(text);
        }
        gpu.change(State::next_job);
    }
    let results = Results {
        infotexts,
        index_of_first_image: 0,
        job_timestamp: stamp.map_or_else(|| "0".to_owned(), crate::gpu::time_stamp),
    };
    if !fields.flag("send_images") {
        images.clear();
    }
    Ok(Answer::json(&json!({
        "images": images,
        "parameters": fields.echo(),
        "info": info(&plan, &results),
    })))
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
