//! A WebUI that the worker starts: ready when it has rendered, and gone when the worker is.

use std::time::Duration;

use serde_json::json;

use crate::support::owned::{exists, gone, started};
use crate::support::{EXAMPLE, OwnedWebUi, Stage, soon};

const SMALL: &str = r#"{"prompt": "x", "steps": 1, "width": 64, "height": 64}"#;

fn log_of_level<'a>(log: &'a str, level: &str) -> Vec<&'a str> {
    let level = format!("\"level\": \"{level}\"");
    log.lines().filter(|line| line.contains(&level)).collect()
}

/// The start report has these phases, in this order.
fn assert_phases(report: &str, phases: &[&str]) {
    let mut from = 0;
    for phase in phases {
        from += report[from..]
            .find(&format!("{phase}=+"))
            .unwrap_or_else(|| panic!("no {phase}: {report}"));
    }
}

/// The worker ends with 1 and the cause, after the last words of its WebUI, which is gone; it has taken no job.
/// Returns the line with the cause.
async fn assert_given_up(mut stage: Stage, cause: &str, last_words: &str) -> String {
    let job = stage.submit(SMALL).await;
    assert_eq!(stage.worker.exit().await.code(), Some(1));
    let told = stage.worker.says(cause).await;
    stage.worker.says("lines of the WebUI's log:").await;
    let line = stage.worker.says(&format!("| {last_words}")).await;
    assert!(line.contains("\"level\": \"ERROR\""), "{line}");
    assert!(!exists(started(&stage.worker)[0]));
    assert_eq!(soon(job.status()).await.unwrap().status.as_str(), "IN_QUEUE");
    told
}

#[tokio::test]
async fn it_is_ready_when_it_has_rendered_and_ends_with_the_worker() {
    let webui = OwnedWebUi::new("--ready-after 200ms --model-after 300ms");
    let mut stage = webui.stage(&[("SD_WORKER_WARM_UP", "on")]).await;
    let report = stage.worker.says("WebUI start:").await;
    assert_phases(&report, &["spawned", "port_open", "api_answers", "model_loaded"]);
    stage.complete(SMALL).await;
    assert_eq!(webui.gpu().await["renders"], 2, "the warm-up and the job");

    let process = started(&stage.worker)[0];
    stage.worker.signal("TERM").await;
    assert_eq!(stage.worker.exit().await.code(), Some(0));
    assert!(!exists(process), "ended and reaped before the worker");
}

#[tokio::test]
async fn a_checkpoint_is_read_while_the_webui_starts_and_the_log_says_so() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("model.safetensors"), "weights").unwrap();
    let webui = OwnedWebUi::new("--ready-after 200ms");
    let path = folder.path().to_str().unwrap();
    let stage = webui.stage(&[("SD_WORKER_READ_AHEAD", path)]).await;
    let line = stage.worker.says("models read ahead: ").await;
    assert!(
        line.contains("model.safetensors") && line.contains("bytes=7"),
        "{line}"
    );
    stage.worker.says("WebUI start: spawned=").await;
    stage.complete(EXAMPLE).await;
    stage.worker.says("first job done: +").await;
}

#[tokio::test]
async fn each_render_of_a_warm_up_list_is_made_before_the_first_job() {
    let webui = OwnedWebUi::new("");
    let list = r#"[{"prompt": "one", "steps": 2, "width": 64, "height": 64}, {"prompt": "two", "steps": 3, "width": 64, "height": 64}]"#;
    let stage = webui.stage(&[("SD_WORKER_WARM_UP", list)]).await;
    let report = stage.worker.says("WebUI start:").await;
    assert_phases(
        &report,
        &["spawned", "port_open", "api_answers", "model_loaded", "warmed_up"],
    );
    let gpu = webui.gpu().await;
    assert_eq!((&gpu["renders"], &gpu["steps_done"]), (&json!(2), &json!(5)));
    stage.complete(SMALL).await;
    assert_eq!(webui.gpu().await["renders"], 3, "and the job");
}

#[tokio::test]
async fn a_warm_up_that_is_refused_ends_the_worker_with_its_number_and_the_cause() {
    let webui = OwnedWebUi::new("");
    let list =
        r#"[{"prompt": "one", "steps": 1, "width": 64, "height": 64}, {"prompt": "two", "steps": "many"}]"#;
    let stage = webui.stage(&[("SD_WORKER_WARM_UP", list)]).await;
    assert_given_up(
        stage,
        "warm-up 2 failed: the WebUI refused the parameters (HTTP 422): steps: value is not a valid integer",
        "mock-webui listening on",
    )
    .await;
}

#[tokio::test]
async fn one_that_lives_and_never_opens_its_port_is_given_up_at_the_deadline() {
    let directory = tempfile::tempdir().unwrap();
    let scenario = json!({ "faults": [{ "kind": "never-ready" }] });
    let webui = OwnedWebUi::broken(&scenario, directory.path(), "");
    let command = format!("sh -c 'echo loading for ever; exec {}'", webui.command);
    let variables = [
        ("SD_WORKER_WEBUI_COMMAND", command.as_str()),
        ("SD_WORKER_READY_TIMEOUT", "2s"),
    ];
    let stage = Stage::with(&webui.url, &variables).await;
    assert_given_up(stage, "was not ready after 2s", "loading for ever").await;
}

#[tokio::test]
async fn its_log_comes_with_levels_and_without_secrets() {
    let webui = OwnedWebUi::new("");
    let command = format!(
        "sh -c 'echo loading weights; echo \"WARNING: slow disk\" >&2; echo my $HF_TOKEN; exec {}'",
        webui.command
    );
    let variables = [
        ("SD_WORKER_WEBUI_COMMAND", command.as_str()),
        ("HF_TOKEN", "hf_verysecret"),
        ("SD_WORKER_WEBUI_ENV", "HF_TOKEN"),
    ];
    let stage = Stage::with(&webui.url, &variables).await;
    stage.worker.says("my [secret]").await;
    stage.complete(SMALL).await;
    let log = stage.worker.log();
    assert!(
        log_of_level(&log, "INFO")
            .iter()
            .any(|line| line.contains("loading weights")),
        "{log}"
    );
    assert!(
        log_of_level(&log, "WARN")
            .iter()
            .any(|line| line.contains("slow disk")),
        "{log}"
    );
    assert!(!log.contains("hf_verysecret"));
}

#[tokio::test]
async fn one_that_dies_at_its_start_ends_the_worker_with_its_last_words() {
    let command = "sh -c 'i=0; while [ $i -lt 80 ]; do i=$((i+1)); echo \"line number $i\"; done; exit 3'";
    let mut stage = Stage::with("http://127.0.0.1:9", &[("SD_WORKER_WEBUI_COMMAND", command)]).await;
    let job = stage.submit(SMALL).await;
    assert_eq!(stage.worker.exit().await.code(), Some(1));
    stage.worker.says("the WebUI ended with exit code 3").await;
    let log = stage.worker.log();
    let tail: Vec<_> = log_of_level(&log, "ERROR")
        .into_iter()
        .filter(|line| line.contains("| line number"))
        .collect();
    assert_eq!(tail.len(), 50, "{log}");
    assert!(tail[0].contains("line number 31") && tail[49].contains("line number 80"));
    assert_eq!(soon(job.status()).await.unwrap().status.as_str(), "IN_QUEUE");
}

#[tokio::test]
async fn one_whose_model_never_loads_is_given_up_at_the_deadline() {
    let directory = tempfile::tempdir().unwrap();
    let scenario = json!({ "faults": [{ "kind": "up-but-no-model" }] });
    let webui = OwnedWebUi::broken(&scenario, directory.path(), "");
    let variables = [("SD_WORKER_WARM_UP", "on"), ("SD_WORKER_READY_TIMEOUT", "1s")];
    let stage = webui.stage(&variables).await;
    assert_given_up(
        stage,
        "it has come no further than api_answers",
        "mock-webui listening on",
    )
    .await;
}

#[tokio::test]
async fn a_checkpoint_that_is_missing_or_not_used_is_named() {
    let webui = OwnedWebUi::new("--model one --model two");
    let stage = webui.stage(&[("SD_WORKER_CHECKPOINT", "three")]).await;
    let line = assert_given_up(stage, "no checkpoint 'three'", "mock-webui listening on").await;
    assert!(line.contains("one") && line.contains("two"), "{line}");

    let webui = OwnedWebUi::new("--model one --model two");
    let stage = webui.stage(&[("SD_WORKER_CHECKPOINT", "two")]).await;
    let output = String::from_utf8(stage.complete(SMALL).await).unwrap();
    assert!(output.contains("Model: two"));

    let directory = tempfile::tempdir().unwrap();
    let scenario = json!({ "faults": [{ "kind": "wrong-model", "times": 0 }] });
    let webui = OwnedWebUi::broken(&scenario, directory.path(), "--model one --model two");
    let mut stage = webui.stage(&[("SD_WORKER_CHECKPOINT", "two")]).await;
    assert_eq!(stage.worker.exit().await.code(), Some(1));
    stage.worker.says("the WebUI renders with 'one'").await;
}

#[tokio::test]
async fn told_to_stop_while_it_starts_the_worker_leaves_nothing_behind() {
    let webui = OwnedWebUi::new("--ready-after 1h");
    let mut stage = webui.stage(&[]).await;
    stage.worker.says("waiting for the WebUI").await;
    stage.worker.signal("TERM").await;
    assert_eq!(stage.worker.exit().await.code(), Some(0));
    assert!(!exists(started(&stage.worker)[0]));
}

#[tokio::test]
async fn a_worker_that_is_killed_takes_the_webui_and_what_it_has_started_with_it() {
    let webui = OwnedWebUi::new("");
    // The shell stays, with a child beside the server.
    let command = format!("sh -c 'sleep 1000 & echo child $!; {}; true'", webui.command);
    let variables = [("SD_WORKER_WEBUI_COMMAND", command.as_str())];
    let mut stage = Stage::with(&webui.url, &variables).await;
    stage.complete(SMALL).await;
    let line = stage.worker.says("child ").await;
    let (_, child) = line.split_once("child ").unwrap();
    let child = child.chars().take_while(char::is_ascii_digit).collect::<String>();

    stage.worker.signal("KILL").await;
    stage.worker.exit().await;
    gone(started(&stage.worker)[0]).await;
    gone(child.parse().unwrap()).await;
    soon(async {
        while tokio::net::TcpStream::connect(webui.url.strip_prefix("http://").unwrap())
            .await
            .is_ok()
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn one_that_ignores_sigterm_is_killed() {
    let webui = OwnedWebUi::new("--ignore-sigterm");
    let mut stage = webui.stage(&[("TUNING", "stop_grace=100ms")]).await;
    stage.complete(SMALL).await;
    stage.worker.signal("TERM").await;
    assert_eq!(stage.worker.exit().await.code(), Some(0));
    stage.worker.says("the WebUI does not end; killing it").await;
    assert!(!exists(started(&stage.worker)[0]));
}

#[tokio::test]
async fn a_command_that_can_not_be_started_is_named() {
    let variables = [("SD_WORKER_WEBUI_COMMAND", "/no/such/python webui.py")];
    let mut stage = Stage::with("http://127.0.0.1:9", &variables).await;
    assert_eq!(stage.worker.exit().await.code(), Some(1));
    stage
        .worker
        .says("'/no/such/python' can't be started: No such file")
        .await;
}

#[tokio::test]
async fn a_webui_that_floods_its_log_is_thinned_and_the_number_is_told() {
    let command = "sh -c 'yes flood | head -n 20000; exit 3'";
    let variables = [("SD_WORKER_WEBUI_COMMAND", command)];
    let mut stage = Stage::with("http://127.0.0.1:9", &variables).await;
    assert_eq!(stage.worker.exit().await.code(), Some(1));
    stage.worker.says("lines left out").await;
    let shown = stage.worker.log().matches("flood").count();
    // Each second that it takes shows 800, and the last 50 are shown once more.
    assert!((800..10_000).contains(&shown), "{shown}");
}

#[tokio::test]
async fn a_webui_that_ends_without_a_word_is_said_to_have_written_nothing() {
    let variables = [("SD_WORKER_WEBUI_COMMAND", "false")];
    let mut stage = Stage::with("http://127.0.0.1:9", &variables).await;
    assert_eq!(stage.worker.exit().await.code(), Some(1));
    stage
        .worker
        .says("the WebUI has written nothing to its log")
        .await;
    assert!(!stage.worker.log().contains("the last 0 lines"));
}
