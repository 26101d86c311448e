//! One render at a time, in order; progress, interrupt and skip.

use std::time::Duration;

use mock_webui::MockWebUi;
use serde_json::json;

use crate::support::{get, info, picture, post, render, small, start};

#[tokio::test]
async fn progress_follows_the_clock() {
    let webui = MockWebUi::builder().manual_clock().start().await;
    let job = start(&webui, &small("x", 40));
    webui.gpu().rendering().await;
    assert_eq!(webui.gpu().advance(12).await, 12);
    let seen = get(&webui, "progress").await;
    assert_eq!(seen["progress"], json!(0.31));
    assert_eq!(seen["state"]["sampling_step"], json!(12));
    assert_eq!(seen["state"]["job"], json!("scripts_txt2img"));
    assert!(seen["current_image"].is_string(), "a preview from step 10 on");
    webui.gpu().advance(28).await;
    job.await.expect("answered");
    let idle = get(&webui, "progress").await;
    assert_eq!(
        (&idle["progress"], &idle["state"]["job_no"]),
        (&json!(0.0), &json!(1))
    );
    assert_eq!(idle["state"]["sampling_steps"], json!(40));
}

#[tokio::test]
async fn no_preview_before_step_ten_and_none_when_asked_to_skip_it() {
    let webui = MockWebUi::builder().manual_clock().start().await;
    let job = start(&webui, &small("x", 20));
    webui.gpu().advance(9).await;
    assert!(get(&webui, "progress").await["current_image"].is_null());
    webui.gpu().advance(1).await;
    assert!(get(&webui, "progress?skip_current_image=true").await["current_image"].is_null());
    assert!(get(&webui, "progress").await["current_image"].is_string());
    webui.gpu().advance(10).await;
    job.await.expect("answered");
}

#[tokio::test]
async fn an_interrupt_ends_the_running_render_with_what_it_has() {
    let webui = MockWebUi::builder().manual_clock().start().await;
    let request = json!({ "prompt": "x", "steps": 10, "width": 64, "height": 64, "seed": 1, "n_iter": 3 });
    let job = start(&webui, &request);
    webui.gpu().rendering().await;
    webui.gpu().advance(15).await;
    assert_eq!(webui.gpu().progress().job, "Batch 2 out of 3");
    assert_eq!(
        post(&webui, "interrupt", &json!({}))
            .await
            .text()
            .await
            .expect("a body"),
        "{}"
    );
    let answer = job.await.expect("answered");
    let info = info(&answer);
    assert_eq!(answer["images"].as_array().map(Vec::len), Some(2));
    assert_eq!(info["infotexts"].as_array().map(Vec::len), Some(2));
    assert_eq!(info["all_seeds"], json!([1, 2, 3]));
    assert!(
        get(&webui, "progress").await["state"]["interrupted"]
            .as_bool()
            .expect("a flag")
    );
    assert_eq!(webui.gpu().steps_done(), 15);
}

#[tokio::test]
async fn an_interrupt_leaves_waiting_renders_alone() {
    let webui = MockWebUi::builder().manual_clock().start().await;
    let first = start(&webui, &small("first", 10));
    webui.gpu().rendering().await;
    let second = start(&webui, &small("second", 10));
    webui.gpu().queued(2).await;
    post(&webui, "interrupt", &json!({})).await;
    first.await.expect("answered");
    assert_eq!(webui.gpu().advance(10).await, 10);
    let second = second.await.expect("answered");
    let whole = MockWebUi::start().await;
    assert_eq!(
        picture(&second, 0),
        picture(&render(&whole, &small("second", 10)).await, 0)
    );
}

#[tokio::test]
async fn a_skip_ends_one_batch_and_the_next_runs() {
    let webui = MockWebUi::builder().manual_clock().start().await;
    let request = json!({ "prompt": "x", "steps": 10, "width": 64, "height": 64, "n_iter": 2 });
    let job = start(&webui, &request);
    webui.gpu().advance(3).await;
    assert_eq!(
        post(&webui, "skip", &json!({}))
            .await
            .text()
            .await
            .expect("a body"),
        "null"
    );
    assert_eq!(
        webui.gpu().advance(20).await,
        10,
        "only the second batch had steps left"
    );
    assert_eq!(
        job.await.expect("answered")["images"].as_array().map(Vec::len),
        Some(2)
    );
}

#[tokio::test]
async fn renders_run_one_after_another_in_the_order_they_came() {
    let webui = MockWebUi::builder().manual_clock().start().await;
    let mut jobs = Vec::new();
    for steps in 1..=4 {
        jobs.push(start(&webui, &small("x", steps)));
        webui.gpu().queued(steps as usize).await;
    }
    for (steps, job) in (1..=4).zip(jobs) {
        webui.gpu().rendering().await;
        assert_eq!(webui.gpu().progress().sampling_steps, steps);
        webui.gpu().advance(steps).await;
        assert_eq!(info(&job.await.expect("answered"))["steps"], json!(steps));
    }
    assert_eq!(webui.gpu().renders(), 4);
}

#[tokio::test]
async fn a_client_that_goes_away_does_not_stop_its_render() {
    let webui = MockWebUi::builder().manual_clock().start().await;
    let job = start(&webui, &small("x", 10));
    webui.gpu().rendering().await;
    job.abort();
    assert!(job.await.expect_err("aborted").is_cancelled());
    assert_eq!(webui.gpu().advance(10).await, 10);
    webui.gpu().idle().await;
    assert_eq!(webui.gpu().renders(), 1);
}

#[tokio::test]
async fn fifty_waiting_requests_do_not_slow_progress() {
    let webui = MockWebUi::builder().manual_clock().start().await;
    let jobs: Vec<_> = (0..50).map(|_| start(&webui, &small("x", 1))).collect();
    webui.gpu().queued(50).await;
    let begun = std::time::Instant::now();
    get(&webui, "progress").await;
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(1), "{took:?}");
    webui.gpu().advance(50).await;
    for job in jobs {
        job.await.expect("answered");
    }
}
