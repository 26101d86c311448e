//! Faults from the command line, a file and the console.

use runpod_client::JobStatus;
use serde_json::{Value, json};

use crate::support::{Local, WORKER, command, http};

fn faults(state: &Value) -> Option<Vec<String>> {
    let faults = state["faults"].as_array()?.iter();
    let words = |fault: &Value| {
        format!(
            "{} struck {}",
            fault["fault"].as_str().unwrap_or_default(),
            fault["struck"]
        )
    };
    Some(faults.map(words).collect())
}

#[tokio::test]
async fn faults_come_from_the_flag_and_from_a_file_and_strike_real_workers() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bad-day");
    std::fs::write(&file, "# a bad day\n\nslow-network:1ms\n").unwrap();
    let file = format!("@{}", file.display());
    let options = ["--fault", "deliver-twice:done*1", "--fault", &file];
    let local = Local::start(&options, &["python3", "-u", WORKER]);
    assert_eq!(
        local.client().run_sync(&json!({})).await.unwrap().status,
        JobStatus::Completed
    );
    let struck = |state: &Value| faults(state).filter(|faults| faults[0] == "deliver-twice:done*1 struck 1");
    local.watch("events", struck).await;
}

#[tokio::test]
async fn a_fault_is_switched_on_and_off_by_the_console() {
    let local = Local::start(&[], &[]);
    let url = format!("{}/console/api/faults", local.announcement.url);
    let add = async |fault: &str| {
        http()
            .post(&url)
            .json(&json!({ "fault": fault }))
            .send()
            .await
            .unwrap()
    };
    assert_eq!(add("lose-result*2").await.status(), 202);
    let shown = |wanted: &'static [&'static str]| {
        move |state: &Value| faults(state).filter(|faults| faults == wanted)
    };
    local.watch("events", shown(&["lose-result*2 struck 0"])).await;
    let refused = add("explode").await;
    assert_eq!(refused.status(), 400);
    let words: Value = refused.json().await.unwrap();
    assert!(
        words["error"].as_str().unwrap().contains("is no fault"),
        "{words}"
    );
    let removed = http().delete(format!("{url}/1")).send().await.unwrap();
    assert_eq!(removed.status(), 202);
    local.watch("events", shown(&[])).await;
}

#[test]
fn a_fault_that_is_none_stops_the_start() {
    let done = command(&["--listen", "127.0.0.1:0", "--fault", "explode"])
        .output()
        .unwrap();
    assert_eq!(done.status.code(), Some(1));
    let text = String::from_utf8(done.stderr).unwrap();
    assert!(text.contains("`refuse-result:500*3`"), "{text}");
}
