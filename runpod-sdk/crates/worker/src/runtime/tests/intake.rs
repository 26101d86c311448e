use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::support::{Running, results, takes};
use crate::platform::memory::{Exchange, Fault};
use crate::runtime::{ActiveJobs, Ended};
use crate::settings::Intake;
use crate::{JobResult, Worker};

async fn sleep(seconds: u64) -> JobResult<u64> {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    Ok(seconds)
}

async fn first_take(running: &Running) {
    running
        .platform
        .until(|exchanges| (!takes(exchanges).is_empty()).then_some(()))
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_poll_that_waits_is_given_up_when_the_intake_is_paused() {
    let intake = Intake::new();
    let running = Running::start(Worker::new(sleep).intake(&intake)).await;
    first_take(&running).await;
    intake.pause("the backend does not answer");
    tokio::time::sleep(Duration::from_millis(1)).await;
    running.platform.submit("j", json!(1));
    tokio::time::sleep(Duration::from_mins(5)).await;
    assert!(running.platform.handed_out().is_empty(), "no take was in flight");
    assert_eq!(takes(&running.platform.exchanges()).len(), 1);

    let resumed = Instant::now();
    intake.resume();
    running.platform.result("j").await;
    assert_eq!(
        resumed.elapsed(),
        Duration::from_secs(1),
        "and it goes on at once"
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_here_when_the_intake_is_paused_is_finished() {
    let intake = Intake::new();
    let running = Running::start(Worker::new(sleep).intake(&intake)).await;
    running.platform.hand_out_more_than_asked(1);
    running.platform.submit("runs", json!(10));
    running.platform.submit("waits", json!(10));
    running.platform.submit("stays in the queue", json!(10));
    running.active_jobs.until(|jobs| jobs.len() == 2).await;
    intake.pause("hot");
    running.platform.result("waits").await;
    running.active_jobs.until(ActiveJobs::is_empty).await;
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert_eq!(running.platform.handed_out(), ["runs", "waits"]);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_starts_paused_takes_nothing() {
    let intake = Intake::new();
    intake.pause("not warm yet");
    let running = Running::start(Worker::new(sleep).intake(&intake)).await;
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert!(takes(&running.platform.exchanges()).is_empty());
    assert_eq!(running.drained().await, Ended::Drained, "it can still drain");
}

#[tokio::test(start_paused = true)]
async fn a_pause_while_all_slots_are_taken_holds_for_the_next_take() {
    let intake = Intake::new();
    let running = Running::start(Worker::new(sleep).intake(&intake)).await;
    running.platform.submit("first", json!(10));
    running.platform.submit("second", json!(10));
    running.active_jobs.until(|jobs| jobs.len() == 1).await;
    intake.pause("hot");
    running.platform.result("first").await;
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert_eq!(running.platform.handed_out(), ["first"]);
}

#[tokio::test(start_paused = true)]
async fn a_retired_worker_finishes_asks_for_another_and_ends() {
    let intake = Intake::new();
    let running = Running::start(Worker::new(sleep).concurrency(2).intake(&intake)).await;
    running.platform.submit("short", json!(1));
    running.platform.submit("long", json!(60));
    running.platform.result("short").await;
    intake.retire("the card has fallen off the bus");
    let platform = running.platform.clone();
    tokio::time::sleep(Duration::from_millis(1)).await;
    platform.submit("for another worker", json!(1));
    assert_eq!(running.ended().await, Ended::Drained);
    assert_eq!(
        results(&platform.exchanges()),
        [
            ("short".to_owned(), r#"{"output": 1}"#.to_owned()),
            ("long".to_owned(), r#"{"output": 60, "stopPod": true}"#.to_owned()),
        ]
    );
    assert_eq!(platform.handed_out(), ["short", "long"]);
}

#[tokio::test(start_paused = true)]
async fn a_result_that_was_posted_before_is_not_changed_by_retiring() {
    let intake = Intake::new();
    let running = Running::start(Worker::new(sleep).intake(&intake)).await;
    running
        .platform
        .with_faults(|exchange| matches!(exchange, Exchange::Result { .. }).then_some(Fault::LoseAnswer));
    running.platform.submit("j", json!(1));
    running.platform.result("j").await;
    intake.retire("broken");
    running.platform.with_faults(|_| None);
    let platform = running.platform.clone();
    assert_eq!(running.ended().await, Ended::Drained);
    let results = results(&platform.exchanges());
    assert!(results.len() > 1, "it was posted again");
    assert!(results.iter().all(|(_, body)| body == r#"{"output": 1}"#));
}

#[tokio::test(start_paused = true)]
async fn a_paused_worker_can_be_retired() {
    let intake = Intake::new();
    intake.pause("the backend does not answer");
    let running = Running::start(Worker::new(sleep).intake(&intake)).await;
    tokio::time::sleep(Duration::from_mins(1)).await;
    intake.retire("and it did not come back");
    assert_eq!(running.ended().await, Ended::Drained);
}
