//! `--rp_serve_api`: the example `hello` behind RunPod's API on this machine.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use runpod_sdk::client::EndpointClient;
use serde_json::{Value, json};

use super::example;

struct Server {
    process: Child,
    url: String,
    /// What it says after that it listens.
    lines: Receiver<String>,
}

impl Server {
    fn start(name: &str) -> Self {
        Self::start_with(name, &[])
    }

    /// Starts the example and waits for the line that says where it listens.
    fn start_with(name: &str, environment: &[(&str, &str)]) -> Self {
        Self::start_flagged(name, &["--rp_api_concurrency", "2"], environment)
    }

    /// The same with these flags alone.
    fn start_flagged(name: &str, flags: &[&str], environment: &[(&str, &str)]) -> Self {
        let flags = [&["--rp_serve_api", "--rp_api_port", "0"], flags].concat();
        Self::start_by(name, &flags, environment)
    }

    /// Starts the example with these flags, and no others.
    fn start_by(name: &str, flags: &[&str], environment: &[(&str, &str)]) -> Self {
        // This test's own client wants a provider for TLS that it never uses.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut process = Command::new(example(name))
            .args(flags)
            .env_clear()
            .envs(environment.iter().copied())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap());
        let url = loop {
            let mut line = String::new();
            assert_ne!(
                lines.read_line(&mut line).unwrap(),
                0,
                "it ended before it listened"
            );
            if let Some((_, rest)) = line.split_once("RunPod's API for this worker: ") {
                break rest.split_whitespace().next().unwrap().to_owned();
            }
        };
        // Whoever reads nothing any more must not stop a worker that logs.
        let (said, heard) = channel();
        std::thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                let _ = said.send(line);
            }
        });
        Self {
            process,
            url,
            lines: heard,
        }
    }

    /// What stands behind `prefix` on the next line that has it.
    fn hears(&self, prefix: &str) -> String {
        loop {
            let line = self
                .lines
                .recv_timeout(std::time::Duration::from_secs(30))
                .unwrap();
            if let Some((_, rest)) = line.split_once(prefix) {
                return rest.to_owned();
            }
        }
    }

    async fn post(&self, path: &str, body: &'static str) -> (u16, Value) {
        let request = reqwest::Client::new()
            .post(format!("{}{path}", self.url))
            .body(body);
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        (
            status,
            serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap(),
        )
    }

    /// Ctrl-C, and the exit code.
    fn stop(mut self) -> Option<i32> {
        let process = rustix::process::Pid::from_child(&self.process);
        rustix::process::kill_process(process, rustix::process::Signal::INT).unwrap();
        self.process.wait().unwrap().code()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test]
async fn hello_serves_runpods_api_and_the_unchanged_worker_does_the_work() {
    let server = Server::start("hello");
    let client = EndpointClient::builder("local")
        .base_url(format!("{}/v2", server.url))
        .api_key("any")
        .build()
        .unwrap();
    let greeting: String = client
        .run(&json!({ "name": "World" }))
        .await
        .unwrap()
        .output()
        .await
        .unwrap();
    assert_eq!(greeting, "Hello, World!");

    assert_eq!(server.stop(), Some(0));
}

#[tokio::test]
async fn the_routes_of_pythons_server_answer_as_they_did() {
    let server = Server::start("hello");
    let (status, answer) = server.post("/runsync", r#"{"input": {"name": "route"}}"#).await;
    assert_eq!((status, &answer["status"]), (200, &json!("COMPLETED")));
    assert_eq!(answer["output"], "Hello, route!");

    let (status, answer) = server.post("/run", r#"{"input": {"name": "later"}}"#).await;
    assert_eq!((status, &answer["status"]), (200, &json!("IN_QUEUE")));
    let status_of_it = format!("/status-sync/{}", answer["id"].as_str().unwrap());
    let (_, answer) = server.post(&status_of_it, "").await;
    assert_eq!(answer["output"], "Hello, later!");

    let (status, answer) = server.post("/runsync", r#"{"inputs": {}}"#).await;
    assert_eq!(status, 422);
    assert_eq!(answer["detail"][0]["loc"], json!(["body", "input"]));

    let (status, answer) = server.post("/status/nobody", "").await;
    assert_eq!(status, 200);
    assert_eq!(
        answer,
        json!({ "id": "nobody", "status": "FAILED", "error": "Job ID not found" })
    );
    let (status, _) = server.post("/v2/local/status/nobody", "").await;
    assert_eq!(
        status, 404,
        "with an endpoint in its path a route is the platform's"
    );
    assert_eq!(server.stop(), Some(0));
}

#[tokio::test]
async fn no_input_and_no_output_is_logged_below_trace() {
    let server = Server::start_with("hello", &[("RUNPOD_LOG_LEVEL", "DEBUG")]);
    let (_, answer) = server
        .post("/runsync", r#"{"input": {"name": "Rumpelstilzchen"}}"#)
        .await;
    assert_eq!(answer["output"], "Hello, Rumpelstilzchen!");
    let mut server = server;
    let lines = std::mem::replace(&mut server.lines, channel().1);
    assert_eq!(server.stop(), Some(0));
    let log: Vec<String> = lines.iter().collect();
    assert!(
        log.iter()
            .any(|line| line.contains("SIGINT received. Shutting down.")),
        "{log:?}"
    );
    let telling = log
        .iter()
        .find(|line| line.contains("Rumpelstilzchen") || line.contains("job_in_progress"));
    assert_eq!(telling, None, "neither payloads nor the URLs of polls");
}

#[tokio::test]
async fn adaptive_concurrency_rises_step_by_step_while_more_jobs_wait() {
    let server = Server::start_flagged("adaptive_concurrency", &[], &[("RUNPOD_LOG_LEVEL", "DEBUG")]);
    // Two end before the first step and four more before the second; the others are those that wait.
    for _ in 0..20 {
        let (status, answer) = server.post("/run", r#"{"input": 200}"#).await;
        assert_eq!((status, &answer["status"]), (200, &json!("IN_QUEUE")));
    }
    for step in ["from=1 to=2", "from=2 to=3"] {
        let change = server.hears("the concurrency changes ");
        assert!(change.starts_with(step), "{step}, not {change}");
    }
    assert_eq!(server.stop(), Some(0));
}

#[cfg(feature = "http-modes")]
#[tokio::test]
async fn jobs_run_side_by_side_in_the_background_are_cancelled_and_stream() {
    let server = Server::start("load_balancing");
    let mut jobs = Vec::new();
    for _ in 0..2 {
        let body = r#"{"input": {"text": "slow", "pause_ms": 600000}}"#;
        let (status, answer) = server.post("/run", body).await;
        assert_eq!((status, &answer["status"]), (200, &json!("IN_QUEUE")));
        jobs.push(answer["id"].as_str().unwrap().to_owned());
    }
    for _ in 0..2 {
        server.hears("Started.");
    }
    for job in &jobs {
        let answer = reqwest::get(format!("{}/status/{job}", server.url))
            .await
            .unwrap();
        let answer: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        assert_eq!(answer["status"], "IN_PROGRESS", "both, and GET is taken");
        let (_, answer) = server.post(&format!("/cancel/{job}"), "").await;
        assert_eq!(answer["status"], "CANCELLED");
    }
    let (_, answer) = server.post("/run", r#"{"input": {"text": "hi"}}"#).await;
    let stream = format!("{}/stream/{}", server.url, answer["id"].as_str().unwrap());
    let mut chunks = Vec::new();
    loop {
        let answer = reqwest::get(&stream).await.unwrap();
        let answer: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        chunks.extend(answer["stream"].as_array().unwrap().clone());
        if answer["status"] == "COMPLETED" {
            break;
        }
    }
    assert_eq!(chunks, [json!({ "output": "H" }), json!({ "output": "I" })]);
    let (_, answer) = server.post("/runsync", r#"{"input": {"text": "a!"}}"#).await;
    assert_eq!(
        answer["status"], "FAILED",
        "a stream that fails is an answer: {answer}"
    );
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn what_a_killed_worker_left_in_the_scratch_directory_is_removed() {
    let scratch = tempfile::tempdir().unwrap();
    let left = crate::leave_scratch(scratch.path());
    let server = Server::start_with(
        "hello",
        &[("RUNPOD_WORKER_SCRATCH", scratch.path().to_str().unwrap())],
    );
    server.hears("removed what a dead worker left");
    assert!(!left.exists());
}

#[cfg(feature = "metrics")]
#[tokio::test]
async fn observed_serves_its_figures_while_it_works() {
    let server = Server::start_with("observed", &[("RUNPOD_WORKER_METRICS", "0")]);
    let figures = server.hears("metrics: ");
    assert!(figures.starts_with("http://127.0.0.1:"), "{figures}");
    let (status, _) = server.post("/runsync", r#"{"input": 21}"#).await;
    assert_eq!(status, 200);
    let answer = reqwest::get(&figures).await.unwrap();
    let text = answer.text().await.unwrap();
    assert!(text.contains("\nrunpod_worker_jobs_taken_total 1\n"), "{text}");
    assert!(
        text.contains(r#"runpod_worker_jobs_finished_total{outcome="completed",code=""} 1"#),
        "{text}"
    );
    assert_eq!(server.stop(), Some(0));
    assert!(reqwest::get(&figures).await.is_err(), "it ends with its worker");
}

#[test]
fn a_port_in_use_is_named_with_the_flag_that_takes_another() {
    let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = held.local_addr().unwrap().port().to_string();
    let output = Command::new(example("hello"))
        .args(["--rp_serve_api", "--rp_api_port", &port])
        .env_clear()
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains(&format!("can't listen on 127.0.0.1:{port}: ")),
        "{text}"
    );
    assert!(text.contains("choose another port with --rp_api_port"), "{text}");
}

#[tokio::test]
async fn a_variable_asks_for_the_platform_where_there_is_none() {
    let server = Server::start_by("hello", &[], &[("RUNPOD_WORKER_SERVE_API", "0")]);
    let (_, answer) = server.post("/runsync", r#"{"input": {"name": "pod"}}"#).await;
    assert_eq!(answer["output"], "Hello, pod!");
    assert_eq!(server.stop(), Some(0));
}

#[tokio::test]
async fn ctrl_c_while_a_job_runs_says_what_is_waited_for() {
    let mut server = Server::start("progress");
    let (_, answer) = server.post("/run", r#"{"input": {"steps": 1000000}}"#).await;
    let id = answer["id"].as_str().unwrap().to_owned();
    server.hears("Started.");
    let process = rustix::process::Pid::from_child(&server.process);
    let interrupt = || rustix::process::kill_process(process, rustix::process::Signal::INT).unwrap();
    interrupt();
    let rest = server.hears(&format!("waiting at most 600s for {id} "));
    assert!(rest.contains("a second signal leaves at once"), "{rest}");
    interrupt();
    assert_eq!(server.process.wait().unwrap().code(), Some(1));
}

#[tokio::test]
async fn a_worker_that_asks_to_be_replaced_is_followed_by_a_fresh_process_on_the_same_platform() {
    let server = Server::start_with("hello", &[("RUNPOD_WORKER_REFRESH", "true")]);
    for name in [r#"{"input": {"name": "one"}}"#, r#"{"input": {"name": "two"}}"#] {
        let (_, answer) = server.post("/runsync", name).await;
        assert_eq!(answer["status"], "COMPLETED", "{answer}");
        server.hears("a fresh worker process replaces the worker that asked for it");
        server.hears("--- Starting Serverless Worker |");
    }
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn a_fresh_process_ends_with_a_platform_that_is_killed() {
    let mut server = Server::start_with("hello", &[("RUNPOD_WORKER_REFRESH", "true")]);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(server.post("/runsync", r#"{"input": {"name": "one"}}"#));
    server.hears("a fresh worker process replaces the worker that asked for it");
    server.hears("INFO   | started: ");
    server.process.kill().unwrap();
    server.process.wait().unwrap();
    let lines = std::mem::replace(&mut server.lines, channel().1);
    // The log ends when the last process that writes to it has.
    assert!(
        lines
            .iter()
            .any(|line| line.contains("SIGTERM received. Shutting down."))
    );
}
