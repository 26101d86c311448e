//! The lists: models, samplers, schedulers and their kin (§2).

use serde_json::{Map, Value, json};

use super::route::Route;
use crate::answer::Answer;
use crate::catalogue::sampler;
use crate::profile::Profile;
use crate::server::Server;

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get("/sdapi/v1/sd-models", |server, _| {
            let setup = server.setup();
            Ok(Answer::json(
                &setup
                    .models
                    .iter()
                    .map(|model| model.to_json(&setup.root))
                    .collect(),
            ))
        }),
        Route::get("/sdapi/v1/samplers", |server, _| {
            Ok(Answer::json(&sampler::samplers_json(server.profile())))
        }),
        Route::get("/sdapi/v1/schedulers", |server, _| {
            Ok(Answer::json(&sampler::schedulers_json(server.profile())))
        })
        .since(Profile::V1_9_3),
        Route::get("/sdapi/v1/cmd-flags", |server, _| {
            Ok(Answer::json(&Value::Object(cmd_flags(server))))
        }),
    ]
}

/// The command line that this server would have been started with.
fn cmd_flags(server: &Server) -> Map<String, Value> {
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
    flags
}
