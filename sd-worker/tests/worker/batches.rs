//! Different jobs in one batch: each is answered as if it were alone, and none feels what happens to another.

use std::time::{Duration, Instant};

use mock_webui::{Fault, MockWebUi, MockWebUiBuilder, Phase, Profile};
use runpod_sdk::client::JobHandle;
use serde_json::{Value, json};

use crate::support::{EXAMPLE, Stage, error_of, soon, told, verdict};

/// A WebUI with the worker's extension.
fn webui() -> MockWebUiBuilder {
    MockWebUi::builder().batch_extension(1).random_from(7)
}

/// A worker that takes nine jobs at once and renders up to eight of them in a batch.
async fn stage(webui: &MockWebUi, more: &[(&str, &str)]) -> Stage {
    let mut variables = vec![("SD_WORKER_BATCH_LIMIT", "8"), ("RUNPOD_WORKER_CONCURRENCY", "9")];
    variables.extend(more);
    Stage::with(webui.url(), &variables).await
}

/// A small job with all that may differ within a batch.
fn job(prompt: &str, seed: i64) -> String {
    json!({
        "prompt": prompt, "negative_prompt": format!("no {prompt}"), "seed": seed, "subseed": seed + 1,
        "steps": 4, "width": 64, "height": 64,
    })
    .to_string()
}

/// Submits a job that occupies the GPU, and then others, and waits until the worker has them all.
async fn behind_a_render(stage: &Stage, webui: &MockWebUi, others: &[String]) -> (JobHandle, Vec<JobHandle>) {
    let first = stage.submit(EXAMPLE).await;
    soon(webui.gpu().rendering()).await;
    let mut handles = Vec::new();
    for other in others {
        handles.push(stage.submit(other).await);
    }
    stage.worker.says_again("\"Started.\"", others.len() + 1).await;
    (first, handles)
}

/// The answer of a job that must complete.
async fn completed(job: &JobHandle) -> Vec<u8> {
    let report = soon(job.wait()).await.unwrap();
    assert_eq!(report.status.as_str(), "COMPLETED", "{:?}", report.error());
    report.raw_output().unwrap().to_vec()
}

/// An answer as text, without the time at which its render began.
fn timeless(answer: &[u8]) -> String {
    const KEY: &str = r#"\"job_timestamp\": \""#;
    let text = String::from_utf8(answer.to_vec()).unwrap();
    let (before, after) = text.split_once(KEY).unwrap();
    format!("{before}{KEY}{}", &after[14..])
}

/// What the WebUI itself answers to a job alone.
async fn alone(job: &str) -> Vec<u8> {
    let webui = webui().start().await;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let request = reqwest::Client::new()
        .post(format!("{}/sdapi/v1/txt2img", webui.url()))
        .body(job.to_owned());
    let answer = soon(request.send()).await.unwrap();
    soon(answer.bytes()).await.unwrap().to_vec()
}

#[tokio::test]
async fn each_job_of_a_batch_is_answered_byte_for_byte_as_if_it_were_alone() {
    let webui = webui().manual_clock().start().await;
    let stage = stage(&webui, &[]).await;
    let jobs = [
        job("a cat", 5),
        job("a \"dog\", ä\n", 77),
        job("a cow AND a hat", 1 << 33),
        job("", 0),
    ];
    let (first, handles) = behind_a_render(&stage, &webui, &jobs).await;
    soon(webui.gpu().advance(25)).await;
    completed(&first).await;
    soon(webui.gpu().begun(2)).await;
    soon(webui.gpu().advance(4)).await;
    for (handle, job) in handles.iter().zip(&jobs) {
        let (answer, expected) = (completed(handle).await, alone(job).await);
        assert_eq!(timeless(&answer), timeless(&expected), "{job}");
    }
    assert_eq!(webui.gpu().renders(), 2);
    assert_eq!(webui.gpu().steps_done(), 29, "one batch");
    assert_eq!(stage.platform.violations().len(), 0);
}

#[tokio::test]
async fn a_job_that_is_alone_waits_for_none_and_its_request_is_sent_as_it_came() {
    let webui = webui().start().await;
    let stage = stage(&webui, &[("SD_WORKER_BATCH_WINDOW", "1h")]).await;
    let began = Instant::now();
    stage.complete(EXAMPLE).await;
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    let requests = webui.stubs().received_requests().await.unwrap();
    let renders: Vec<_> = requests
        .iter()
        .filter(|request| request.url.path().ends_with("/txt2img"))
        .collect();
    assert_eq!(renders.len(), 1);
    assert_eq!(renders[0].body, EXAMPLE.as_bytes());
}

#[tokio::test]
async fn jobs_that_are_not_alike_are_rendered_apart_and_in_order() {
    let webui = webui().manual_clock().start().await;
    let stage = stage(&webui, &[]).await;
    let larger = job("b", 2).replace("\"width\":64", "\"width\":128");
    let with_lora = job("d <lora:x:1>", 4);
    let jobs = [job("a", 1), larger, job("c", 3), with_lora];
    let (_, handles) = behind_a_render(&stage, &webui, &jobs).await;
    for (renders, steps) in [(1, 25), (2, 4), (3, 4), (4, 4)] {
        soon(webui.gpu().begun(renders)).await;
        soon(webui.gpu().advance(steps)).await;
    }
    for handle in &handles {
        completed(handle).await;
    }
    assert_eq!(webui.gpu().renders(), 4, "a and c share, the others do not");
}

#[tokio::test]
async fn jobs_of_one_take_share_a_batch_although_the_gpu_is_idle() {
    let webui = webui().phase(Phase::Refusing).start().await;
    let stage = stage(&webui, &[("SD_WORKER_BATCH_WINDOW", "20s")]).await;
    let mut handles = Vec::new();
    for number in 0..8 {
        handles.push(stage.submit(&job(&format!("number {number}"), number)).await);
    }
    webui.set_phase(Phase::Ready).await;
    for handle in &handles {
        completed(handle).await;
    }
    assert_eq!(webui.gpu().renders(), 1);
    let line = stage.worker.says("job timeline").await;
    assert!(line.contains("batch=1 batch_jobs=8"), "{line}");
}

#[tokio::test]
async fn a_cancelled_job_leaves_the_others_of_its_batch_alone() {
    let webui = webui().manual_clock().start().await;
    let stage = stage(&webui, &[]).await;
    let jobs = [job("a", 1), job("b", 2), job("c", 3)];
    let (first, handles) = behind_a_render(&stage, &webui, &jobs).await;
    soon(webui.gpu().advance(25)).await;
    completed(&first).await;
    soon(webui.gpu().begun(2)).await;
    soon(webui.gpu().rendering()).await;
    soon(handles[1].cancel()).await.unwrap();
    stage.worker.says("Job stopped.").await;
    assert_eq!(webui.gpu().interrupts(), 0);
    soon(webui.gpu().advance(4)).await;
    for (handle, job) in [(&handles[0], &jobs[0]), (&handles[2], &jobs[2])] {
        assert_eq!(timeless(&completed(handle).await), timeless(&alone(job).await));
    }
    assert_eq!(webui.gpu().renders(), 2);
    let status = soon(handles[1].status()).await.unwrap().status;
    assert_eq!(status.as_str(), "CANCELLED");
}

#[tokio::test]
async fn a_batch_that_no_job_wants_any_more_is_interrupted() {
    let webui = webui().manual_clock().start().await;
    let stage = stage(&webui, &[]).await;
    let (first, handles) = behind_a_render(&stage, &webui, &[job("a", 1), job("b", 2)]).await;
    soon(webui.gpu().advance(25)).await;
    completed(&first).await;
    soon(webui.gpu().begun(2)).await;
    soon(webui.gpu().rendering()).await;
    for handle in &handles {
        soon(handle.cancel()).await.unwrap();
    }
    stage.worker.says_again("Job stopped.", 2).await;
    soon(webui.gpu().idle()).await;
    assert!(webui.gpu().interrupts() >= 1);
    assert_eq!(webui.gpu().steps_done(), 25);
}

#[tokio::test]
async fn a_deadline_ends_its_own_job_alone() {
    let webui = webui().manual_clock().start().await;
    let stage = stage(&webui, &[]).await;
    let (first, handles) = behind_a_render(&stage, &webui, &[job("a", 1)]).await;
    let input: Value = serde_json::from_str(&job("b", 2)).unwrap();
    let hurried = stage.client.job(&input).unwrap();
    let hurried = soon(hurried.execution_timeout(Duration::from_secs(5)).run())
        .await
        .unwrap();
    stage.worker.says_again("\"Started.\"", 3).await;
    soon(webui.gpu().advance(25)).await;
    completed(&first).await;
    soon(webui.gpu().begun(2)).await;
    let report = soon(hurried.wait()).await.unwrap();
    assert_ne!(report.status.as_str(), "COMPLETED");
    assert_eq!(webui.gpu().interrupts(), 0);
    soon(webui.gpu().advance(4)).await;
    completed(&handles[0]).await;
    assert_eq!(webui.gpu().renders(), 2);
}

#[tokio::test]
async fn of_eight_jobs_only_the_guilty_one_fails() {
    let webui = webui()
        .step_time(Duration::from_millis(40))
        .fault(Fault::nan_for("guilty"))
        .start()
        .await;
    let stage = stage(&webui, &[]).await;
    let jobs: Vec<String> = (0..8)
        .map(|number| job(if number == 5 { "guilty" } else { "good" }, number))
        .collect();
    let (first, handles) = behind_a_render(&stage, &webui, &jobs).await;
    completed(&first).await;
    for (number, handle) in handles.iter().enumerate() {
        if number == 5 {
            let report = soon(handle.wait()).await.unwrap();
            assert_eq!(verdict(&error_of(&report))[0], "NAN_PICTURE");
        } else {
            completed(handle).await;
        }
    }
    // The first alone, all eight, halves of four, of two, and singles.
    assert_eq!(webui.gpu().renders(), 1 + 7);
    assert!(
        !stage.worker.log().contains("the WebUI needs care"),
        "halving is no illness"
    );
}

#[tokio::test]
async fn running_out_of_memory_teaches_the_limit_for_that_size() {
    let webui = webui()
        .step_time(Duration::from_millis(40))
        .fault(Fault::out_of_memory_above(2))
        .start()
        .await;
    let stage = stage(&webui, &[]).await;
    let jobs: Vec<String> = (0..4).map(|number| job("x", number)).collect();
    for round in 0..2_u64 {
        let before = webui.gpu().renders();
        let first = stage.submit(EXAMPLE).await;
        soon(webui.gpu().begun(before + 1)).await;
        let mut handles = Vec::new();
        for job in &jobs {
            handles.push(stage.submit(job).await);
        }
        for handle in handles.iter().chain([&first]) {
            completed(handle).await;
        }
        // The first time all four are tried at once.
        assert!(
            webui.gpu().renders() - before <= 4 - round,
            "{}",
            stage.worker.log()
        );
    }
    let line = stage.worker.says("has room for fewer pictures").await;
    assert!(line.contains("limit=2"), "{line}");
    assert!(!stage.worker.log().contains("the WebUI needs care"));
}

#[tokio::test]
async fn an_answer_that_is_not_that_of_the_jobs_turns_batches_off_and_harms_none() {
    let webui = webui()
        .step_time(Duration::from_millis(40))
        .fault(Fault::forget_fields(["alwayson_scripts"]).after(1))
        .start()
        .await;
    let stage = stage(&webui, &[]).await;
    let jobs = [job("a", 1), job("b", 2), job("c", 3)];
    let (first, handles) = behind_a_render(&stage, &webui, &jobs).await;
    completed(&first).await;
    for (handle, job) in handles.iter().zip(&jobs) {
        assert_eq!(timeless(&completed(handle).await), timeless(&alone(job).await));
    }
    stage
        .worker
        .says("the answer of a batch was not that of its jobs")
        .await;
    assert_eq!(webui.gpu().renders(), 1 + 1 + 3);
}

#[tokio::test]
async fn a_job_in_a_batch_is_shown_its_own_picture_count_and_no_preview() {
    let webui = webui().manual_clock().start().await;
    let more = [
        ("SD_WORKER_PROGRESS_INTERVAL", "50ms"),
        ("SD_WORKER_PREVIEW", "true"),
    ];
    let stage = stage(&webui, &more).await;
    let slow = |prompt| job(prompt, 1).replace("\"steps\":4", "\"steps\":40");
    let (first, handles) = behind_a_render(&stage, &webui, &[slow("a"), slow("b")]).await;
    soon(webui.gpu().advance(25)).await;
    completed(&first).await;
    soon(webui.gpu().begun(2)).await;
    soon(webui.gpu().advance(20)).await;
    for handle in &handles {
        let update = told(handle, |update| update["phase"] == "sampling").await;
        assert_eq!((&update["image"], &update["images"]), (&json!(1), &json!(1)));
        assert!(update.get("preview").is_none(), "it would show both");
    }
    soon(webui.gpu().advance(20)).await;
    for handle in &handles {
        completed(handle).await;
    }
}

#[tokio::test]
async fn without_the_extension_the_worker_takes_one_job_at_a_time_and_says_why() {
    for (builder, why) in [
        (MockWebUi::builder(), "does not have the worker's extension"),
        (
            MockWebUi::builder().batch_extension(2),
            "another version of the worker's extension",
        ),
        (MockWebUi::builder().profile(Profile::SdNext), "SD.Next"),
        (MockWebUi::builder().profile(Profile::V1_8), "this one is older"),
    ] {
        let webui = builder.manual_clock().start().await;
        let stage = Stage::with(webui.url(), &[("SD_WORKER_BATCH_LIMIT", "8")]).await;
        let line = stage.worker.says("each job is rendered alone, although").await;
        assert!(line.contains(why), "{line}");
        let first = stage.submit(EXAMPLE).await;
        soon(webui.gpu().rendering()).await;
        let second = stage.submit(EXAMPLE).await;
        told_in_queue(&second).await;
        soon(webui.gpu().advance(25)).await;
        completed(&first).await;
        soon(webui.gpu().begun(2)).await;
        soon(webui.gpu().advance(25)).await;
        completed(&second).await;
    }
}

/// Asks for the status of a job that no worker takes, a few times.
async fn told_in_queue(job: &JobHandle) {
    for _ in 0..5 {
        let status = soon(job.status()).await.unwrap().status;
        assert_eq!(status.as_str(), "IN_QUEUE");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn the_worker_takes_as_many_jobs_at_once_as_fit_into_a_batch() {
    let webui = webui().manual_clock().start().await;
    let stage = Stage::with(webui.url(), &[("SD_WORKER_BATCH_LIMIT", "3")]).await;
    let jobs = [job("a", 1), job("b", 2)];
    let (first, mut handles) = behind_a_render(&stage, &webui, &jobs).await;
    let beyond = stage.submit(&job("c", 3)).await;
    told_in_queue(&beyond).await;
    handles.push(beyond);
    soon(webui.gpu().advance(25)).await;
    completed(&first).await;
    let mut renders = 1;
    for handle in &handles {
        while !soon(handle.status()).await.unwrap().status.is_final() {
            if webui.gpu().renders() > renders {
                renders = webui.gpu().renders();
                soon(webui.gpu().advance(4)).await;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        completed(handle).await;
    }
    assert_eq!(stage.platform.violations().len(), 0);
}

#[tokio::test]
async fn what_a_batch_has_rendered_is_in_the_response_cache() {
    let webui = webui().manual_clock().start().await;
    let stage = stage(&webui, &[("SD_WORKER_RESPONSE_CACHE", "64")]).await;
    let jobs = [job("a", 1), job("b", 2)];
    let (first, handles) = behind_a_render(&stage, &webui, &jobs).await;
    soon(webui.gpu().advance(25)).await;
    completed(&first).await;
    soon(webui.gpu().begun(2)).await;
    soon(webui.gpu().advance(4)).await;
    let answers = [completed(&handles[0]).await, completed(&handles[1]).await];
    for (job, answer) in jobs.iter().zip(&answers) {
        assert_eq!(&stage.complete(job).await, answer);
    }
    assert_eq!(webui.gpu().renders(), 2);
}
