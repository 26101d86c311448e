use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::support::{Running, results, takes};
use crate::job::Job;
use crate::platform::memory::{Exchange, Fault};
use crate::runtime::Ended;
use crate::{Concurrency, Context, JobError, JobResult, Worker};

async fn sleep(millis: u64, _: Context) -> JobResult<u64> {
    tokio::time::sleep(Duration::from_millis(millis)).await;
    Ok(millis)
}

#[tokio::test(start_paused = true)]
async fn the_next_job_is_taken_at_once_when_a_handler_returns() {
    let running = Running::start(Worker::new(sleep)).await;
    let began = Instant::now();
    for job in 0..10 {
        running.platform.submit(&format!("j{job}"), json!(200));
    }
    running.platform.result("j9").await;
    assert_eq!(
        began.elapsed(),
        Duration::from_secs(2),
        "ten jobs of 200 ms, and nothing between them"
    );
}

#[tokio::test(start_paused = true)]
async fn a_slow_delivery_does_not_hold_up_the_next_job() {
    let running = Running::start(Worker::new(sleep)).await;
    running.platform.with_faults(|exchange| {
        matches!(exchange, Exchange::Result { .. }).then_some(Fault::Delay(Duration::from_secs(5)))
    });
    let began = Instant::now();
    for job in 0..4 {
        running.platform.submit(&format!("j{job}"), json!(1000));
    }
    running.platform.result("j3").await;
    assert_eq!(began.elapsed(), Duration::from_secs(4 + 5));
    let busy: Vec<bool> = takes(&running.platform.exchanges())
        .into_iter()
        .map(|(_, busy)| busy)
        .collect();
    assert_eq!(
        busy,
        [false, true, true, true, true],
        "a result on its way is a job in progress"
    );
}

#[tokio::test(start_paused = true)]
async fn free_slots_are_filled_by_one_batch() {
    let running = Running::start(Worker::new(sleep).concurrency(3)).await;
    for job in 0..4 {
        running.platform.submit(&format!("j{job}"), json!(1000));
    }
    running.platform.result("j3").await;
    let takes = takes(&running.platform.exchanges());
    assert_eq!(takes[0], (3, false));
    assert_eq!(
        takes[1],
        (3, true),
        "all three slots are free again when the next take is sent"
    );
}

#[tokio::test(start_paused = true)]
async fn never_more_jobs_run_than_there_are_slots() {
    let most = Arc::new(AtomicUsize::new(0));
    let now = Arc::new(AtomicUsize::new(0));
    let counting = {
        let (most, now) = (most.clone(), now.clone());
        move |millis: u64| {
            let (most, now) = (most.clone(), now.clone());
            async move {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(millis)).await;
                now.fetch_sub(1, Ordering::SeqCst);
                Ok::<_, JobError>(())
            }
        }
    };
    let running = Running::start(Worker::new(counting).concurrency(2)).await;
    running.platform.hand_out_more_than_asked(3);
    for job in 0..12 {
        running.platform.submit(&format!("j{job}"), json!(100 + job));
    }
    running
        .platform
        .until(|exchanges| (results(exchanges).len() == 12).then_some(()))
        .await;
    assert_eq!(most.load(Ordering::SeqCst), 2);
    assert_eq!(running.drained().await, Ended::Drained);
}

#[tokio::test(start_paused = true)]
async fn jobs_beyond_those_asked_for_run_before_more_are_taken() {
    let running = Running::start(Worker::new(sleep)).await;
    running.platform.hand_out_more_than_asked(1);
    let began = Instant::now();
    running.platform.submit("asked", json!(1000));
    running.platform.submit("extra", json!(1000));
    running.platform.result("extra").await;
    assert_eq!(
        began.elapsed(),
        Duration::from_secs(2),
        "the extra job did not wait for another poll"
    );
}

#[tokio::test(start_paused = true)]
async fn a_job_that_is_handed_out_twice_runs_once() {
    let running = Running::start(Worker::new(sleep).concurrency(2)).await;
    running.platform.submit("twin", json!(1000));
    running
        .platform
        .until(|exchanges| (takes(exchanges).len() == 2).then_some(()))
        .await;
    running.platform.submit("twin", json!(1000));
    running.platform.submit("last", json!(3000));
    running.platform.result("last").await;
    assert_eq!(
        results(&running.platform.exchanges())
            .iter()
            .filter(|(job, _)| job == "twin")
            .count(),
        1
    );
}

#[tokio::test(start_paused = true)]
async fn a_platform_that_fails_for_two_seconds_is_asked_at_most_ten_times() {
    let running = Running::start(Worker::new(sleep)).await;
    let until = Instant::now() + Duration::from_secs(2);
    let refused = Arc::new(AtomicUsize::new(0));
    let count = refused.clone();
    running.platform.with_faults(move |exchange| {
        let failing = matches!(exchange, Exchange::Take { .. }) && Instant::now() < until;
        failing.then(|| {
            count.fetch_add(1, Ordering::SeqCst);
            Fault::Refuse(500)
        })
    });
    // The poll that was in flight before the faults began must end first.
    running.platform.submit("before", json!(0));
    running.platform.submit("after", json!(0));
    running.platform.result("after").await;
    let refused = refused.load(Ordering::SeqCst);
    assert!((1..=10).contains(&refused), "{refused} takes in two seconds");
    assert!(
        Instant::now() < until + Duration::from_secs(3),
        "and the work goes on soon after"
    );
}

#[tokio::test(start_paused = true)]
async fn growing_takes_effect_while_jobs_run() {
    let concurrency = Concurrency::new(1);
    let running = Running::start(Worker::new(sleep).concurrency(concurrency.clone())).await;
    let began = Instant::now();
    for job in 0..4 {
        running.platform.submit(&format!("j{job}"), json!(3000));
    }
    running
        .platform
        .until(|exchanges| (takes(exchanges).len() == 1).then_some(()))
        .await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    concurrency.set(4);
    running.platform.result("j3").await;
    assert_eq!(began.elapsed(), Duration::from_millis(3100));
}

#[tokio::test(start_paused = true)]
async fn shrinking_lets_running_jobs_end() {
    let concurrency = Concurrency::new(3);
    let running = Running::start(Worker::new(sleep).concurrency(concurrency.clone())).await;
    for job in 0..5 {
        running.platform.submit(&format!("j{job}"), json!(1000));
    }
    running.active_jobs.until(|jobs| jobs.len() == 3).await;
    concurrency.set(1);
    let began = Instant::now();
    running
        .platform
        .until(|exchanges| (results(exchanges).len() == 5).then_some(()))
        .await;
    assert_eq!(
        began.elapsed(),
        Duration::from_secs(3),
        "three at once, then one after the other"
    );
}

#[tokio::test(start_paused = true)]
async fn too_many_undelivered_results_stop_the_taking() {
    let running = Running::start(Worker::new(sleep)).await;
    running
        .platform
        .with_faults(|exchange| matches!(exchange, Exchange::Result { .. }).then_some(Fault::Refuse(500)));
    for job in 0..30 {
        running.platform.submit(&format!("j{job}"), json!(1));
    }
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert_eq!(running.active_jobs.len(), 16);
    running.platform.with_faults(|_| None);
    running
        .platform
        .until(|exchanges| (results(exchanges).len() == 30).then_some(()))
        .await;
}

#[tokio::test]
async fn a_blocking_handler_keeps_its_slot_until_its_thread_is_done() {
    let (release, wait) = std::sync::mpsc::channel::<()>();
    let wait = Arc::new(std::sync::Mutex::new(wait));
    let blocks = move |block: bool| -> JobResult<()> {
        if block {
            wait.lock().unwrap().recv()?;
        }
        Ok(())
    };
    let worker: Worker = Worker::blocking(blocks).cancel_grace(Duration::from_millis(1));
    let running = Running::start(worker).await;
    running.platform.submit("stubborn", json!(true));
    running.active_jobs.until(|jobs| jobs.len() == 1).await;
    running.platform.submit("next", json!(false));
    running.platform.stop("stubborn");
    running
        .active_jobs
        .until(crate::runtime::ActiveJobs::is_empty)
        .await;
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(
        running.platform.handed_out(),
        ["stubborn"],
        "its thread still runs, so no job is taken"
    );
    release.send(()).unwrap();
    running.platform.result("next").await;
}

#[tokio::test(start_paused = true)]
async fn a_job_without_an_input_is_answered_and_its_handler_is_not_called() {
    let called = Arc::new(AtomicUsize::new(0));
    let calls = called.clone();
    let running = Running::start(Worker::new(move |_: serde_json::Value| {
        calls.fetch_add(1, Ordering::Relaxed);
        async { Ok::<_, JobError>(()) }
    }))
    .await;
    running.platform.submit_job(Job::without_input(&"j1".into()));
    let result = running.platform.result("j1").await;
    assert!(
        result.contains("INVALID_INPUT") && result.contains("the job has no `input`"),
        "{result}"
    );
    assert_eq!(called.load(Ordering::Relaxed), 0);
    running.platform.submit("j2", json!(1));
    running.platform.result("j2").await;
    assert_eq!(running.drained().await, Ended::Drained);
}
