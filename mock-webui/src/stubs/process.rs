//! The process itself: memory, checkpoint in and out, documentation pages, stopping (§2).

use futures_util::FutureExt;
use http::StatusCode;
use serde_json::{Map, Value, json};

use super::control::done;
use super::openapi;
use super::route::{Call, Later, Route};
use crate::answer::{Answer, Failure};
use crate::gpu::QueuePlace;
use crate::profile::{Family, Profile};
use crate::server::Server;

pub(crate) fn routes(server: &Server) -> Vec<Route> {
    let mut routes = vec![
        Route::get("/sdapi/v1/memory", |server, _| {
            Ok(Answer::json(&server.memory().to_json()))
        }),
        Route::post("/sdapi/v1/unload-checkpoint", |server, _| {
            server.memory().unload();
            Ok(done(server, &json!({})))
        }),
        Route::post("/sdapi/v1/reload-checkpoint", |server, _| {
            let title = server.current_model().map(crate::Model::title);
            if let Some(title) = title {
                server.memory().load(title, 0.0);
            }
            Ok(done(server, &json!({})))
        }),
        Route::get("/docs", |server, _| Ok(docs(server))).open_to_all(),
        Route::get("/redoc", |_, _| {
            Ok(Answer::html(include_str!("../../data/redoc.html")))
        })
        .open_to_all(),
        Route::listing("/openapi.json", |server, routes| {
            Answer::json(&openapi::page(server, routes))
        })
        .open_to_all(),
    ];
    for path in [
        "/sdapi/v1/refresh-checkpoints",
        "/sdapi/v1/refresh-vae",
        "/sdapi/v1/refresh-loras",
    ] {
        routes.push(Route::post_locked(path, refresh));
    }
    let embeddings = Route::post_locked("/sdapi/v1/refresh-embeddings", refresh);
    routes.push(
        embeddings
            .since(Profile::V1_9_3)
            .only(&[Family::A1111, Family::Forge]),
    );
    for path in ["/sdapi/v1/create/embedding", "/sdapi/v1/create/hypernetwork"] {
        routes.push(Route::post_open(path, training).only(&[Family::A1111, Family::Forge]));
    }
    for path in ["/sdapi/v1/train/embedding", "/sdapi/v1/train/hypernetwork"] {
        routes.push(Route::post_open(path, training).only(&[Family::A1111]));
    }
    if server.setup().stop_routes && !server.profile().is_sd_next() {
        routes.extend(stop_routes());
    }
    routes
}

fn stop_routes() -> [Route; 3] {
    [
        Route::post("/sdapi/v1/server-kill", |server, _| {
            server.die();
            Ok(Answer::null())
        }),
        Route::post("/sdapi/v1/server-restart", |_, _| {
            Ok(Answer::raw(StatusCode::NOT_IMPLEMENTED, None, ""))
        }),
        Route::post("/sdapi/v1/server-stop", |_, _| {
            Ok(Answer::text(StatusCode::OK, "Stopping."))
        }),
    ]
}

/// The page of the routes. Forge's newer framework loads another version of its viewer.
fn docs(server: &Server) -> Answer {
    match server.profile().family() {
        Family::A1111 => Answer::html(include_str!("../../data/docs.html")),
        Family::Forge => Answer::html(
            include_str!("../../data/docs.html").replace("swagger-ui-dist@4", "swagger-ui-dist@5.9.0"),
        ),
        Family::SdNext => Answer::html(include_str!("../../data/sd-next/docs.html")),
    }
}

/// Waits for the lock, and finds what it found before.
fn refresh(call: Call<QueuePlace>) -> Later {
    async move {
        call.input.turn().await;
        Ok(done(&call.server, &Value::Null))
    }
    .boxed()
}

fn training(call: Call<Map<String, Value>>) -> Later {
    async move {
        let name = call
            .input
            .get("name")
            .or_else(|| call.input.get("embedding_name"));
        match name.and_then(Value::as_str) {
            Some(name) => Ok(Answer::json(
                &json!({ "info": format!("create embedding filename: {name}.pt") }),
            )),
            None => Err(Failure::unexpected(
                "TypeError",
                "create_embedding() missing 1 required positional argument: 'name'",
            )),
        }
    }
    .boxed()
}
