//! The pages about the platform itself, for people and tools: an overview and `/openapi.json`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use axum::response::{Html, IntoResponse, Redirect, Response};
use serde_json::json;

use crate::endpoint::Endpoint;
use crate::json::JsonWriter;

/// Violations shown per endpoint, the latest first.
const SHOWN: usize = 20;

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
pub(crate) fn page(path: &str, endpoints: &BTreeMap<String, Arc<Endpoint>>) -> Option<Response> {
    match path {
        "/" => Some(Html(overview(endpoints)).into_response()),
        "/docs" => Some(Redirect::temporary("/").into_response()),
        "/openapi.json" => Some(schema(endpoints.keys())),
        _ => None,
    }
}

/// Counts, operations and, in red, what workers did against the protocol.
fn overview(endpoints: &BTreeMap<String, Arc<Endpoint>>) -> String {
    let mut page = String::from(
        "<!doctype html><meta charset=utf-8><title>Local RunPod platform</title><h1>Local RunPod platform</h1>",
    );
    // Writing to a string cannot fail. Endpoint ids need no escaping: letters, digits and three marks.
    for (id, endpoint) in endpoints {
        let (counts, violations) = endpoint.with(|store, now| (store.counts(now), store.violations()));
        let _ = write!(
            page,
            "<h2>{id}</h2><p>{} queued, {} running, {} completed, {} failed<ul>",
            counts.in_queue, counts.in_progress, counts.completed, counts.failed
        );
        for (method, operation, does) in OPERATIONS {
            let method = method.to_uppercase();
            let _ = write!(page, "<li><code>{method} /v2/{id}/{operation}</code>: {does}");
        }
        page.push_str("</ul>");
        for violation in violations.iter().rev().take(SHOWN) {
            let seconds = violation.at.as_secs_f64();
            let _ = write!(
                page,
                "<p style=color:red>{seconds:.1} s: {}",
                escaped(&violation.to_string())
            );
        }
    }
    page.push_str("<p>With a single endpoint, <code>/v2/…</code> may be left out.");
    page
}

/// Ids of workers and jobs come from outside.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

fn schema<'a>(endpoints: impl Iterator<Item = &'a String>) -> Response {
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
    let mut json = JsonWriter::default();
    json.text(&schema.to_string());
    json.into_ok()
}
