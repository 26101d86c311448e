//! The next job is asked for while one still renders, by the pace of its render.

use std::time::Duration;

use mock_webui::{Fault, MockWebUi};

use crate::support::{Channel, Platform, Request, worker};

/// A picture of so many steps.
fn picture(steps: u32) -> String {
    format!(r#"{{"prompt":"a red fox","steps":{steps},"width":64,"height":64}}"#)
}

/// The post that ends a job; those before it tell its progress.
async fn end_of(platform: &Platform, job: &str) -> Request {
    let is_end = |post: &Request| {
        post.head.header("x-request-id") == Some(job) && post.json()["output"]["images"].is_array()
    };
    platform.find(Channel::Done, is_end).await
}

#[tokio::test]
async fn the_next_job_is_asked_for_late_in_a_render_and_before_its_end() {
    // The second answer comes bit by bit, so that its job lasts longer than its steps foretell: there is time for the
    // take before its end on a slow machine, too.
    let drip = Fault::slow_drip(100, Duration::from_millis(50)).after(1);
    let webui = MockWebUi::builder()
        .step_time(Duration::from_millis(50))
        .fault(drip)
        .start()
        .await;
    let platform = Platform::start().await;
    let variables = [
        ("RUNPOD_WORKER_TAKE_AHEAD", "just_in_time"),
        ("SD_WORKER_PROGRESS_INTERVAL", "500ms"),
    ];
    let _worker = worker(&platform, &webui, &variables);
    platform.offer("first", &picture(10));
    end_of(&platform, "first").await;

    // From the first it is known how long a step takes.
    platform.offer("second", &picture(40));
    let take = platform.request(Channel::Take, 3).await;
    let step = webui.gpu().steps_done() - 10;
    assert!((20..=40).contains(&step), "asked for at step {step} of 40");
    let end = end_of(&platform, "second").await;
    assert!(take.at < end.at, "{:?} too late", take.at - end.at);

    platform.offer("third", &picture(1));
    end_of(&platform, "third").await;
    assert_eq!(webui.gpu().renders(), 3);
}
