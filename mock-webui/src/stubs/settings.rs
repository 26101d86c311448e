//! Reading and changing settings (§9).

use futures_util::FutureExt;
use serde_json::{Map, Value, json};

use super::route::Route;
use crate::answer::{Answer, Failure};
use crate::server::Server;

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get("/sdapi/v1/options", |server, _| {
            Ok(Answer::json(&Value::Object(server.settings().all())))
        }),
        Route::post_open("/sdapi/v1/options", |server, body| set(server, body).boxed()),
    ]
}

async fn set(server: Server, mut body: Map<String, Value>) -> Result<Answer, Failure> {
    let mut loads = false;
    if let Some(name) = body.get("sd_model_checkpoint").and_then(Value::as_str) {
        let Some(model) = server.find_model(name) else {
            return Err(Failure::unexpected(
                "RuntimeError",
                format!("model '{name}' not found"),
            ));
        };
        loads = server.current_model() != Some(model);
        body.insert("sd_model_checkpoint".to_owned(), json!(model.title()));
    }
    let place = loads.then(|| server.gpu().take_place());
    if let Some(place) = &place {
        place.turn().await;
    }
    for (key, value) in body {
        server.settings().set(&key, value)?;
    }
    Ok(Answer::null())
}
