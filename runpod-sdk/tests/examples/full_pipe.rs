//! Workers whose standard output is a pipe that is full and that nothing reads.

use std::io::{BufRead as _, BufReader, ErrorKind, PipeReader, PipeWriter, Write as _, pipe};
use std::process::{Child, Command};
use std::time::Duration;

use runpod_sdk::local::LocalPlatform;
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::example;

const EP: &str = "ep";
const LIMIT: Duration = Duration::from_mins(1);
/// The heartbeats for which each test waits, one in 250 ms.
const HEARTBEATS: usize = 4;

/// A full pipe. Its writer blocks until the reader reads, or is dropped.
fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, mut writer) = pipe().unwrap();
    fcntl_setfl(&writer, OFlags::NONBLOCK).unwrap();
    for size in [4096, 1] {
        let full = loop {
            if let Err(error) = writer.write_all(&vec![b'x'; size]) {
                break error;
            }
        };
        assert_eq!(full.kind(), ErrorKind::WouldBlock);
    }
    fcntl_setfl(&writer, OFlags::empty()).unwrap();
    (reader, writer)
}

async fn platform() -> LocalPlatform {
    let _ = rustls::crypto::ring::default_provider().install_default();
    LocalPlatform::builder()
        .endpoint(EP)
        .record_calls(true)
        .start()
        .await
        .unwrap()
}

/// Runs a job and returns its status and output.
async fn run_job(platform: &LocalPlatform) -> (Value, Value) {
    let client = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([])
        .build()
        .unwrap();
    let answer = client
        .post(format!("{}/{EP}/runsync", platform.client_base_url()))
        .body(json!({ "input": { "name": "World" } }).to_string())
        .send();
    let answer = timeout(LIMIT, answer).await.expect("the job ends").unwrap();
    let mut job: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    (job["status"].take(), job["output"].take())
}

fn pings(platform: &LocalPlatform) -> usize {
    let calls = platform.recorded_calls();
    calls
        .iter()
        .filter(|call| call.path_and_query.contains("/ping/"))
        .count()
}

/// Sends SIGTERM and returns the exit code.
async fn terminated(mut worker: Child) -> Option<i32> {
    let id = Pid::from_child(&worker);
    kill_process(id, Signal::TERM).unwrap();
    let waiting = tokio::task::spawn_blocking(move || worker.wait().unwrap().code());
    let Ok(ended) = timeout(LIMIT, waiting).await else {
        kill_process(id, Signal::KILL).unwrap();
        panic!("it runs on after SIGTERM");
    };
    ended.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standard_output_that_is_not_read_stops_neither_jobs_nor_heartbeats_nor_sigterm() {
    for level in ["INFO", "DEBUG"] {
        let platform = platform().await;
        let (reader, writer) = full_pipe();
        let worker = Command::new(example("hello"))
            .env_clear()
            .envs(platform.worker_env(EP, "w1"))
            .env("RUNPOD_PING_INTERVAL", "250")
            .env("RUNPOD_LOG_LEVEL", level)
            .stdout(writer)
            .spawn()
            .unwrap();
        let jobs_until_heartbeats = async {
            let mut jobs = 0;
            while pings(&platform) < HEARTBEATS {
                assert_eq!(
                    run_job(&platform).await,
                    (json!("COMPLETED"), json!("Hello, World!"))
                );
                jobs += 1;
            }
            jobs
        };
        let jobs = timeout(LIMIT, jobs_until_heartbeats)
            .await
            .expect("heartbeats go on");
        assert!(jobs > 0);
        assert_eq!(platform.violations(), []);
        assert_eq!(terminated(worker).await, Some(0), "{level}");
        drop(reader);
    }
}

/// The result of a local job is no log line: the worker waits for its reader, and hears signals meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn a_signal_ends_a_local_test_whose_result_is_not_read() {
    let here = tempfile::tempdir().unwrap();
    // More than a pipe holds.
    let job = json!({ "input": { "name": "x".repeat(1 << 20) } });
    std::fs::write(here.path().join("test_input.json"), job.to_string()).unwrap();
    let (reader, writer) = pipe().unwrap();
    let worker = Command::new(example("hello"))
        .current_dir(here.path())
        .env_clear()
        .env("RUNPOD_WORKER_SCRATCH", here.path())
        .stdout(writer)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(reader);
    let mut said = Vec::new();
    while !said.ends_with(b"Job result:") {
        assert_ne!(lines.read_until(b':', &mut said).unwrap(), 0);
    }
    // Nothing is read from here on.
    assert_eq!(terminated(worker).await, Some(143));
}
