//! Worker processes: started, restarted, scaled, replaced, ended.

use std::io::{ErrorKind, Read as _};
use std::net::TcpListener;

use runpod_client::JobStatus;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::{LIMIT, Local, WORKER, command};

const PYTHON: &[&str] = &["python3", "-u", WORKER];

#[tokio::test]
async fn a_worker_gets_the_platforms_variables_and_no_keys_of_others() {
    let mut command = command(&[
        "--listen",
        "127.0.0.1:0",
        "--json",
        "--env",
        "ASKED",
        "--env",
        "SET=x=y",
    ]);
    command
        .env("ASKED", "yes")
        .env("HF_TOKEN", "secret")
        .env("SD_WORKER_TEST", "passes");
    let local = Local::start_command(&mut command, PYTHON);
    let names = [
        "RUNPOD_POD_ID",
        "RUNPOD_ENDPOINT_ID",
        "ASKED",
        "SET",
        "HF_TOKEN",
        "SD_WORKER_TEST",
    ];
    let report = local.client().run_sync(&json!({ "env": names })).await.unwrap();
    let output: Value = report.output().unwrap();
    assert_eq!(
        output["env"],
        json!({
            "RUNPOD_POD_ID": "worker-1", "RUNPOD_ENDPOINT_ID": "local", "ASKED": "yes", "SET": "x=y",
            "HF_TOKEN": null, "SD_WORKER_TEST": "passes",
        })
    );
}

#[tokio::test]
async fn a_worker_that_crashes_is_started_again_and_its_job_is_done() {
    let folder = tempfile::tempdir().unwrap();
    let local = Local::start(&[], PYTHON);
    let marker = folder.path().join("crashed");
    let report = local
        .client()
        .run_sync(&json!({ "crash_unless": marker }))
        .await
        .unwrap();
    assert_eq!((report.status, report.retries), (JobStatus::Completed, 1));
    let starts = local
        .watch("events", |state| {
            state["workers"][0]["starts"]
                .as_u64()
                .filter(|starts| *starts > 1)
        })
        .await;
    assert_eq!(starts, 2);
}

#[tokio::test]
async fn a_worker_that_leaves_by_itself_comes_back() {
    let local = Local::start(&[], PYTHON);
    let client = local.client();
    for _ in 0..2 {
        let report = client.run_sync(&json!({ "leave": true })).await.unwrap();
        assert_eq!((report.status, report.retries), (JobStatus::Completed, 0));
    }
}

/// The states of the workers as the console shows them.
fn states(state: &Value) -> Option<Vec<String>> {
    let workers = state["workers"].as_array()?;
    let state = |worker: &Value| worker["state"].as_str().map(str::to_owned);
    workers.iter().map(state).collect()
}

#[tokio::test]
async fn workers_are_started_for_a_queue_and_drained_when_it_is_empty() {
    let scaling = [
        "--workers-min",
        "0",
        "--workers-max",
        "2",
        "--scale-by",
        "requests:1",
        "--idle-timeout",
        "100ms",
    ];
    let local = Local::start(&scaling, PYTHON);
    let client = local.client();
    let jobs = [
        client.run(&json!({"sleep": 1})).await.unwrap(),
        client.run(&json!({"sleep": 1})).await.unwrap(),
    ];
    local
        .watch("events", |state| {
            states(state).filter(|states| *states == ["running", "running"])
        })
        .await;
    for job in jobs {
        assert_eq!(job.wait().await.unwrap().status, JobStatus::Completed);
    }
    local
        .watch("events", |state| {
            states(state).filter(|states| *states == ["stopped", "stopped"])
        })
        .await;
    let late = client.run_sync(&json!({})).await.unwrap();
    assert_eq!(late.status, JobStatus::Completed, "the next job starts one again");
}

#[tokio::test]
async fn new_code_does_the_job_that_old_code_had() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("worker.py");
    let code = std::fs::read_to_string(WORKER).unwrap();
    std::fs::write(&script, &code).unwrap();
    let local = Local::start(
        &["--restart-on-change"],
        &["python3", "-u", script.to_str().unwrap()],
    );
    let job = local
        .client()
        .run(&json!({ "hang_in": ["first"] }))
        .await
        .unwrap();
    local
        .watch("events", |state| {
            (state["jobs"][0]["status"] == "IN_PROGRESS").then_some(())
        })
        .await;
    std::fs::write(&script, code.replace("\"first\"", "\"second\"")).unwrap();
    let report = tokio::time::timeout(LIMIT, job.wait()).await.unwrap().unwrap();
    assert_eq!(report.retries, 0, "it was no fault of the job");
    assert_eq!(report.output::<Value>().unwrap()["version"], "second");
}

#[tokio::test]
async fn a_worker_that_is_frozen_answers_when_it_is_thawed_and_one_that_is_killed_is_replaced() {
    let local = Local::start(&[], PYTHON);
    let running = |state: &Value| states(state).filter(|states| *states == ["running"]);
    local
        .watch("events", |state| {
            (state["workers"][0]["ready"] == true).then_some(())
        })
        .await;
    local.order("worker-1", "freeze").await;
    local
        .watch("events", |state| {
            states(state).filter(|states| *states == ["frozen"])
        })
        .await;
    let job = local.client().run(&json!({})).await.unwrap();
    local.order("worker-1", "thaw").await;
    local.watch("events", running).await;
    assert_eq!(job.wait().await.unwrap().status, JobStatus::Completed);

    local.order("worker-1", "kill").await;
    let exit = local
        .watch("events", |state| {
            state["workers"][0]["last_exit"].as_str().map(str::to_owned)
        })
        .await;
    assert!(exit.contains("signal: 9"), "{exit}");
    assert_eq!(
        local.client().run_sync(&json!({})).await.unwrap().status,
        JobStatus::Completed
    );
}

#[tokio::test]
async fn workers_die_with_the_command_however_it_ends() {
    for signal in [Signal::TERM, Signal::KILL] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let alive = format!("ALIVE={}", listener.local_addr().unwrap().port());
        let local = Local::start(&["--env", &alive], PYTHON);
        let (mut connection, _) = listener.accept().unwrap();
        connection.set_read_timeout(Some(LIMIT)).unwrap();
        let mut up = [0; 3];
        connection.read_exact(&mut up).unwrap();
        local.signal(signal);
        let end = connection.read(&mut up);
        let reset = end
            .as_ref()
            .is_err_and(|problem| problem.kind() == ErrorKind::ConnectionReset);
        assert!(reset || matches!(end, Ok(0)), "{signal:?}: {end:?}");
        drop(local);
    }
}
