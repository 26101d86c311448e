use runpod_protocol::sync::Mutex;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::Semaphore;

use super::support::{Running, results};
use crate::runtime::{ActiveJobs, Ended};
use crate::{Concurrency, JobError, JobResult, Worker};

async fn sleep(millis: u64) -> JobResult<u64> {
    tokio::time::sleep(Duration::from_millis(millis)).await;
    Ok(millis)
}

async fn work_through(running: &Running, jobs: usize) {
    for job in 0..jobs {
        running.platform.submit(&format!("j{job}"), json!(100));
    }
    running
        .platform
        .until(|exchanges| (results(exchanges).len() == jobs).then_some(()))
        .await;
}

fn suggested() -> Concurrency {
    Concurrency::adaptive(1..=6, |load| load.suggest())
}

#[tokio::test(start_paused = true)]
async fn a_worker_whose_jobs_share_well_grows_to_the_highest_limit() {
    let concurrency = suggested();
    let running = Running::start(Worker::new(sleep).concurrency(concurrency.clone())).await;
    work_through(&running, 100).await;
    assert_eq!(concurrency.get(), 6);
}

#[tokio::test(start_paused = true)]
async fn a_worker_whose_jobs_wait_for_each_other_stays_small() {
    let card = Arc::new(Semaphore::new(1));
    let rendering = move |millis: u64| {
        let card = card.clone();
        async move {
            let _card = card.acquire().await?;
            tokio::time::sleep(Duration::from_millis(millis)).await;
            Ok::<_, JobError>(())
        }
    };
    let concurrency = suggested();
    let running = Running::start(Worker::new(rendering).concurrency(concurrency.clone())).await;
    work_through(&running, 100).await;
    assert!((2..=3).contains(&concurrency.get()), "{}", concurrency.get());
}

#[tokio::test(start_paused = true)]
async fn the_function_is_asked_when_a_job_arrives_or_ends_and_not_in_between() {
    let loads = Arc::new(Mutex::new(Vec::new()));
    let seen = loads.clone();
    let concurrency = Concurrency::adaptive(2..=2, move |load| {
        seen.lock().push((load.running, load.ended));
        2
    });
    let running = Running::start(Worker::new(sleep).concurrency(concurrency)).await;
    tokio::time::sleep(Duration::from_hours(1)).await;
    running.platform.submit("j", json!(60_000));
    running.platform.result("j").await;
    tokio::time::sleep(Duration::from_hours(1)).await;
    assert_eq!(*loads.lock(), [(1, 0), (0, 1)]);
}

#[tokio::test(start_paused = true)]
async fn a_choice_outside_the_range_is_the_nearest_bound() {
    let concurrency = Concurrency::adaptive(1..=3, |load| if load.running > 0 { 1000 } else { 0 });
    let running = Running::start(Worker::new(sleep).concurrency(concurrency.clone())).await;
    running.platform.submit("first", json!(1000));
    running.active_jobs.until(|jobs| jobs.len() == 1).await;
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(concurrency.get(), 3);
    running.active_jobs.until(ActiveJobs::is_empty).await;
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(concurrency.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_function_that_panics_leaves_the_limit_and_the_worker_alone() {
    let panics = |_| std::panic::resume_unwind(Box::new("no idea"));
    let concurrency = Concurrency::adaptive(2..=4, panics);
    let running = Running::start(Worker::new(sleep).concurrency(concurrency.clone())).await;
    work_through(&running, 5).await;
    assert_eq!(concurrency.get(), 2);
    assert_eq!(running.drained().await, Ended::Drained);
}
