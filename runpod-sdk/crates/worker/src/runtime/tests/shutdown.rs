use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::support::{Running, results, takes};
use crate::platform::memory::{Exchange, Fault};
use crate::runtime::Ended;
use crate::settings::WhenAbandoned;
use crate::{Concurrency, Context, JobResult, Worker};

async fn sleep(seconds: u64) -> JobResult<u64> {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    Ok(seconds)
}

#[tokio::test(start_paused = true)]
async fn an_idle_worker_ends_at_once() {
    let running = Running::start(Worker::new(sleep)).await;
    running
        .platform
        .until(|exchanges| (takes(exchanges).len() == 1).then_some(()))
        .await;
    let began = Instant::now();
    assert_eq!(running.drained().await, Ended::Drained);
    assert_eq!(
        began.elapsed(),
        Duration::ZERO,
        "neither the take nor the stop poll is waited for"
    );
}

#[tokio::test(start_paused = true)]
async fn running_and_waiting_jobs_are_finished_and_no_more_taken() {
    let running = Running::start(Worker::new(sleep)).await;
    running.platform.hand_out_more_than_asked(1);
    running.platform.submit("runs", json!(5));
    running.platform.submit("waits", json!(5));
    running.active_jobs.until(|jobs| jobs.len() == 2).await;
    let platform = running.platform.clone();
    running.shutdown.drain.cancel();
    platform.submit("late", json!(1));
    assert_eq!(running.ended().await, Ended::Drained);
    let done: Vec<String> = results(&platform.exchanges())
        .into_iter()
        .map(|(job, _)| job)
        .collect();
    assert_eq!(done, ["runs", "waits"]);
}

#[tokio::test(start_paused = true)]
async fn a_job_can_still_be_stopped_while_the_worker_drains() {
    async fn forever(_: u32, ctx: Context) -> JobResult<()> {
        ctx.cancelled().await;
        Ok(())
    }
    let running = Running::start(Worker::new(forever)).await;
    running.platform.submit("j", json!(0));
    running.active_jobs.until(|jobs| jobs.len() == 1).await;
    running.shutdown.drain.cancel();
    tokio::time::sleep(Duration::from_secs(30)).await;
    running.platform.stop("j");
    assert_eq!(running.ended().await, Ended::Drained);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_grace_cancels_and_leaves_the_job_to_others() {
    let worker = Worker::new(sleep).shutdown_grace(Duration::from_secs(20));
    let running = Running::start(worker).await;
    running.platform.submit("j", json!(3600));
    running.active_jobs.until(|jobs| jobs.len() == 1).await;
    let (began, platform, active_jobs) = (
        Instant::now(),
        running.platform.clone(),
        running.active_jobs.clone(),
    );
    assert_eq!(running.drained().await, Ended::Abandoned { jobs: 1 });
    assert_eq!(began.elapsed().as_secs(), 20 + 10, "grace, then cancel grace");
    assert!(results(&platform.exchanges()).is_empty());
    assert_eq!(active_jobs.ids(), None, "the heartbeat no longer vouches for it");
}

#[tokio::test(start_paused = true)]
async fn running_jobs_have_ten_minutes_unless_the_worker_says_otherwise() {
    let running = Running::start(Worker::new(sleep)).await;
    running.platform.submit("j", json!(3600));
    running.active_jobs.until(|jobs| jobs.len() == 1).await;
    let began = Instant::now();
    assert_eq!(running.drained().await, Ended::Abandoned { jobs: 1 });
    assert_eq!(began.elapsed().as_secs(), 600 + 10, "grace, then cancel grace");
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_drains_while_its_concurrency_shrinks_takes_no_more() {
    let concurrency = Concurrency::new(2);
    let running = Running::start(Worker::new(sleep).concurrency(concurrency.clone())).await;
    running.platform.submit("long", json!(20));
    running.platform.submit("short", json!(10));
    running.active_jobs.until(|jobs| jobs.len() == 2).await;
    concurrency.set(1);
    running.platform.submit("for another worker", json!(1));
    tokio::time::sleep(Duration::from_secs(5)).await;
    let platform = running.platform.clone();
    assert_eq!(running.drained().await, Ended::Drained);
    assert_eq!(platform.handed_out(), ["long", "short"]);
    assert_eq!(results(&platform.exchanges()).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_take_loop_that_breaks_ends_the_worker_once_its_jobs_are_done() {
    let running = Running::start(Worker::new(sleep).concurrency(2)).await;
    running.platform.submit("runs", json!(30));
    running.active_jobs.until(|jobs| jobs.len() == 1).await;
    running.platform.with_faults(|exchange| match exchange {
        Exchange::Take { .. } => panic!("a bug"),
        _ => None,
    });
    // The poll that is open ends, and the next one breaks.
    let (platform, ended) = (running.platform.clone(), running.failed().await);
    let message = ended.to_string();
    assert!(
        message.starts_with("Uncaught exception | ") && message.contains("a bug"),
        "{message}"
    );
    assert_eq!(results(&platform.exchanges())[0].0, "runs");
}

#[tokio::test(start_paused = true)]
async fn a_job_that_saves_its_work_within_the_cancel_grace_is_delivered() {
    async fn saves(_: u32, ctx: Context) -> JobResult<String> {
        Ok(format!("{:?}", ctx.cancelled().await))
    }
    let running = Running::start(Worker::new(saves).shutdown_grace(Duration::from_secs(1))).await;
    running.platform.submit("j", json!(0));
    running.active_jobs.until(|jobs| jobs.len() == 1).await;
    let platform = running.platform.clone();
    assert_eq!(running.drained().await, Ended::Drained);
    assert_eq!(
        results(&platform.exchanges())[0].1,
        r#"{"output": "ShuttingDown"}"#
    );
}

#[tokio::test(start_paused = true)]
async fn an_abandoned_job_is_reported_where_that_is_wanted() {
    let worker = Worker::new(sleep)
        .shutdown_grace(Duration::from_secs(1))
        .when_abandoned(WhenAbandoned::PostError);
    let running = Running::start(worker).await;
    running.platform.submit("j", json!(3600));
    running.active_jobs.until(|jobs| jobs.len() == 1).await;
    let platform = running.platform.clone();
    assert_eq!(running.drained().await, Ended::Drained);
    assert!(results(&platform.exchanges())[0].1.contains("WORKER_STOPPED"));
}

#[tokio::test(start_paused = true)]
async fn a_second_signal_ends_the_worker_at_once() {
    let running = Running::start(Worker::new(sleep).concurrency(2)).await;
    running
        .platform
        .with_faults(|exchange| matches!(exchange, Exchange::Result { .. }).then_some(Fault::LoseRequest));
    running.platform.submit("undelivered", json!(0));
    running.platform.submit("running", json!(3600));
    running.active_jobs.until(|jobs| jobs.len() == 2).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    running.shutdown.drain.cancel();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let began = Instant::now();
    running.shutdown.abandon.cancel();
    assert_eq!(running.ended().await, Ended::Abandoned { jobs: 2 });
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_second_signal_posts_errors_where_that_is_wanted() {
    let running = Running::start(Worker::new(sleep).when_abandoned(WhenAbandoned::PostError)).await;
    running.platform.submit("j", json!(3600));
    running.active_jobs.until(|jobs| jobs.len() == 1).await;
    let platform = running.platform.clone();
    running.shutdown.drain.cancel();
    tokio::time::sleep(Duration::from_secs(1)).await;
    running.shutdown.abandon.cancel();
    assert_eq!(running.ended().await, Ended::Drained);
    assert!(results(&platform.exchanges())[0].1.contains("WORKER_STOPPED"));
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_refreshes_does_one_round_of_jobs_and_ends() {
    let running = Running::start(Worker::new(sleep).refresh_worker(true)).await;
    running.platform.submit("only", json!(1));
    running.platform.submit("for another worker", json!(1));
    let platform = running.platform.clone();
    assert_eq!(running.ended().await, Ended::Drained);
    assert_eq!(
        results(&platform.exchanges()),
        [("only".to_owned(), r#"{"output": 1, "stopPod": true}"#.to_owned())]
    );
    assert_eq!(takes(&platform.exchanges()).len(), 1, "no take after the job");
}

#[tokio::test(start_paused = true)]
async fn one_job_can_ask_for_a_fresh_worker_even_if_it_fails() {
    async fn sickly(sick: bool, ctx: Context) -> JobResult<()> {
        if sick {
            ctx.refresh_worker();
            return Err("the card has fallen off the bus".into());
        }
        Ok(())
    }
    let running = Running::start(Worker::new(sickly)).await;
    running.platform.submit("well", json!(false));
    running.platform.submit("sick", json!(true));
    running.platform.submit("for another worker", json!(false));
    let platform = running.platform.clone();
    assert_eq!(running.ended().await, Ended::Drained);
    let results = results(&platform.exchanges());
    assert_eq!(results.len(), 2);
    assert_eq!(results[0].1, r#"{"output": null}"#);
    assert!(
        results[1].1.ends_with(r#", "stopPod": true}"#),
        "{}",
        results[1].1
    );
}
