//! The page that the web framework makes of the routes: `/openapi.json`, as far as clients read it.

use serde_json::{Map, Value, json};

use super::route::Route;
use crate::profile::Profile;
use crate::request::{Field, Mode, generation, sd_next};
use crate::server::Server;

/// The page for the routes that this server has.
pub(super) fn page(server: &Server, routes: &[Route]) -> Value {
    let mut paths = Map::new();
    for route in routes {
        let operation = json!({
            "summary": route.path.rsplit('/').next(),
            "operationId": format!("{}_{}", route.path.trim_matches('/').replace(['/', '-'], "_"), route.method.to_lowercase()),
            "responses": { "200": { "description": "Successful Response" } },
        });
        let operation = with_body(operation, route.path);
        let entry = paths.entry(route.path).or_insert_with(|| json!({}));
        entry[route.method.to_lowercase()] = operation;
    }
    let schemas: Map<String, Value> = SCHEMAS
        .iter()
        .map(|(_, name, mode)| ((*name).to_owned(), schema(name, *mode, server.profile())))
        .collect();
    json!({
        "openapi": "3.0.2",
        "info": { "title": "FastAPI", "version": "0.1.0" },
        "paths": paths,
        "components": { "schemas": schemas },
    })
}

/// Routes whose fields the page lists, with the real server's names for their bodies.
const SCHEMAS: [(&str, &str, Mode); 2] = [
    (
        "/sdapi/v1/txt2img",
        "StableDiffusionTxt2ImgProcessingAPI",
        Mode::Txt2Img,
    ),
    (
        "/sdapi/v1/img2img",
        "StableDiffusionImg2ImgProcessingAPI",
        Mode::Img2Img,
    ),
];

fn with_body(mut operation: Value, path: &str) -> Value {
    if let Some((_, name, _)) = SCHEMAS.iter().find(|(route, _, _)| *route == path) {
        let schema = json!({ "$ref": format!("#/components/schemas/{name}") });
        operation["requestBody"] =
            json!({ "content": { "application/json": { "schema": schema } }, "required": true });
    }
    operation
}

/// The fields of a generation, those of other versions included.
fn fields_of(mode: Mode, profile: Profile) -> &'static [Field] {
    match (mode, profile.is_sd_next()) {
        (Mode::Txt2Img, true) => &sd_next::TXT2IMG,
        (Mode::Img2Img, true) => &sd_next::IMG2IMG,
        (Mode::Txt2Img, false) => &generation::TXT2IMG,
        (Mode::Img2Img, false) => &generation::IMG2IMG,
    }
}

/// The fields that this version knows, with their defaults.
fn schema(name: &str, mode: Mode, profile: Profile) -> Value {
    let properties: Map<String, Value> = fields_of(mode, profile)
        .iter()
        .filter(|field| field.since <= profile)
        .map(|field| {
            let default: Value = field
                .default
                .and_then(|text| serde_json::from_str(text).ok())
                .unwrap_or_default();
            (field.name.to_owned(), json!({ "default": default }))
        })
        .collect();
    json!({ "title": name, "type": "object", "properties": properties })
}
