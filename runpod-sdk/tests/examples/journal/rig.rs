//! A platform on a clock moved by hand, workers that are real processes, and a gate that results must pass.

use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::routing::post;
use runpod_sdk::local::{Clock, EndpointSettings, LocalPlatform, ManualClock};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::watch;

use crate::example;

const EP: &str = "ep";
/// Everything here happens within a second or so, and a test must not wait for ever.
const LIMIT: Duration = Duration::from_mins(2);

/// What becomes of results on their way to the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Open,
    /// Answered with 503.
    Refused,
    /// Not answered.
    Silent,
}

pub(super) struct Rig {
    pub(super) platform: LocalPlatform,
    clock: ManualClock,
    way: watch::Sender<Way>,
    gate: String,
    journal: TempDir,
    http: reqwest::Client,
}

impl Rig {
    /// With this way for results at first.
    pub(super) async fn new(way: Way) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .no_proxy()
            .tls_certs_only([])
            .build()
            .unwrap();
        let clock = Clock::manual();
        let patient = EndpointSettings::default().retry_limit(10);
        let platform = LocalPlatform::builder()
            .endpoint_with(EP, patient)
            .clock(clock.clone())
            .record_calls(true)
            .start()
            .await
            .unwrap();
        let way = watch::Sender::new(way);
        let gate = Gate {
            way: way.subscribe(),
            platform: platform.url(),
            http: http.clone(),
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(post(Gate::pass)).with_state(gate);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self {
            platform,
            clock,
            way,
            gate: address,
            journal: tempfile::tempdir().unwrap(),
            http,
        }
    }

    pub(super) fn results_are(&self, way: Way) {
        self.way.send_replace(way);
    }

    /// A folder of the journal.
    pub(super) fn folder(&self, name: &str) -> PathBuf {
        self.journal.path().join("v1").join(EP).join(name)
    }

    /// The files in one of them that wait for something.
    pub(super) fn files(&self, folder: &str) -> Vec<PathBuf> {
        let files = std::fs::read_dir(self.folder(folder)).unwrap();
        let mut files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
        files.retain(|file| !file.to_str().unwrap().ends_with("@delivered"));
        files
    }

    /// Queues a job.
    pub(super) async fn submit(&self, input: Value) -> String {
        let url = format!("{}/{EP}/run", self.platform.client_base_url());
        let body = json!({ "input": input }).to_string();
        let answer = self.http.post(url).body(body).send().await.unwrap();
        let answer: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        answer["id"].as_str().unwrap().to_owned()
    }

    /// Waits for a job's end.
    pub(super) async fn finished(&self, id: &str) -> Value {
        let url = format!("{}/{EP}/status-sync/{id}", self.platform.client_base_url());
        let asking = async {
            let answer = self.http.get(url).send().await.unwrap();
            serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
        };
        tokio::time::timeout(LIMIT, asking).await.expect("the job ends")
    }

    /// Waits for a job's end and for what the handler makes of so many pages.
    pub(super) async fn is_printed(&self, id: &str, pages: usize) {
        let job = self.finished(id).await;
        assert_eq!(job["status"], "COMPLETED", "{job}");
        assert_eq!(job["output"], "page\n".repeat(pages));
    }

    /// The platform hears nothing of its jobs for so long that it queues them again.
    pub(super) fn loses_patience(&self) {
        self.clock.advance(Duration::from_secs(41));
    }

    /// Starts the worker on this pod.
    pub(super) fn start(&self, pod: &str) -> Life {
        self.start_by(Command::new(example("journal")), pod)
    }

    /// Starts it by this command.
    pub(super) fn start_by(&self, mut command: Command, pod: &str) -> Life {
        let environment = self
            .platform
            .worker_env(EP, pod)
            .into_iter()
            .map(|(name, value)| {
                let value = match name.as_str() {
                    "RUNPOD_WEBHOOK_POST_OUTPUT" => value.replace(&self.platform.url(), &self.gate),
                    "RUNPOD_PING_INTERVAL" => "1000".to_owned(),
                    _ => value,
                };
                (name, value)
            });
        let mut process = command
            .env_clear()
            .envs(environment)
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("RUNPOD_LOG_LEVEL", "DEBUG")
            .env("RUNPOD_WORKER_JOURNAL", self.journal.path())
            .env("RUNPOD_WORKER_SCRATCH", self.journal.path().join("scratch"))
            // Where a process that aborts may leave its memory.
            .current_dir(self.journal.path())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Life {
            process,
            lines,
            said: Vec::new(),
        }
    }

    /// A life in which a job's result comes as far as the journal before the process is killed.
    pub(super) async fn dies_before_delivery(&self, pod: &str, pages: usize) -> String {
        let mut life = self.start(pod);
        let id = self.submit(json!({ "pages": pages })).await;
        life.hears("the result is in the journal").await;
        life.kill().await;
        id
    }
}

/// One worker's process.
pub(super) struct Life {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
    said: Vec<String>,
}

impl Life {
    /// The next line of its log with `text` in it.
    pub(super) async fn hears(&mut self, text: &str) -> String {
        loop {
            let line = tokio::time::timeout(LIMIT, self.lines.next_line()).await;
            match line {
                Ok(Ok(Some(line))) => {
                    self.said.push(line.clone());
                    if line.contains(text) {
                        return line;
                    }
                }
                _ => panic!("it never said {text:?}, but:\n{}", self.said.join("\n")),
            }
        }
    }

    /// SIGKILL.
    pub(super) async fn kill(mut self) {
        self.process.kill().await.unwrap();
    }

    /// Waits until it has ended by itself, and tells by which signal.
    pub(super) async fn dies(mut self) -> Option<i32> {
        let ended = tokio::time::timeout(LIMIT, self.process.wait()).await;
        ended.expect("it ends").unwrap().signal()
    }

    /// SIGTERM, a good end, and all it has said in its life.
    pub(super) async fn drained(mut self) -> String {
        let process = Pid::from_raw(i32::try_from(self.process.id().unwrap()).unwrap()).unwrap();
        kill_process(process, Signal::TERM).unwrap();
        let ending = async {
            while let Some(line) = self.lines.next_line().await.unwrap() {
                self.said.push(line);
            }
            self.process.wait().await.unwrap()
        };
        let status = tokio::time::timeout(LIMIT, ending).await.expect("it ends");
        let said = self.said.join("\n");
        assert_eq!(status.code(), Some(0), "{said}");
        said
    }
}

/// How often the handler ran.
pub(super) fn runs(said: &str) -> usize {
    said.matches("printing").count()
}

#[derive(Clone)]
struct Gate {
    way: watch::Receiver<Way>,
    platform: String,
    http: reqwest::Client,
}

impl Gate {
    async fn pass(State(mut gate): State<Self>, uri: Uri, headers: HeaderMap, body: Bytes) -> StatusCode {
        let way = *gate.way.wait_for(|way| *way != Way::Silent).await.unwrap();
        if way == Way::Refused {
            return StatusCode::SERVICE_UNAVAILABLE;
        }
        let request = gate
            .http
            .post(format!("{}{uri}", gate.platform))
            .header("authorization", &headers["authorization"])
            .header("content-type", &headers["content-type"])
            .body(body);
        request.send().await.unwrap().status()
    }
}
