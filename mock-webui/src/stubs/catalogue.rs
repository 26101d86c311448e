//! The lists: models, samplers, schedulers and their kin (§2).

use serde_json::{Map, Value, json};
use wiremock::Request;

use super::route::Route;
use crate::answer::{Answer, Failure};
use crate::catalogue::{sampler, upscaler};
use crate::profile::{Family, Profile};
use crate::render::scripts;
use crate::server::Server;

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get("/sdapi/v1/sd-models", |server, _| Ok(Answer::json(&models(server)))),
        Route::get("/sdapi/v1/samplers", |server, _| {
            Ok(Answer::json(&sampler::samplers_json(server.profile())))
        }),
        Route::get("/sdapi/v1/schedulers", schedulers).since(Profile::V1_9_3),
        Route::get("/sdapi/v1/cmd-flags", cmd_flags),
        Route::get("/sdapi/v1/upscalers", |server, _| {
            Ok(Answer::json(&upscaler::upscalers_json(server.profile())))
        }),
        Route::get("/sdapi/v1/latent-upscale-modes", |_, _| {
            Ok(Answer::json(
                &upscaler::latent_modes()
                    .iter()
                    .map(|name| json!({ "name": name }))
                    .collect(),
            ))
        })
        .only(&[Family::A1111, Family::Forge]),
        Route::get("/sdapi/v1/sd-vae", |server, _| Ok(Answer::json(&vaes(server))))
            .only(&[Family::A1111, Family::SdNext]),
        Route::get("/sdapi/v1/sd-modules", |server, _| {
            Ok(Answer::json(&vaes(server)))
        })
        .only(&[Family::Forge]),
        Route::get("/sdapi/v1/hypernetworks", |server, _| {
            let setup = server.setup();
            let entry = |name: &String| json!({ "name": name, "path": format!("{}/models/hypernetworks/{name}.pt", setup.root) });
            Ok(Answer::json(
                &setup.installed.hypernetworks.iter().map(entry).collect(),
            ))
        })
        .only(&[Family::A1111, Family::Forge]),
        Route::get("/sdapi/v1/face-restorers", |_, _| {
            Ok(Answer::json(
                &["CodeFormer", "GFPGAN"]
                    .map(|name| json!({ "name": name, "cmd_dir": null }))
                    .into(),
            ))
        })
        .only(&[Family::A1111, Family::Forge]),
        Route::get("/sdapi/v1/face-restorers", |_, _| Ok(Answer::json(&json!([]))))
            .only(&[Family::SdNext]),
        Route::get("/sdapi/v1/realesrgan-models", |_, _| {
            let models = include_str!("../../data/realesrgan-models.json");
            Ok(Answer::json(
                &serde_json::from_str(models).expect("the file is JSON"),
            ))
        })
        .only(&[Family::A1111, Family::Forge]),
        Route::get("/sdapi/v1/prompt-styles", |server, _| {
            let entry = if server.profile().is_sd_next() {
                crate::Style::to_sd_next_json
            } else {
                crate::Style::to_json
            };
            Ok(Answer::json(
                &server.setup().installed.styles.iter().map(entry).collect(),
            ))
        }),
        Route::get("/sdapi/v1/embeddings", |server, _| {
            Ok(Answer::json(&embeddings(server)))
        }),
        Route::get("/sdapi/v1/scripts", |server, _| {
            Ok(Answer::json(&scripts::list(server)))
        }),
        Route::get("/sdapi/v1/script-info", |server, _| {
            Ok(Answer::json(&scripts::info(server)))
        }),
        Route::get("/sdapi/v1/extensions", |server, _| {
            Ok(Answer::json(&extensions(server)))
        })
        .since(Profile::V1_8),
        Route::get("/sdapi/v1/loras", |server, _| {
            let setup = server.setup();
            Ok(Answer::json(
                &setup
                    .installed
                    .loras
                    .iter()
                    .map(|lora| lora.to_json(&setup.root))
                    .collect(),
            ))
        }),
    ]
}

fn models(server: &Server) -> Value {
    let setup = server.setup();
    let models = &setup.installed.models;
    if server.profile().is_sd_next() {
        // Sorted, whichever is loaded.
        let mut list: Vec<_> = models.iter().map(crate::Model::to_sd_next_json).collect();
        list.sort_by_key(|entry| entry["title"].to_string());
        return list.into();
    }
    models.iter().map(|model| model.to_json(&setup.root)).collect()
}

/// SD.Next fails on describing its own schedulers.
fn schedulers(server: &Server, _: &Request) -> Result<Answer, Failure> {
    if server.profile().is_sd_next() {
        let text = "1 validation error:\n  {'type': 'model_attributes_type', 'loc': ('response', 0), 'msg': 'Input \
                    should be a valid dictionary or object to extract fields from'}";
        return Err(Failure::unexpected("ResponseValidationError", text));
    }
    Ok(Answer::json(&sampler::schedulers_json(server.profile())))
}

fn vaes(server: &Server) -> Value {
    let setup = server.setup();
    let entry = |name: &String| json!({ "model_name": name, "filename": format!("{}/models/VAE/{name}", setup.root) });
    setup.installed.vaes.iter().map(entry).collect()
}

fn embeddings(server: &Server) -> Value {
    if server.profile().is_sd_next() {
        let installed = &server.setup().installed;
        return json!({ "loaded": installed.embeddings, "skipped": installed.skipped_embeddings });
    }
    let entry = |name: &String| {
        let details = json!({
            "step": null, "sd_checkpoint": null, "sd_checkpoint_name": null, "shape": 768, "vectors": 2,
        });
        (name.clone(), details)
    };
    let loaded: Map<String, Value> = server.setup().installed.embeddings.iter().map(entry).collect();
    let skipped: Map<String, Value> = server
        .setup()
        .installed
        .skipped_embeddings
        .iter()
        .map(entry)
        .collect();
    json!({ "loaded": loaded, "skipped": skipped })
}

fn extensions(server: &Server) -> Value {
    let mut installed = Vec::new();
    if server.setup().batch_extension.is_some() {
        // A folder that is no git checkout.
        installed.push(json!({
            "name": "sd-worker-batch-jobs", "remote": null, "branch": null, "commit_hash": null, "version": "",
            "commit_date": null, "enabled": true,
        }));
    }
    if !server.setup().installed.controlnets.is_empty() {
        installed.push(controlnet());
    }
    Value::Array(installed)
}

fn controlnet() -> Value {
    json!({
        "name": "sd-webui-controlnet",
        "remote": "https://github.com/Mikubill/sd-webui-controlnet.git",
        "branch": "main",
        "commit_hash": "56cec5b2958edf3b1807b7e7b2b1b5186dbd2f81",
        "version": "56cec5b2",
        "commit_date": 1_721_886_405,
        "enabled": true,
    })
}

/// The command line that this server would have been started with. Forge's answer does not pass its own check as soon
/// as a port is given.
fn cmd_flags(server: &Server, _: &Request) -> Result<Answer, Failure> {
    if server.profile().is_forge() {
        let text = "1 validation errors:\n  {'type': 'string_type', 'loc': ('response', 'port'), 'msg': 'Input should \
                    be a valid string', 'input': 7861}\n";
        return Err(Failure::unexpected("ResponseValidationError", text));
    }
    if server.profile().is_sd_next() {
        let recorded = include_str!("../../data/sd-next/cmd-flags.json");
        let flags: Value = serde_json::from_str(recorded).expect("the file is a JSON object");
        return Ok(Answer::json(&flags));
    }
    let mut flags = recorded_flags(server);
    if server.profile() < Profile::V1_10_1 {
        flags.shift_remove("models_dir");
    }
    Ok(Answer::json(&Value::Object(flags)))
}

fn recorded_flags(server: &Server) -> Map<String, Value> {
    let recorded = include_str!("../../data/cmd-flags.json");
    let mut flags: Map<String, Value> = serde_json::from_str(recorded).expect("the file is a JSON object");
    let setup = server.setup();
    for value in flags.values_mut() {
        if let Some(path) = value
            .as_str()
            .and_then(|text| text.strip_prefix("/stable-diffusion-webui"))
        {
            *value = json!(format!("{}{path}", setup.root));
        }
    }
    if let Some(model) = setup.installed.models.first() {
        flags["ckpt"] = model.to_json(&setup.root)["filename"].take();
    }
    let credentials: Vec<_> = setup
        .credentials
        .iter()
        .map(|(user, password)| format!("{user}:{password}"))
        .collect();
    flags["api_auth"] = if credentials.is_empty() {
        Value::Null
    } else {
        json!(credentials.join(","))
    };
    flags["nowebui"] = json!(!setup.web_page);
    flags["api_server_stop"] = json!(setup.stop_routes);
    flags["freeze_settings"] = json!(setup.frozen_settings);
    // A server with --no-hashing, as the recorded one, has no hashes of LoRAs.
    let hashes = setup.installed.loras.iter().any(|lora| lora.hash().is_some());
    flags["no_hashing"] = json!(!hashes);
    flags
}
