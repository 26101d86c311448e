//! A WebUI that falls ill is mended, and no job is taken meanwhile.

use mock_webui::{ClearedBy, Fault, MockWebUi};
use serde_json::{Value, json};

use crate::support::owned::{exists, kill, started};
use crate::support::{OwnedWebUi, Stage, error_of, soon, told, verdict};

const SMALL: &str = r#"{"prompt": "x", "steps": 4, "width": 64, "height": 64}"#;
const LONG: &str = r#"{"prompt": "x", "steps": 100000, "width": 64, "height": 64}"#;

/// Another format of pictures, for this one request.
const OVERRIDING: &str = r#"{"prompt": "x", "steps": 1, "width": 64, "height": 64, "override_settings": {"samples_format": "jpg"}}"#;
const WELL: &str = "the WebUI is well again";

/// How the first picture of an answer begins, which tells its format.
fn format(output: &[u8]) -> String {
    let output: Value = serde_json::from_slice(output).unwrap();
    output["images"][0].as_str().unwrap()[..4].to_owned()
}

#[tokio::test]
async fn a_render_whose_process_is_killed_is_not_rendered_again_and_the_next_job_completes() {
    let webui = OwnedWebUi::new("--step-ms 20");
    let stage = webui.stage(&[]).await;
    let job = stage.submit(LONG).await;
    told(&job, |update| update["step"].is_number()).await;
    let renders = webui.gpu().await["renders"].clone();
    kill(started(&stage.worker)[0]).await;
    let report = soon(job.wait()).await.unwrap();
    assert_eq!(report.status.as_str(), "FAILED");
    assert_eq!(
        verdict(&error_of(&report)),
        ["BACKEND_LOST", "backend", "retryable"]
    );
    stage.complete(SMALL).await;
    let processes = started(&stage.worker);
    assert_eq!(processes.len(), 2);
    assert!(!exists(processes[0]));
    assert_eq!(renders, 1, "of the first process");
    assert_eq!(
        webui.gpu().await["renders"],
        2,
        "of the second one: a small picture and the next job"
    );
    assert_eq!(stage.platform.violations().len(), 0);
}

#[tokio::test]
async fn a_job_that_kills_it_before_anything_is_seen_is_sent_twice_and_told_the_log() {
    let directory = tempfile::tempdir().unwrap();
    // The canary has one step and lives; the job dies at its third.
    let scenario = json!({ "faults": [{ "kind": "die-at", "step": 3, "times": 0 }] });
    let webui = OwnedWebUi::broken(&scenario, directory.path(), "--death-code 9");
    let stage = webui.stage(&[]).await;
    let report = stage.run(SMALL).await;
    assert_eq!(report.status.as_str(), "FAILED");
    let error = error_of(&report);
    assert_eq!(verdict(&error), ["BACKEND_LOST", "backend", "retryable"]);
    let tail = error["log_tail"].as_array().unwrap();
    assert!(
        tail.iter()
            .any(|line| line.as_str().unwrap().contains("mock-webui listening")),
        "{error}"
    );
    stage.worker.says_again(WELL, 2).await;
    assert_eq!(started(&stage.worker).len(), 3);
    stage.worker.says("has ended how=with exit code 9").await;
}

#[tokio::test]
async fn one_that_dies_between_two_jobs_is_noticed_at_once() {
    let webui = OwnedWebUi::new("");
    let stage = webui.stage(&[]).await;
    stage.complete(SMALL).await;
    kill(started(&stage.worker)[0]).await;
    stage
        .worker
        .says("the WebUI needs care: the WebUI has died")
        .await;
    stage.worker.says("no more jobs are taken for now").await;
    stage.worker.says("taking jobs again").await;
    stage.complete(SMALL).await;
    assert_eq!(started(&stage.worker).len(), 2);
}

#[tokio::test]
async fn out_of_memory_is_mended_by_a_reload() {
    let webui = OwnedWebUi::new("");
    let stage = webui.stage(&[]).await;
    stage.complete(SMALL).await;
    webui
        .inject(json!({ "kind": "out-of-memory", "until": "unload" }))
        .await;
    assert_eq!(verdict(&stage.fail(SMALL).await)[0], "GPU_OUT_OF_MEMORY");
    stage.complete(SMALL).await;
    assert_eq!(started(&stage.worker).len(), 1, "no restart was needed");
    stage
        .worker
        .says("mending the WebUI: reloading the checkpoint")
        .await;
}

#[tokio::test]
async fn out_of_memory_that_a_reload_does_not_mend_leads_to_a_restart() {
    let webui = OwnedWebUi::new("");
    let stage = webui.stage(&[]).await;
    stage.complete(SMALL).await;
    webui
        .inject(json!({ "kind": "out-of-memory", "until": "restart" }))
        .await;
    assert_eq!(verdict(&stage.fail(SMALL).await)[0], "GPU_OUT_OF_MEMORY");
    stage.complete(SMALL).await;
    assert_eq!(started(&stage.worker).len(), 2);
    let log = stage.worker.log();
    let at = |words: &str| log.find(words).unwrap_or_else(|| panic!("no {words}:\n{log}"));
    assert!(at("mending the WebUI: reloading") < at("mending the WebUI: rendering a small picture"));
    assert!(at("rendering a small picture failed") < at("mending the WebUI: restarting it"));
}

#[tokio::test]
async fn after_three_reloads_a_small_picture_is_tried_at_once_and_then_a_restart() {
    let webui = OwnedWebUi::new("");
    let stage = webui.stage(&[]).await;
    stage.complete(SMALL).await;
    let count = |words: &str| stage.worker.log().matches(words).count();
    for illness in 1..=5 {
        webui.inject(json!({ "kind": "out-of-memory" })).await;
        assert_eq!(verdict(&stage.fail(SMALL).await)[0], "GPU_OUT_OF_MEMORY");
        stage.worker.says_again(WELL, illness).await;
    }
    assert_eq!(count("mending the WebUI: reloading the checkpoint"), 3);
    assert_eq!(count("mending the WebUI: rendering a small picture"), 5);
    assert_eq!(
        started(&stage.worker).len(),
        1,
        "it rendered, so nothing is wrong"
    );

    webui
        .inject(json!({ "kind": "out-of-memory", "until": "restart" }))
        .await;
    assert_eq!(verdict(&stage.fail(SMALL).await)[0], "GPU_OUT_OF_MEMORY");
    stage.complete(SMALL).await;
    assert_eq!(count("mending the WebUI: reloading the checkpoint"), 3);
    assert_eq!(started(&stage.worker).len(), 2);
}

#[tokio::test]
async fn a_job_that_waits_for_one_that_is_given_up_asks_for_another_worker_with_its_result() {
    // Renders wait for the model, so both jobs are here before the first fails.
    let webui = MockWebUi::builder()
        .phase(mock_webui::Phase::ModelLoading)
        .fault(Fault::out_of_memory(ClearedBy::Restart))
        .start()
        .await;
    let variables = [
        ("SD_WORKER_WEBUI_PATIENCE", "0"),
        ("RUNPOD_WORKER_CONCURRENCY", "2"),
    ];
    let mut stage = Stage::with(webui.url(), &variables).await;
    let jobs = [stage.submit(SMALL).await, stage.submit(SMALL).await];
    stage.worker.says_again("Started.", 2).await;
    soon(webui.gpu().begun(1)).await;
    webui.set_phase(mock_webui::Phase::Ready).await;

    let mut codes = Vec::new();
    let mut waited = None;
    for job in &jobs {
        let report = soon(job.wait()).await.unwrap();
        let code = verdict(&error_of(&report))[0].to_owned();
        if code == "BACKEND_UNAVAILABLE" {
            waited = Some(job.id().to_owned());
        }
        codes.push(code);
    }
    codes.sort();
    assert_eq!(codes, ["BACKEND_UNAVAILABLE", "GPU_OUT_OF_MEMORY"]);
    assert_eq!(stage.worker.exit().await.code(), Some(0));
    let waited = waited.unwrap();
    let calls = stage.platform.recorded_calls();
    let result = calls
        .iter()
        .find(|call| call.path_and_query.contains("/job-done/") && call.path_and_query.contains(&waited))
        .unwrap();
    let body = String::from_utf8_lossy(&result.body);
    assert!(body.ends_with(r#", "stopPod": true}"#), "{body}");
}

#[tokio::test]
async fn one_that_can_not_be_restarted_is_left_to_another_worker() {
    let webui = MockWebUi::builder()
        .fault(Fault::out_of_memory(ClearedBy::Restart))
        .start()
        .await;
    let mut stage = Stage::with(webui.url(), &[("SD_WORKER_WEBUI_PATIENCE", "0")]).await;
    assert_eq!(verdict(&stage.fail(SMALL).await)[0], "GPU_OUT_OF_MEMORY");
    let late = stage.submit(SMALL).await;
    assert_eq!(stage.worker.exit().await.code(), Some(0));
    stage.worker.says("the WebUI could not be mended").await;
    assert_eq!(soon(late.status()).await.unwrap().status.as_str(), "IN_QUEUE");
}

#[tokio::test]
async fn one_that_can_not_be_restarted_is_tried_again_until_somebody_has_mended_it() {
    let webui = MockWebUi::builder()
        .fault(Fault::out_of_memory(ClearedBy::Restart))
        .start()
        .await;
    let stage = Stage::new(webui.url()).await;
    assert_eq!(verdict(&stage.fail(SMALL).await)[0], "GPU_OUT_OF_MEMORY");
    let waiting = stage.submit(SMALL).await;
    stage
        .worker
        .says_again("rendering a small picture failed", 2)
        .await;
    assert_eq!(
        soon(waiting.status()).await.unwrap().status.as_str(),
        "IN_QUEUE",
        "no job is taken meanwhile"
    );
    soon(webui.restart()).await;
    stage.worker.says("taking jobs again").await;
    let report = soon(waiting.wait()).await.unwrap();
    assert_eq!(report.status.as_str(), "COMPLETED", "{:?}", report.error());
    assert!(!stage.worker.log().contains("could not be mended"));
}

#[tokio::test]
async fn one_that_can_not_be_reached_is_waited_for_and_no_job_is_taken_meanwhile() {
    let webui = MockWebUi::start().await;
    let stage = Stage::with(webui.url(), &[("SD_WORKER_RETRIES", "1")]).await;
    stage.complete(SMALL).await;
    webui.set_phase(mock_webui::Phase::Refusing).await;
    let error = stage.fail(SMALL).await;
    assert_eq!(verdict(&error), ["BACKEND_UNAVAILABLE", "backend", "retryable"]);
    stage
        .worker
        .says("the WebUI needs care: the WebUI accepts no connection")
        .await;
    stage.worker.says("mending the WebUI: waiting for it").await;
    let waiting = stage.submit(SMALL).await;
    assert_eq!(soon(waiting.status()).await.unwrap().status.as_str(), "IN_QUEUE");
    webui.set_phase(mock_webui::Phase::Ready).await;
    stage.worker.says("taking jobs again").await;
    let report = soon(waiting.wait()).await.unwrap();
    assert_eq!(report.status.as_str(), "COMPLETED", "{:?}", report.error());
    let log = stage.worker.log();
    let at = |words: &str| log.find(words).unwrap_or_else(|| panic!("no {words}:\n{log}"));
    assert!(at("mending the WebUI: waiting for it") < at("mending the WebUI: rendering a small picture"));
    assert!(at("mending the WebUI: rendering a small picture") < at(WELL));
}

#[tokio::test]
async fn what_is_overridden_does_not_stay_in_a_webui_that_somebody_else_restarted() {
    let webui = MockWebUi::start().await;
    let stage = Stage::with(webui.url(), &[("SD_WORKER_RETRIES", "0")]).await;
    assert_eq!(format(&stage.complete(OVERRIDING).await), "/9j/");
    webui.set_phase(mock_webui::Phase::Refusing).await;
    assert_eq!(verdict(&stage.fail(SMALL).await)[0], "BACKEND_UNAVAILABLE");
    soon(webui.restart()).await;
    stage.worker.says("taking jobs again").await;
    assert_eq!(format(&stage.complete(OVERRIDING).await), "/9j/");
    assert_eq!(
        format(&stage.complete(SMALL).await),
        "iVBO",
        "the new one was guarded, too"
    );
}

#[tokio::test]
async fn one_that_is_restarted_by_somebody_else_is_asked_to_over_its_api() {
    let webui = MockWebUi::builder()
        .stop_routes(true)
        .fault(Fault::out_of_memory(ClearedBy::Restart))
        .start()
        .await;
    let stage = Stage::with(webui.url(), &[("SD_WORKER_WEBUI_RESTART_BY_API", "1")]).await;
    let died = webui.death();
    assert_eq!(verdict(&stage.fail(SMALL).await)[0], "GPU_OUT_OF_MEMORY");
    soon(died).await;
    webui.set_phase(mock_webui::Phase::Ready).await;
    stage.complete(SMALL).await;
}

#[tokio::test]
async fn a_user_s_mistake_restarts_nothing() {
    let webui = OwnedWebUi::new("");
    let stage = webui.stage(&[]).await;
    for bad in [
        r#"{"prompt": "x", "steps": "many"}"#,
        r#"{"prompt": "x", "script_name": "nope"}"#,
        r#"{"prompt": "x", "width": 0}"#,
    ] {
        assert_eq!(verdict(&stage.fail(bad).await)[1], "user");
    }
    stage.complete(SMALL).await;
    assert!(!stage.worker.log().contains("needs care"));
    assert_eq!(started(&stage.worker).len(), 1);
}

#[tokio::test]
async fn a_cuda_error_that_spoils_the_process_leads_to_a_restart_at_once() {
    for text in [
        "CUDA error: an illegal memory access was encountered",
        "CUDA error: device-side assert triggered",
    ] {
        let webui = OwnedWebUi::new("");
        let stage = webui.stage(&[]).await;
        stage.complete(SMALL).await;
        webui
            .inject(json!({ "kind": "exception", "class": "RuntimeError", "text": text }))
            .await;
        assert_eq!(
            verdict(&stage.fail(SMALL).await),
            ["GPU_FAILED", "backend", "retryable"]
        );
        stage.complete(SMALL).await;
        assert_eq!(started(&stage.worker).len(), 2);
        assert!(!stage.worker.log().contains("reloading the checkpoint"));
    }
}

#[tokio::test]
async fn a_render_that_stands_still_is_interrupted() {
    let webui = OwnedWebUi::new("");
    let stage = webui
        .stage(&[
            ("SD_WORKER_STALL_AFTER", "1s"),
            ("SD_WORKER_PROGRESS_INTERVAL", "100ms"),
        ])
        .await;
    stage.complete(SMALL).await;
    webui.inject(json!({ "kind": "stall-at", "step": 2 })).await;
    let error = stage.fail(SMALL).await;
    assert_eq!(verdict(&error), ["BACKEND_STALLED", "backend", "retryable"]);
    stage.complete(SMALL).await;
    assert_eq!(started(&stage.worker).len(), 1, "the interrupt was enough");
}

#[tokio::test]
async fn a_render_that_does_not_heed_the_interrupt_is_ended_with_its_process() {
    let webui = OwnedWebUi::new("");
    let stage = webui
        .stage(&[
            ("SD_WORKER_STALL_AFTER", "1s"),
            ("SD_WORKER_PROGRESS_INTERVAL", "0"),
            ("TUNING", "interrupt_patience=500ms"),
        ])
        .await;
    stage.complete(SMALL).await;
    webui
        .inject(json!({ "kind": "stall-at", "step": 2, "deaf": true }))
        .await;
    assert_eq!(verdict(&stage.fail(SMALL).await)[0], "BACKEND_STALLED");
    stage.complete(SMALL).await;
    assert_eq!(started(&stage.worker).len(), 2);
}

#[tokio::test]
async fn a_cancelled_render_that_does_not_stop_costs_the_process_and_not_the_next_job() {
    let webui = OwnedWebUi::new("--step-ms 5");
    let stage = webui.stage(&[("TUNING", "interrupt_patience=500ms")]).await;
    stage.complete(SMALL).await;
    webui
        .inject(json!({ "kind": "stall-at", "step": 2, "deaf": true }))
        .await;
    let unwanted = stage.submit(LONG).await;
    webui.steps_done(6).await;
    let next = stage.submit(SMALL).await;
    soon(unwanted.cancel()).await.unwrap();
    let report = soon(next.wait()).await.unwrap();
    assert_eq!(report.status.as_str(), "COMPLETED", "{:?}", report.error());
    assert_eq!(started(&stage.worker).len(), 2);
    let gpu = webui.gpu().await;
    assert_eq!(
        gpu["interrupts"], 0,
        "no interrupt was left for the new process: {gpu}"
    );
}

#[tokio::test]
async fn one_that_grows_is_restarted_between_two_jobs() {
    let webui = OwnedWebUi::new("");
    let stage = webui.stage(&[("SD_WORKER_MEMORY_CEILING", "300MB")]).await;
    stage.complete(SMALL).await;
    webui
        .inject(json!({ "kind": "grow-memory", "megabytes": 400 }))
        .await;
    stage.complete(SMALL).await;
    stage.worker.says("the WebUI uses too much memory").await;
    stage.worker.says(WELL).await;
    stage.complete(SMALL).await;
    assert_eq!(started(&stage.worker).len(), 2);
}

#[tokio::test]
async fn one_that_grows_in_mid_render_is_restarted_when_the_job_is_done() {
    let webui = OwnedWebUi::new("--step-ms 20");
    let stage = webui.stage(&[("SD_WORKER_MEMORY_CEILING", "300MB")]).await;
    stage.complete(SMALL).await;
    webui
        .inject(json!({ "kind": "grow-memory", "megabytes": 400 }))
        .await;
    // Eight seconds: the memory is looked at every five.
    let job = stage
        .submit(r#"{"prompt": "x", "steps": 400, "width": 64, "height": 64}"#)
        .await;
    stage.worker.says("mending the WebUI: restarting it").await;
    let gpu = webui.gpu().await;
    assert_eq!(gpu["renders"], 2, "the render goes on: {gpu}");
    assert_ne!(gpu["job"], "", "{gpu}");
    let report = soon(job.wait()).await.unwrap();
    assert_eq!(report.status.as_str(), "COMPLETED", "{:?}", report.error());
    stage.worker.says(WELL).await;
    assert_eq!(started(&stage.worker).len(), 2);
    stage.complete(SMALL).await;
    assert_eq!(
        webui.gpu().await["renders"],
        2,
        "a small picture and the last job; the first was not repeated"
    );
}

#[tokio::test]
async fn one_that_can_not_be_started_again_ends_the_worker_after_its_limit() {
    let webui = OwnedWebUi::new("");
    let directory = tempfile::tempdir().unwrap();
    let mark = directory.path().join("started");
    let command = format!(
        "sh -c 'test -e {mark} && exit 3; touch {mark}; exec {}'",
        webui.command,
        mark = mark.display()
    );
    let variables = [
        ("SD_WORKER_WEBUI_COMMAND", command.as_str()),
        ("TUNING", "restarts=2"),
    ];
    let mut stage = Stage::with(&webui.url, &variables).await;
    stage.complete(SMALL).await;
    kill(started(&stage.worker)[0]).await;
    assert_eq!(stage.worker.exit().await.code(), Some(0));
    assert_eq!(started(&stage.worker).len(), 3, "the first start and two more");
    stage.worker.says("retiring").await;
}

#[tokio::test]
async fn what_one_job_overrides_does_not_stay_for_the_next() {
    let webui = MockWebUi::start().await;
    let stage = Stage::new(webui.url()).await;
    assert_eq!(format(&stage.complete(OVERRIDING).await), "/9j/", "it is applied");
    assert_eq!(format(&stage.complete(SMALL).await), "iVBO", "and undone");
    assert_eq!(format(&stage.complete(OVERRIDING).await), "/9j/");
    assert_eq!(format(&stage.complete(SMALL).await), "iVBO");
}

#[tokio::test]
async fn one_that_fails_every_job_for_no_known_reason_is_tried_and_restarted() {
    let webui = OwnedWebUi::new("");
    let stage = webui.stage(&[]).await;
    stage.complete(SMALL).await;
    webui
        .inject(json!({ "kind": "exception", "class": "RuntimeError", "text": "boom", "times": 0 }))
        .await;
    for _ in 0..3 {
        assert_eq!(verdict(&stage.fail(SMALL).await)[0], "BACKEND_ERROR");
    }
    stage.complete(SMALL).await;
    assert_eq!(started(&stage.worker).len(), 2);
    stage.worker.says("several jobs in a row failed").await;
}

#[tokio::test]
async fn one_that_fails_every_job_and_can_not_be_restarted_is_left_to_another_worker() {
    let webui = MockWebUi::builder()
        .fault(Fault::exception("RuntimeError", "boom").sticky())
        .start()
        .await;
    let mut stage = Stage::with(webui.url(), &[("SD_WORKER_WEBUI_PATIENCE", "0")]).await;
    for _ in 0..3 {
        assert_eq!(verdict(&stage.fail(SMALL).await)[0], "BACKEND_ERROR");
    }
    assert_eq!(stage.worker.exit().await.code(), Some(0));
    stage.worker.says("the WebUI could not be mended").await;
}

#[tokio::test]
async fn one_that_renders_a_small_picture_carries_on_after_failures_in_a_row() {
    let webui = OwnedWebUi::new("");
    let stage = webui.stage(&[]).await;
    stage.complete(SMALL).await;
    webui
        .inject(json!({ "kind": "exception", "class": "RuntimeError", "text": "boom", "times": 3 }))
        .await;
    for _ in 0..3 {
        assert_eq!(verdict(&stage.fail(SMALL).await)[0], "BACKEND_ERROR");
    }
    stage.worker.says(WELL).await;
    stage.complete(SMALL).await;
    assert_eq!(started(&stage.worker).len(), 1);
}

#[tokio::test]
async fn users_mistakes_in_a_row_are_no_symptom() {
    let webui = OwnedWebUi::new("");
    let stage = webui.stage(&[]).await;
    for bad in [
        r#"{"prompt": "x", "steps": "many"}"#,
        r#"{"prompt": "x", "script_name": "nope"}"#,
        r#"{"prompt": "x", "width": 0}"#,
        r#"{"prompt": "x", "override_settings": {"nope": 1}}"#,
        r#"{"prompt": "x", "init_images": ["no picture"]}"#,
        r#"{"prompt": "x", "steps": 0}"#,
    ] {
        assert_eq!(verdict(&stage.fail(bad).await)[1], "user", "{bad}");
    }
    assert!(!stage.worker.log().contains("needs care"));
}
