//! Reading and changing settings (§9).

use futures_util::FutureExt;
use serde_json::{Map, Value, json};

use super::route::{Call, Route};
use crate::answer::{Answer, Failure};
use crate::faults::ActiveFaults;
use crate::server::Server;

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get("/sdapi/v1/options", |server, _| {
            Ok(Answer::json(&Value::Object(server.settings().all())))
        }),
        Route::post_open("/sdapi/v1/options", |call| set(call).boxed()),
    ]
}

async fn set(call: Call<Map<String, Value>>) -> Result<Answer, Failure> {
    let Call {
        server,
        input: mut body,
        faults,
    } = call;
    if server.profile().is_sd_next() {
        return Ok(set_of_sd_next(&server, &faults, body).await);
    }
    if server.setup().frozen_settings {
        return Err(Failure::unexpected(
            "AssertionError",
            "changing settings is disabled",
        ));
    }
    if let Some(name) = body
        .get("sd_model_checkpoint")
        .and_then(Value::as_str)
        .map(str::to_owned)
    {
        let Some(model) = server.find_model(&name) else {
            return Err(Failure::unexpected(
                "RuntimeError",
                format!("model '{name}' not found"),
            ));
        };
        if server.current_model() == Some(model) {
            body.insert("sd_model_checkpoint".to_owned(), json!(model.title()));
        } else {
            // Loading happens under the lock that generations take.
            let place = server.gpu().take_place();
            place.turn().await;
            server.switch_model(model, &faults);
            body.shift_remove("sd_model_checkpoint");
        }
    }
    for (key, value) in body {
        server.settings().set(&key, value)?;
    }
    server.settings().save();
    Ok(Answer::null())
}

/// SD.Next takes any key and any value, and says which of them were changes. An unknown checkpoint leaves it without a
/// model.
async fn set_of_sd_next(server: &Server, faults: &ActiveFaults, body: Map<String, Value>) -> Answer {
    let mut updated = Vec::new();
    for (key, value) in body {
        let changed = *server.settings().get(&key) != value;
        updated.push(json!({ key.as_str(): changed }));
        let model = value.as_str().and_then(|name| server.find_model(name));
        match model.filter(|_| key == "sd_model_checkpoint") {
            Some(model) => {
                let place = server.gpu().take_place();
                place.turn().await;
                server.switch_model(model, faults);
            }
            None => server.settings().set_own(&key, value),
        }
    }
    server.settings().save();
    Answer::json(&json!({ "updated": updated }))
}
