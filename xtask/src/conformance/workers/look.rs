//! What the platform saw of a worker, as it is compared with the table.

use std::process::ExitStatus;

use runpod_sdk::local::{LocalPlatform, RecordedCall};
use serde_json::{Map, Value, json};

use super::table::Look;
use crate::conformance::normal::Normal;
use crate::conformance::record;

/// The headers in which workers could differ.
const HEADERS: [&str; 6] = [
    "accept-encoding",
    "authorization",
    "charset",
    "content-type",
    "user-agent",
    "x-request-id",
];

/// All there is to know of a worker that has ended.
#[derive(Debug)]
pub(super) struct Seen {
    endpoint: String,
    normal: Normal,
    calls: Vec<RecordedCall>,
    violations: Vec<String>,
    exit: ExitStatus,
    /// Takes answered before the worker was told to end.
    polls: usize,
}

impl Seen {
    pub(super) fn of(platform: &LocalPlatform, endpoint: &str, exit: ExitStatus, polls: usize) -> Self {
        let mut calls = record::calls(platform, endpoint);
        calls.retain(record::is_workers);
        calls.sort_by_key(|call| call.at);
        let violations = platform.violations();
        Self {
            endpoint: endpoint.to_owned(),
            normal: Normal::new(&platform.client_base_url(), endpoint).worker(endpoint),
            calls,
            violations: violations
                .iter()
                .filter(|violation| violation.worker == endpoint)
                .map(|violation| violation.kind.to_string())
                .collect(),
            exit,
            polls,
        }
    }

    /// What the worker posted about a job, and what clients see of it.
    pub(super) fn job(&self, id: &str, view: &Value) -> Value {
        let posts: Vec<_> = self
            .calls
            .iter()
            .filter(|call| {
                matches!(record::operation(call), "job-done" | "job-stream")
                    && call.path_and_query.contains(id)
            })
            .map(|call| self.post(call))
            .collect();
        let mut client = Map::new();
        for key in ["status", "output", "error"] {
            if let Some(value) = view.get(key) {
                client.insert(key.to_owned(), self.normal.value(value));
            }
        }
        json!({ "posts": posts, "client": client })
    }

    /// `{"job-done isStream=false": BODY}`
    fn post(&self, call: &RecordedCall) -> Value {
        let stream = call.path_and_query.rsplit('&').next().unwrap_or_default();
        let body = serde_json::from_slice(&call.body).map_or_else(
            |_| Value::from(String::from_utf8_lossy(&call.body)),
            |body| self.normal.value(&body),
        );
        Value::from_iter([(format!("{} {stream}", record::operation(call)), body)])
    }

    pub(super) fn look(&self, look: &Look) -> Value {
        match look {
            Look::End => json!({ "exit": self.exit.code(), "violations": self.violations }),
            Look::Calls => self.kinds(|operation| operation != "ping").into(),
            Look::Pings => self.kinds(|operation| operation == "ping").into(),
            Look::Headers(operation) => self.headers(operation),
            Look::WaitsForPolls => {
                let takes = self
                    .calls
                    .iter()
                    .filter(|call| record::operation(call).starts_with("job-take"));
                Value::from(takes.count() > self.polls)
            }
        }
    }

    /// The calls without their bodies, sorted, each kind once.
    fn kinds(&self, wanted: impl Fn(&str) -> bool) -> Vec<String> {
        let mut lines: Vec<_> = self
            .calls
            .iter()
            .filter(|call| wanted(record::operation(call)))
            .map(|call| record::head(call, &self.endpoint, &self.normal))
            .collect();
        lines.sort();
        lines.dedup();
        lines
    }

    fn headers(&self, operation: &str) -> Value {
        let Some(call) = self
            .calls
            .iter()
            .find(|call| record::operation(call) == operation)
        else {
            return Value::Null;
        };
        HEADERS
            .iter()
            .filter_map(|name| {
                let value = self.normal.plain(&record::header(call, name)?);
                // Versions are not compared.
                let value = match *name {
                    "user-agent" => value.split('/').next().unwrap_or_default().to_owned(),
                    _ => value,
                };
                Some(((*name).to_owned(), Value::from(value)))
            })
            .collect::<Map<_, _>>()
            .into()
    }
}
