//! The commands of a client.

use std::process::Output;

use serde_json::{Value, json};

use crate::support::{Local, WORKER, command};

/// Runs a command against the platform.
async fn run(local: &Local, arguments: &[&str]) -> Output {
    let mut command = command(arguments);
    command.envs(&local.announcement.client_env);
    tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn with_worker() -> Local {
    Local::start(&[], &["python3", "-u", WORKER])
}

#[tokio::test]
async fn a_submitted_job_prints_its_output_and_its_end_is_the_exit_code() {
    let local = with_worker();
    let done = run(&local, &["submit", "{}"]).await;
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
    let output: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(output["worker"], "worker-1");

    let done = run(&local, &["submit", "--json", r#"{"fail": "it broke"}"#]).await;
    assert_eq!(done.status.code(), Some(1));
    let job: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(
        (&job["status"], &job["error"]),
        (&json!("FAILED"), &json!("it broke"))
    );
}

#[tokio::test]
async fn a_job_is_looked_at_cancelled_and_not_found() {
    let local = Local::start(&[], &[]);
    let done = run(&local, &["submit", "--detach", "{}"]).await;
    let id = text(&done.stdout).trim().to_owned();
    let status = run(&local, &["status", "--json", &id]).await;
    let job: Value = serde_json::from_slice(&status.stdout).unwrap();
    assert_eq!(job, json!({"id": id, "status": "IN_QUEUE"}));
    assert_eq!(run(&local, &["cancel", &id]).await.status.code(), Some(0));
    assert_eq!(run(&local, &["watch", &id]).await.status.code(), Some(3));
    let unknown = run(&local, &["status", "nowhere"]).await;
    assert_eq!(unknown.status.code(), Some(5));
    assert!(
        text(&unknown.stderr).contains("unknown"),
        "{}",
        text(&unknown.stderr)
    );
}

#[tokio::test]
async fn a_test_case_is_replayed_and_its_end_compared() {
    let folder = tempfile::tempdir().unwrap();
    let local = with_worker();
    let replay = async |case: Value| {
        let file = folder.path().join("case.json");
        std::fs::write(&file, case.to_string()).unwrap();
        run(&local, &["replay", file.to_str().unwrap()]).await
    };
    assert_eq!(replay(json!({"input": {}})).await.status.code(), Some(0));
    let expect = json!({"status": "FAILED"});
    let same = replay(json!({"input": {"fail": "as ever"}, "expect": expect})).await;
    assert_eq!(same.status.code(), Some(0), "{}", text(&same.stderr));
    let other = replay(json!({"input": {}, "expect": expect})).await;
    assert_eq!(other.status.code(), Some(1));
    assert!(text(&other.stderr).contains("expected FAILED, and it ended as COMPLETED"));
}

#[tokio::test]
async fn the_lines_of_a_job_are_printed_until_it_has_ended() {
    let local = with_worker();
    let input = json!({"say": "grüße"}).to_string();
    let id = text(&run(&local, &["submit", "--detach", &input]).await.stdout)
        .trim()
        .to_owned();
    let logs = run(&local, &["logs", "--follow", &id]).await;
    assert_eq!(logs.status.code(), Some(0), "{}", text(&logs.stderr));
    assert_eq!(text(&logs.stdout), "INFO  Started.\ngrüße\n");
    let unknown = run(&local, &["logs", "nowhere"]).await;
    assert_eq!(unknown.status.code(), Some(5));
}

#[tokio::test]
async fn a_load_is_bounded_and_counts_every_job_with_what_became_of_it() {
    let local = with_worker();
    let load = [
        "load",
        "--jobs",
        "12",
        "--concurrency",
        "4",
        "--price",
        "1",
        "--json",
        "{}",
    ];
    let done = run(&local, &load).await;
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
    let report: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(
        (&report["submitted"], &report["completed"]),
        (&json!(12), &json!(12))
    );
    assert!(
        report["latency"]["p99"].as_f64() >= report["latency"]["p50"].as_f64(),
        "{report}"
    );
    assert!(report["cost"].is_f64(), "{report}");

    let failing = run(&local, &["load", "--jobs", "3", r#"{"fail": "no"}"#]).await;
    assert_eq!(failing.status.code(), Some(1));
    let report = text(&failing.stdout);
    assert!(
        report.starts_with("0 of 3 jobs completed") && report.contains("3 × FAILED"),
        "{report}"
    );
}

#[test]
fn shells_are_told_what_there_is() {
    let script = command(&["completions", "bash"]).output().unwrap();
    let script = text(&script.stdout);
    assert!(
        script.contains("--workers-max") && script.contains("submit"),
        "{script}"
    );
}
