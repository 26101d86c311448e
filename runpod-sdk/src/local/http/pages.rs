//! What a person or a tool sees who looks at the platform itself rather than at an endpoint.

use std::fmt::Write as _;

use axum::response::{Html, IntoResponse, Redirect, Response};
use serde_json::json;

use super::body::Json;

/// Operations of clients with the method most of them use and what they do.
const OPERATIONS: [(&str, &str, &str); 10] = [
    ("post", "run", "queue a job and answer at once"),
    ("post", "runsync", "queue a job and wait for its end; ?wait=ms"),
    ("get", "status/{id}", "a job as it is now"),
    ("get", "status-sync/{id}", "a job once it has ended; ?wait=ms"),
    (
        "get",
        "stream/{id}",
        "the chunks of a job that nobody has read yet",
    ),
    ("post", "cancel/{id}", "take a job out of the queue, or stop it"),
    ("post", "retry/{id}", "queue a failed job again"),
    ("post", "purge-queue", "cancel all queued jobs"),
    ("get", "health", "count jobs and workers"),
    ("get", "requests", "list jobs; ?status=FAILED&limit=10"),
];

/// Answers paths outside of any endpoint; `None` for those that mean nothing.
pub(crate) fn page<'a>(path: &str, endpoints: impl Iterator<Item = &'a str>) -> Option<Response> {
    match path {
        "/" => Some(Html(overview(endpoints)).into_response()),
        "/docs" => Some(Redirect::temporary("/").into_response()),
        "/openapi.json" => Some(schema(endpoints)),
        _ => None,
    }
}

/// Endpoint ids are letters, digits and three marks, so they need no escaping.
fn overview<'a>(endpoints: impl Iterator<Item = &'a str>) -> String {
    let mut page = String::from(
        "<!doctype html><meta charset=utf-8><title>Local RunPod platform</title><h1>Local RunPod platform</h1>",
    );
    for endpoint in endpoints {
        // Writing to a string cannot fail.
        let _ = write!(page, "<h2>{endpoint}</h2><ul>");
        for (method, operation, does) in OPERATIONS {
            let method = method.to_uppercase();
            let _ = write!(
                page,
                "<li><code>{method} /v2/{endpoint}/{operation}</code>: {does}"
            );
        }
        page.push_str("</ul>");
    }
    page.push_str("<p>With a single endpoint, <code>/v2/…</code> may be left out.");
    page
}

fn schema<'a>(endpoints: impl Iterator<Item = &'a str>) -> Response {
    let mut paths = serde_json::Map::new();
    for endpoint in endpoints {
        for (method, operation, does) in OPERATIONS {
            let answer = json!({"summary": does, "responses": {"200": {"description": "JSON"}}});
            paths.insert(format!("/v2/{endpoint}/{operation}"), json!({ method: answer }));
        }
    }
    let schema = json!({
        "openapi": "3.1.0",
        "info": {"title": "Local RunPod platform", "version": env!("CARGO_PKG_VERSION")},
        "paths": paths,
    });
    let mut json = Json::default();
    json.text(&schema.to_string());
    json.into_ok()
}
