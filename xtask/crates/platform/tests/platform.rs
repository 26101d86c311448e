//! `cargo xtask platform` as a script uses it.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use runpod_sdk::client::{EndpointClient, JobStatus};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

fn platform(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_platform"));
    command
        .args(arguments)
        .env_remove("RUNPOD_API_KEY")
        .stdin(Stdio::null());
    command
}

#[tokio::test]
async fn it_says_how_to_reach_it_takes_jobs_and_ends_when_told() {
    let mut child = platform(&["--listen", "127.0.0.1:0", "--endpoint", "painter", "--json"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut said = || -> Value { serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap() };

    let announcement = said();
    assert_eq!(announcement["endpoint"], "painter");
    let take = announcement["worker_env"]["RUNPOD_WEBHOOK_GET_JOB"]
        .as_str()
        .unwrap();
    assert!(take.contains("/v2/painter/job-take/$ID"), "{take}");
    let variable = |name: &str| announcement["client_env"][name].as_str();
    let client = EndpointClient::builder("painter")
        .base_url(variable("RUNPOD_ENDPOINT_BASE_URL").unwrap())
        .api_key(variable("RUNPOD_API_KEY").unwrap())
        .build()
        .unwrap();
    let job = client.run(&json!({ "prompt": "a cat" })).await.unwrap();
    assert_eq!(job.status().await.unwrap().status, JobStatus::InQueue);

    let id = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(id, Signal::TERM).unwrap();
    assert_eq!(said(), json!({ "violations": [] }));
    assert!(child.wait().unwrap().success());
}

#[test]
fn other_machines_are_not_let_in_without_a_key() {
    let refused = platform(&["--listen", "0.0.0.0:0"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let text = String::from_utf8(refused.stderr).unwrap();
    assert!(text.contains("an API key is required"), "{text}");
}
