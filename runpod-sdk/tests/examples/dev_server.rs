//! `--rp_serve_api`: the example `hello` behind RunPod's API on this machine.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};

use runpod_sdk::client::EndpointClient;
use serde_json::json;

use super::example;

struct Server {
    process: Child,
    url: String,
}

impl Server {
    /// Starts the example and waits for the line that says where it listens.
    fn start(name: &str) -> Self {
        let mut process = Command::new(example(name))
            .args([
                "--rp_serve_api",
                "--rp_api_port",
                "0",
                "--rp_api_concurrency",
                "2",
            ])
            .env_clear()
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
        std::thread::spawn(move || lines.read_to_end(&mut Vec::new()));
        Self { process, url }
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

    // Python's routes have no /v2 and no endpoint in them.
    let answer = reqwest::Client::new()
        .post(format!("{}/runsync", server.url))
        .body(r#"{"input": {"name": "route"}}"#)
        .send()
        .await
        .unwrap();
    let answer: serde_json::Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    assert_eq!(answer["status"], "COMPLETED");
    assert_eq!(answer["output"], "Hello, route!");
    assert_eq!(server.stop(), Some(0));
}
