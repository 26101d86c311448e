use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use serde_json::json;
use tokio::time::Instant;

use super::support::{Running, results};
use crate::context::CancelReason;
use crate::job::Job;
use crate::platform::memory::Exchange;
use crate::runtime::{ActiveJobs, Ended};
use crate::{Context, JobError, JobResult, Streaming, Worker};

/// A handler that runs until it is cancelled, and returns the reason.
async fn until_cancelled(_: u32, ctx: Context) -> JobResult<String> {
    let reason = ctx.cancelled().await;
    Err(JobError::message_only(format!("{reason:?}")))
}

#[tokio::test(start_paused = true)]
async fn a_stopped_job_posts_nothing_and_its_slot_is_free() {
    let running = Running::start(Worker::new(until_cancelled)).await;
    running.platform.submit("j", json!(0));
    running.active_jobs.until(|jobs| jobs.len() == 1).await;
    running.platform.stop("j");
    running.active_jobs.until(ActiveJobs::is_empty).await;
    running.platform.submit("next", json!(0));
    running.active_jobs.until(|jobs| jobs.len() == 1).await;
    assert!(results(&running.platform.exchanges()).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_stopped_job_hurts_no_sibling() {
    async fn maybe(forever: bool, ctx: Context) -> JobResult<&'static str> {
        if forever {
            ctx.cancelled().await;
        }
        tokio::time::sleep(Duration::from_secs(5)).await;
        Ok("done")
    }
    let running = Running::start(Worker::new(maybe).concurrency(2)).await;
    running.platform.submit("sibling", json!(false));
    running.platform.submit("victim", json!(true));
    running.active_jobs.until(|jobs| jobs.len() == 2).await;
    running.platform.stop("victim");
    assert_eq!(running.platform.result("sibling").await, r#"{"output": "done"}"#);
    running.active_jobs.until(ActiveJobs::is_empty).await;
    assert_eq!(
        results(&running.platform.exchanges()).len(),
        1,
        "a stopped job's value is not posted either"
    );
}

#[tokio::test(start_paused = true)]
async fn a_job_that_waits_for_a_slot_is_stopped_without_running() {
    let ran = Arc::new(AtomicBool::new(false));
    let note = ran.clone();
    let handler = move |second: bool, ctx: Context| {
        let note = note.clone();
        async move {
            if second {
                note.store(true, Ordering::SeqCst);
            }
            ctx.cancelled().await;
            Ok::<_, JobError>(())
        }
    };
    let running = Running::start(Worker::new(handler)).await;
    running.platform.hand_out_more_than_asked(1);
    running.platform.submit("runs", json!(false));
    running.platform.submit("waits", json!(true));
    running.active_jobs.until(|jobs| jobs.len() == 2).await;
    running.platform.stop("waits");
    running.active_jobs.until(|jobs| jobs.len() == 1).await;
    running.platform.stop("runs");
    running.active_jobs.until(ActiveJobs::is_empty).await;
    assert!(!ran.load(Ordering::SeqCst));
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_ignores_its_cancellation_is_dropped_after_the_grace() {
    async fn deaf(_: u32) -> JobResult<()> {
        std::future::pending().await
    }
    let running = Running::start(Worker::new(deaf)).await;
    running.platform.submit("j", json!(0));
    running.active_jobs.until(|jobs| jobs.len() == 1).await;
    let began = Instant::now();
    running.platform.stop("j");
    running.active_jobs.until(ActiveJobs::is_empty).await;
    assert_eq!(began.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_fails_the_job_and_says_so() {
    let running = Running::start(Worker::new(until_cancelled).timeout(Duration::from_secs(7))).await;
    running.platform.submit("j", json!(0));
    let began = Instant::now();
    let body = running.platform.result("j").await;
    assert_eq!(began.elapsed().as_secs(), 7);
    assert!(
        body.contains("TIMEOUT") && body.contains("DeadlineExceeded"),
        "{body}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_ends_with_an_error_because_it_was_cancelled_ends_as_any_cancelled_job() {
    // One chunk, then an error as soon as it is cancelled.
    let streaming = |_: u32, ctx: Context| async move {
        let chunks = stream::iter([Ok("begun")]).chain(stream::once(async move {
            let reason = ctx.cancelled().await;
            Err(JobError::message_only(format!("{reason:?}")))
        }));
        Ok::<_, JobError>(Streaming::new(chunks))
    };
    let worker = Worker::new(streaming)
        .timeout(Duration::from_secs(7))
        .shutdown_grace(Duration::from_secs(1));
    let running = Running::start(worker).await;
    running.platform.submit("late", json!(0));
    let body = running.platform.result("late").await;
    assert!(
        body.contains("TIMEOUT") && body.contains("DeadlineExceeded"),
        "{body}"
    );

    running.platform.submit("requeued", json!(0));
    let begun = |exchanges: &[Exchange]| {
        let begun = exchanges
            .iter()
            .any(|exchange| matches!(exchange, Exchange::Chunk { job, .. } if job.as_str() == "requeued"));
        begun.then_some(())
    };
    running.platform.until(begun).await;
    let platform = running.platform.clone();
    assert_eq!(running.drained().await, Ended::Abandoned { jobs: 1 });
    assert_eq!(
        results(&platform.exchanges()).len(),
        1,
        "another worker is to have the job"
    );
}

#[tokio::test(start_paused = true)]
async fn the_jobs_own_limit_holds_if_it_is_shorter() {
    let running = Running::start(Worker::new(until_cancelled).timeout(Duration::from_mins(1))).await;
    let whole = br#"{"id":"j","input":0,"policy":{"executionTimeout":5000}}"#;
    running
        .platform
        .submit_job(Job::read(whole.as_slice().into(), false).unwrap());
    let began = Instant::now();
    running.platform.result("j").await;
    assert_eq!(began.elapsed().as_secs(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_value_returned_within_the_grace_after_the_deadline_counts() {
    async fn saves(_: u32, ctx: Context) -> JobResult<&'static str> {
        assert_eq!(ctx.cancelled().await, CancelReason::DeadlineExceeded);
        tokio::time::sleep(Duration::from_secs(2)).await;
        Ok("what there was")
    }
    let running = Running::start(Worker::new(saves).timeout(Duration::from_secs(1))).await;
    running.platform.submit("j", json!(0));
    assert_eq!(
        running.platform.result("j").await,
        r#"{"output": "what there was"}"#
    );
}

#[tokio::test(start_paused = true)]
async fn a_result_on_its_way_is_not_stopped() {
    use crate::platform::memory::{Exchange, Fault};
    let running = Running::start(Worker::new(|n: u32| async move { Ok::<_, JobError>(n) })).await;
    running.platform.with_faults(|exchange| {
        matches!(exchange, Exchange::Result { .. }).then_some(Fault::Delay(Duration::from_secs(5)))
    });
    running.platform.submit("j", json!(7));
    running.active_jobs.until(|jobs| jobs.len() == 1).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    running.platform.stop("j");
    assert_eq!(running.platform.result("j").await, r#"{"output": 7}"#);
}

#[tokio::test]
async fn a_panic_is_a_failed_job_and_nothing_more() {
    async fn panics(how: String) -> JobResult<String> {
        match how.as_str() {
            "first" => panic!("at the first poll"),
            "later" => {
                tokio::task::yield_now().await;
                panic!("at a later poll")
            }
            "child" => {
                tokio::spawn(async { panic!("in a child") }).await?;
                Ok("unreachable".to_owned())
            }
            "payload" => std::panic::panic_any(7_u8),
            other => Ok(other.to_owned()),
        }
    }
    let running = Running::start(Worker::new(panics)).await;
    for how in ["first", "later", "child", "payload", "fine"] {
        running.platform.submit(how, json!(how));
    }
    assert!(
        running
            .platform
            .result("first")
            .await
            .contains("at the first poll")
    );
    assert!(running.platform.result("later").await.contains("at a later poll"));
    assert!(running.platform.result("child").await.contains("in a child"));
    assert!(running.platform.result("payload").await.contains("not text"));
    assert_eq!(running.platform.result("fine").await, r#"{"output": "fine"}"#);
}
