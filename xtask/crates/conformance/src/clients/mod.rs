//! The published clients as black boxes: each plays the table's cases against the platform.
//!
//! Every case of every client has an endpoint of its own, so what the platform saw of a case is what
//! it saw of that endpoint, and all cases can run at the same time.

mod scripted;
pub(super) mod table;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use runpod_sdk::local::{EndpointSettings, LocalPlatform};
use serde::Deserialize;
use serde_json::{Value, json};
use support::process::{Line, Process};
use tokio::task::JoinSet;

use self::table::ClientCase;
use super::normal::Normal;
use super::report::{Row, Steps};
use super::setup::Kit;
use super::wire::Wire;
use super::{limit, record};

/// The key the platform asks for.
const KEY: &str = "conformance-key";
const WRONG_KEY: &str = "wrong-key";
/// How long `/runsync` waits where the table asks for a short wait and the client does not say.
const SHORT_WAIT: Duration = Duration::from_secs(1);

/// One of the published clients.
#[derive(Debug, Clone, Copy)]
pub(super) struct Client {
    /// Its name in the table.
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    language: Language,
    script: &'static str,
}

#[derive(Debug, Clone, Copy)]
enum Language {
    Python,
    JavaScript,
}

pub(super) const CLIENTS: [Client; 3] = [
    Client {
        id: "python",
        title: "Python client 1.12.0",
        language: Language::Python,
        script: "client_sync.py",
    },
    Client {
        id: "asyncio",
        title: "Python asyncio client 1.12.0",
        language: Language::Python,
        script: "client_asyncio.py",
    },
    Client {
        id: "javascript",
        title: "JavaScript client 1.1.2",
        language: Language::JavaScript,
        script: "client.mjs",
    },
];

/// A case as one client plays it.
#[derive(Debug, Clone)]
struct Task {
    case: ClientCase,
    endpoint: String,
}

/// Runs all clients at once and compares what they did with the table.
pub(super) async fn run(kit: &Kit, cases: &[ClientCase], steps: &Steps) -> anyhow::Result<Vec<Row>> {
    let tasks = CLIENTS.map(|client| (client, tasks(client, cases)));
    let mut builder = LocalPlatform::builder().api_key(KEY).record_calls(true);
    for task in tasks.iter().flat_map(|(_, tasks)| tasks) {
        if !task.case.unknown_endpoint {
            let mut settings = EndpointSettings::default();
            if task.case.short_wait {
                settings = settings.sync_wait(SHORT_WAIT);
            }
            builder = builder.endpoint_with(&task.endpoint, settings);
        }
    }
    let platform = Arc::new(builder.start().await.context("the platform did not start")?);
    let mut plays = JoinSet::new();
    for (client, tasks) in tasks {
        let program = Program::of(client, kit);
        let platform = Arc::clone(&platform);
        plays.spawn(async move { (client, play(client, program, platform, tasks).await) });
    }
    let mut rows = Vec::new();
    loop {
        let played = tokio::select! {
            played = plays.join_next() => played,
            // The clients end with the set of their plays.
            () = kit.stop.cancelled() => bail!("stopped"),
        };
        let Some(played) = played else { return Ok(rows) };
        let (client, played) = played.context("a client's cases broke off")?;
        let played = played.unwrap_or_else(|fault| vec![Row::broken(client.title, "all cases", &fault)]);
        steps.done(&played);
        rows.extend(played);
    }
}

fn tasks(client: Client, cases: &[ClientCase]) -> Vec<Task> {
    let known = cases.iter().filter(|case| case.expected_of(client.id).is_some());
    known
        .zip(1..)
        .map(|(case, number)| Task {
            case: case.clone(),
            endpoint: format!("{}-{number}", client.id),
        })
        .collect()
}

/// How a client is run.
#[derive(Debug)]
struct Program {
    interpreter: PathBuf,
    script: PathBuf,
    logs: PathBuf,
    /// Where a JavaScript client finds its packages; a Python interpreter knows.
    packages: PathBuf,
}

impl Program {
    fn of(client: Client, kit: &Kit) -> Self {
        let interpreter = match client.language {
            Language::Python => kit.python.clone(),
            Language::JavaScript => kit.node.clone(),
        };
        Self {
            interpreter,
            script: kit.scripts.join(client.script),
            logs: kit.logs.clone(),
            packages: kit.javascript.clone(),
        }
    }
}

/// Plays all cases of one client, each with its scripted worker.
async fn play(
    client: Client,
    program: Program,
    platform: Arc<LocalPlatform>,
    tasks: Vec<Task>,
) -> anyhow::Result<Vec<Row>> {
    let begun = Instant::now();
    let base = platform.client_base_url();
    let mut workers = JoinSet::new();
    let mut faults = BTreeMap::new();
    for task in tasks.iter().filter(|task| !task.case.worker.is_empty()) {
        let wire = Wire::new(&base, &task.endpoint, KEY)?;
        let (platform, name) = (Arc::clone(&platform), task.case.case.clone());
        let (endpoint, acts) = (task.endpoint.clone(), task.case.worker.clone());
        workers.spawn(async move {
            let played = scripted::play(platform, wire, endpoint, acts);
            let played = limit::within("the end of the scripted worker's job", played).await;
            (name, played.flatten())
        });
    }
    let process = program.start(client, &base, &tasks)?;
    let (returned, fault) = answers(&process, tasks.len()).await?;
    while let Some(played) = workers.join_next().await {
        let (case, outcome) = played.context("a scripted worker broke off")?;
        if let Err(fault) = outcome {
            faults.insert(case, format!("{fault:#}"));
        }
    }
    let time = begun.elapsed();
    tasks
        .iter()
        .map(|task| {
            let normal = Normal::new(&base, &task.endpoint);
            let expected = task
                .case
                .expected_of(client.id)
                .context("a case that the table lacks")?;
            let returned = returned.get(&task.case.case).map(|value| normal.value(value));
            let mut seen = json!({
                "returned": returned.or_else(|| fault.clone().map(Value::from)),
                "saw": saw(&platform, &task.endpoint, &normal),
            });
            if let Some(fault) = faults.get(&task.case.case) {
                seen["worker"] = Value::from(fault.as_str());
            }
            Ok(Row::new(
                client.title,
                &task.case.case,
                &expected.value(),
                seen,
                expected.note.clone(),
                time,
            ))
        })
        .collect()
}

impl Program {
    fn start(&self, client: Client, base: &str, tasks: &[Task]) -> anyhow::Result<Process> {
        let cases: Vec<Value> = tasks
            .iter()
            .map(|task| {
                json!({
                    "case": task.case.case,
                    "endpoint": task.endpoint,
                    "key": if task.case.wrong_key { WRONG_KEY } else { KEY },
                    "steps": task.case.steps,
                    "input": task.case.input,
                    "short_wait": task.case.short_wait,
                })
            })
            .collect();
        let file = self.logs.join(format!("{}.cases.json", client.id));
        fs::write(&file, Value::from(cases).to_string())
            .with_context(|| format!("cannot write {}", file.display()))?;
        let packages = self.packages.display().to_string();
        let environment = [
            ("RUNPOD_ENDPOINT_BASE_URL", base),
            ("CONFORMANCE_PACKAGES", &packages),
            ("NO_PROXY", "127.0.0.1"),
        ];
        Process::start(
            client.id,
            &self.interpreter,
            [&self.script, &file],
            environment.map(|(name, value)| (name.to_owned(), value.to_owned())),
            &self.logs,
        )
    }
}

/// What the client returned, by case, as its script tells line by line; and why that is not all, if it is not.
async fn answers(
    process: &Process,
    cases: usize,
) -> anyhow::Result<(BTreeMap<String, Value>, Option<String>)> {
    #[derive(Deserialize)]
    struct Answer {
        case: String,
        returned: Value,
    }
    let mut answers = BTreeMap::new();
    let found = process
        .line(limit::CLIENT, |line: &Line| {
            // The clients print lines of their own.
            if let Ok(answer) = serde_json::from_str::<Answer>(&line.text) {
                answers.insert(answer.case, answer.returned);
            }
            (answers.len() == cases).then_some(())
        })
        .await;
    match found {
        Ok(()) => Ok((answers, None)),
        Err(fault) if answers.is_empty() => bail!(
            "the {} client reported no case: {fault}\n{}",
            process.name(),
            process.tail().join("\n")
        ),
        Err(fault) => Ok((answers, Some(fault.to_string()))),
    }
}

/// The client's calls. A question that is repeated until the answer changes is shown once.
fn saw(platform: &LocalPlatform, endpoint: &str, normal: &Normal) -> Vec<String> {
    let mut calls = record::calls(platform, endpoint);
    calls.retain(|call| !record::is_workers(call));
    // A held call is answered late, but was made early.
    calls.sort_by_key(|call| call.at);
    let mut lines: Vec<_> = calls
        .iter()
        .map(|call| record::line(call, endpoint, normal))
        .collect();
    lines.dedup_by(|next, line| next == line && line.starts_with("GET "));
    lines
}
