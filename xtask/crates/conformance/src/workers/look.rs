//! What the platform saw of a worker, as it is compared with the table.

use std::collections::BTreeSet;
use std::process::ExitStatus;
use std::time::Duration;

use runpod_sdk::local::{LocalPlatform, RecordedCall};
use serde_json::{Map, Value, json};

use super::table::Look;
use crate::normal::Normal;
use crate::record;

/// The headers in which workers could differ.
const HEADERS: [&str; 6] = [
    "accept-encoding",
    "authorization",
    "charset",
    "content-type",
    "user-agent",
    "x-request-id",
];

/// What is known at the end of a worker's life.
#[derive(Debug)]
pub(super) struct Ended {
    /// The jobs' ids, and what clients see of them in the end.
    pub(super) jobs: Vec<(String, Value)>,
    pub(super) exit: ExitStatus,
    /// It got a signal to end.
    pub(super) terminated: bool,
    /// Polls for jobs answered by then.
    pub(super) takes: usize,
    pub(super) time: Duration,
}

/// What the platform saw of a worker that has ended.
#[derive(Debug)]
pub(super) struct Seen {
    endpoint: String,
    normal: Normal,
    calls: Vec<RecordedCall>,
    violations: Vec<String>,
    exit: ExitStatus,
    /// The worker got a signal to end.
    terminated: bool,
    /// Polls for jobs answered by then.
    takes: usize,
}

impl Seen {
    pub(super) fn of(platform: &LocalPlatform, endpoint: &str, ended: &Ended) -> Self {
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
            exit: ended.exit,
            terminated: ended.terminated,
            takes: ended.takes,
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
            Look::EndedItself => Value::from(!self.terminated),
            Look::WaitsForPolls => {
                let takes = self.calls.iter().filter(|call| record::is_take(call));
                Value::from(takes.count() > self.takes)
            }
            Look::Call(operation) => self.calls_of(operation).next().map(|call| self.head(call)).into(),
            Look::Headers(operation) => self
                .calls_of(operation)
                .next()
                .map(|call| self.headers(call))
                .into(),
            Look::Pings => self.pings(""),
            Look::PingsAboutJobs => self.pings("job_id"),
            Look::JobsTaken => {
                let with_a_job = self
                    .calls_of("job-take")
                    .filter(|call| call.status.as_u16() == 200);
                Value::from(with_a_job.count())
            }
        }
    }

    fn calls_of(&self, operation: &str) -> impl Iterator<Item = &RecordedCall> {
        self.calls
            .iter()
            .filter(move |call| record::operation(call) == operation)
    }

    fn head(&self, call: &RecordedCall) -> String {
        record::head(call, &self.endpoint, &self.normal)
    }

    /// The pings that say a certain thing, each kind once.
    fn pings(&self, what: &str) -> Value {
        let pings = self
            .calls_of("ping")
            .filter(|call| call.path_and_query.contains(what));
        let kinds: BTreeSet<_> = pings.map(|call| self.head(call)).collect();
        kinds.into_iter().collect()
    }

    fn headers(&self, call: &RecordedCall) -> Map<String, Value> {
        let header = |name: &&str| {
            let value = self.normal.plain(&record::header(call, name)?);
            // Versions are not compared.
            let value = match *name {
                "user-agent" => value.split('/').next().unwrap_or_default().to_owned(),
                _ => value,
            };
            Some(((*name).to_owned(), Value::from(value)))
        };
        HEADERS.iter().filter_map(header).collect()
    }
}
