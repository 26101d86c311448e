//! Requests that come again, with `--response-cache`.

use mock_webui::MockWebUi;
use serde_json::{Value, json};

use crate::monitor::{lines, scrape};
use crate::support::owned::{kill, started};
use crate::support::{
    OwnedWebUi, RawWebUi, Reply, S3, Stage, Uploads, aside, error_of, get, post, soon, verdict,
};

const CACHE: (&str, &str) = ("SD_WORKER_RESPONSE_CACHE", "64");
const TWO_AT_ONCE: (&str, &str) = ("RUNPOD_WORKER_CONCURRENCY", "2");
const SEEDED: &str = r#"{"prompt": "x", "steps": 4, "width": 64, "height": 64, "seed": 5}"#;
const HIT: &str = "answered from the cache";

fn api(endpoint: &str, payload: &str, wishes: &str) -> String {
    format!(
        r#"{{"api": {{"method": "POST", "endpoint": "{endpoint}"}}, "payload": {payload}, "worker": {wishes}}}"#
    )
}

#[tokio::test]
async fn a_request_that_comes_again_gets_the_same_bytes_without_a_render() {
    let webui = MockWebUi::start().await;
    let stage = Stage::with(webui.url(), &[CACHE, ("RUNPOD_WORKER_METRICS", "127.0.0.1:0")]).await;
    let first = stage.complete(SEEDED).await;
    let again = stage.complete(SEEDED).await;
    assert_eq!(again, first);
    assert_eq!(webui.gpu().renders(), 1);
    stage.worker.says(HIT).await;

    let timeline = stage.worker.says_again("job timeline", 2).await;
    assert!(timeline.contains("readiness_checked="), "{timeline}");
    assert!(!timeline.contains("inference_"), "{timeline}");
    let figures = scrape(&stage).await;
    assert_eq!(
        lines(&figures, &["sd_worker_cache"]),
        "sd_worker_cache_hits_total 1\nsd_worker_cache_misses_total 1"
    );

    // The same to the WebUI, byte for byte, is the same here; anything else is not.
    stage.complete(&api("txt2img", SEEDED, "{}")).await;
    assert_eq!(webui.gpu().renders(), 1);
    stage.complete(&SEEDED.replace("\"x\"", "\"y\"")).await;
    assert_eq!(webui.gpu().renders(), 2);
    assert_eq!(stage.platform.violations().len(), 0);
}

#[tokio::test]
async fn by_default_it_is_rendered_again() {
    let webui = MockWebUi::start().await;
    let stage = Stage::new(webui.url()).await;
    stage.complete(SEEDED).await;
    stage.complete(SEEDED).await;
    assert_eq!(webui.gpu().renders(), 2);
}

#[tokio::test]
async fn a_random_seed_is_never_answered_from_the_cache() {
    let webui = MockWebUi::start().await;
    let stage = Stage::with(webui.url(), &[CACHE]).await;
    let random = SEEDED.replace("\"seed\": 5", "\"seed\": -1");
    let first = stage.complete(&random).await;
    assert_ne!(stage.complete(&random).await, first);
    assert_eq!(webui.gpu().renders(), 2);
}

#[tokio::test]
async fn what_changes_the_webui_empties_the_cache() {
    let webui = MockWebUi::start().await;
    let stage = Stage::with(webui.url(), &[CACHE]).await;
    stage.complete(SEEDED).await;
    let mut renders = 1;
    let staying = r#"{"prompt": "y", "steps": 1, "width": 64, "height": 64,
        "override_settings": {"CLIP_stop_at_last_layers": 2}, "override_settings_restore_afterwards": false}"#;
    for (change, rendered) in [
        (api("options", r#"{"CLIP_stop_at_last_layers": 2}"#, "{}"), 0),
        (api("refresh-loras", "null", "{}"), 0),
        (api("unload-checkpoint", "null", "{}"), 0),
        (staying.to_owned(), 1),
    ] {
        stage.complete(&change).await;
        stage.complete(SEEDED).await;
        renders += rendered + 1;
        assert_eq!(webui.gpu().renders(), renders, "after {change}");
        stage.complete(SEEDED).await;
        assert_eq!(webui.gpu().renders(), renders, "kept again");
    }

    // These leave it as it is: the settings guard sees to the second.
    let overriding = staying.replace(", \"override_settings_restore_afterwards\": false", "");
    stage
        .complete(r#"{"api": {"method": "GET", "endpoint": "options"}}"#)
        .await;
    stage.complete(&overriding).await;
    stage.complete(SEEDED).await;
    assert_eq!(webui.gpu().renders(), renders + 1);
}

#[tokio::test]
async fn a_webui_that_was_started_again_renders_anew() {
    let webui = OwnedWebUi::new("");
    let stage = webui.stage(&[CACHE]).await;
    stage.complete(SEEDED).await;
    kill(started(&stage.worker)[0]).await;
    stage.worker.says("taking jobs again").await;
    let before = webui.gpu().await["renders"].as_u64().unwrap();
    stage.complete(SEEDED).await;
    assert_eq!(webui.gpu().await["renders"].as_u64().unwrap(), before + 1);
}

#[tokio::test]
async fn an_answer_comes_at_once_while_something_else_renders() {
    let webui = MockWebUi::builder().manual_clock().start().await;
    let stage = Stage::with(webui.url(), &[CACHE, TWO_AT_ONCE]).await;
    let first = stage.submit(SEEDED).await;
    soon(webui.gpu().rendering()).await;
    soon(webui.gpu().advance(4)).await;
    let first = soon(first.wait()).await.unwrap();

    let other = stage.submit(&SEEDED.replace("\"x\"", "\"y\"")).await;
    soon(webui.gpu().begun(2)).await;
    let again = stage.complete(SEEDED).await;
    assert_eq!(again, first.raw_output().unwrap().to_vec());
    assert_eq!(
        webui.gpu().steps_done(),
        4,
        "the other one still waits for its clock"
    );
    soon(webui.gpu().advance(4)).await;
    assert_eq!(soon(other.wait()).await.unwrap().status.as_str(), "COMPLETED");
}

#[tokio::test]
async fn of_two_at_once_one_is_rendered() {
    let webui = MockWebUi::builder().manual_clock().start().await;
    let stage = Stage::with(webui.url(), &[CACHE, TWO_AT_ONCE]).await;
    let jobs = [stage.submit(SEEDED).await, stage.submit(SEEDED).await];
    soon(webui.gpu().rendering()).await;
    soon(webui.gpu().advance(4)).await;
    for job in jobs {
        assert_eq!(soon(job.wait()).await.unwrap().status.as_str(), "COMPLETED");
    }
    assert_eq!(webui.gpu().renders(), 1);
}

#[tokio::test]
async fn what_is_kept_is_checked_and_delivered_as_each_job_wishes() {
    let s3 = S3::start(Uploads::Stored).await;
    let webui = MockWebUi::start().await;
    let mut variables = vec![CACHE];
    variables.extend(s3.variables());
    let stage = Stage::with(webui.url(), &variables).await;
    let unknown = r#"{"prompt": "x", "steps": 1, "width": 64, "height": 64, "seed": 5, "guidance_scale": 3}"#;
    let plain = stage.complete(unknown).await;

    let wishes = r#"{"output": "upload", "checks": "warn"}"#;
    let output = stage.complete(&api("txt2img", unknown, wishes)).await;
    let output: Value = serde_json::from_slice(&output).unwrap();
    assert_eq!(output["warnings"][0]["field"], "guidance_scale");
    let picture = get(output["images"][0].as_str().unwrap()).await;
    assert!(picture.starts_with(b"\x89PNG"));
    assert_eq!(s3.uploads(), 1);

    let error = stage
        .fail(&api("txt2img", unknown, r#"{"checks": "strict"}"#))
        .await;
    assert_eq!(verdict(&error)[0], "NOT_APPLIED");
    assert_eq!(stage.complete(unknown).await, plain, "kept as the WebUI gave it");
    assert_eq!(webui.gpu().renders(), 1);
}

#[tokio::test]
async fn what_fails_the_checks_is_not_kept() {
    let webui = MockWebUi::start().await;
    webui.inject(mock_webui::Fault::forget_fields(["width"]));
    let stage = Stage::with(webui.url(), &[CACHE]).await;
    let sized = SEEDED.replace("\"width\": 64", "\"width\": 128");
    let strict = api("txt2img", &sized, r#"{"checks": "strict"}"#);
    assert_eq!(verdict(&stage.fail(&strict).await)[0], "NOT_APPLIED");
    stage.complete(&sized).await;
    assert_eq!(webui.gpu().renders(), 2);
}

#[tokio::test]
async fn a_stream_is_rendered() {
    let webui = MockWebUi::start().await;
    let stage = Stage::with(webui.url(), &[CACHE]).await;
    stage.complete(SEEDED).await;
    stage
        .complete(&api("txt2img", SEEDED, r#"{"stream": true}"#))
        .await;
    assert_eq!(webui.gpu().renders(), 2);
}

#[tokio::test]
async fn a_render_that_somebody_else_interrupted_is_not_kept() {
    let webui = MockWebUi::builder().manual_clock().start().await;
    let stage = Stage::with(webui.url(), &[CACHE]).await;
    let job = stage.submit(SEEDED).await;
    soon(webui.gpu().rendering()).await;
    soon(webui.gpu().advance(2)).await;
    post(&webui, "/sdapi/v1/interrupt").await;
    let report = soon(job.wait()).await.unwrap();
    assert_eq!(verdict(&error_of(&report))[0], "INTERRUPTED_ELSEWHERE");

    let job = stage.submit(SEEDED).await;
    soon(webui.gpu().begun(2)).await;
    soon(webui.gpu().advance(4)).await;
    assert_eq!(soon(job.wait()).await.unwrap().status.as_str(), "COMPLETED");
}

/// A WebUI whose answers have about as many bytes as the prompt says. `tells`: what its progress answers, if it does.
async fn sized(tells: Option<Value>) -> RawWebUi {
    RawWebUi::start(move |request| {
        if request.start().starts_with("GET /sdapi/v1/progress")
            && let Some(progress) = &tells
        {
            let reply = Reply::json(200, progress.to_string());
            return Box::pin(async { reply });
        }
        if request.start() != "POST /sdapi/v1/txt2img" {
            return aside(&request);
        }
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let size: usize = body["prompt"].as_str().unwrap().parse().unwrap();
        let answer = json!({ "images": ["aGk="], "info": "x".repeat(size) });
        Box::pin(async move { Reply::json(200, answer.to_string()) })
    })
    .await
}

fn idle() -> Value {
    let state = json!({ "skipped": false, "interrupted": false, "job": "", "job_count": 0, "job_no": 0,
        "job_timestamp": "20260101000000", "sampling_step": 0, "sampling_steps": 4 });
    json!({ "progress": 0.0, "eta_relative": 0.0, "state": state, "current_image": null })
}

#[tokio::test]
async fn within_the_bound_the_one_used_longest_ago_goes_first_and_what_is_larger_is_not_kept() {
    let webui = sized(Some(idle())).await;
    let stage = Stage::with(&webui.url, &[("SD_WORKER_RESPONSE_CACHE", "1")]).await;
    let kib = |size: usize| json!({ "prompt": (size << 10).to_string(), "seed": 5 }).to_string();
    let mut rendered = 0;
    for (size, is_rendered) in [
        (400, true),
        (401, true),
        (400, false),
        (402, true),
        (400, false),
        (401, true),
        (1024, true),
        (1024, true),
        (401, false),
    ] {
        stage.complete(&kib(size)).await;
        rendered += usize::from(is_rendered);
        assert_eq!(webui.renders().len(), rendered, "{size} KiB");
    }
}

#[tokio::test]
async fn an_answer_of_which_the_webui_does_not_say_how_it_ended_is_not_kept() {
    let webui = sized(None).await;
    let stage = Stage::with(&webui.url, &[CACHE]).await;
    let input = json!({ "prompt": "100", "seed": 5 }).to_string();
    stage.complete(&input).await;
    stage.complete(&input).await;
    assert_eq!(webui.renders().len(), 2);
}
