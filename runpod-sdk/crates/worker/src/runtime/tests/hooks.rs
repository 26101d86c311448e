use runpod_protocol::sync::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::support::Running;
use crate::error::Error;
use crate::events::{JobOutcome, JobSummary};
use crate::runtime::Ended;
use crate::{Context, JobError, JobResult, Worker};

/// The calls of hooks and handlers, in order.
#[derive(Clone, Default)]
struct Diary(Arc<Mutex<Vec<String>>>);

impl Diary {
    fn note(&self, text: impl Into<String>) {
        self.0.lock().push(text.into());
    }

    fn pages(&self) -> Vec<String> {
        self.0.lock().clone()
    }
}

fn sleeper(diary: &Diary) -> Worker {
    let diary = diary.clone();
    Worker::new(move |seconds: u64| {
        let diary = diary.clone();
        async move {
            diary.note("handler");
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            Ok::<_, JobError>(seconds)
        }
    })
}

#[tokio::test(start_paused = true)]
async fn hooks_run_around_the_handler_in_order() {
    let diary = Diary::default();
    let (first, second, after, end) = (diary.clone(), diary.clone(), diary.clone(), diary.clone());
    let worker = sleeper(&diary)
        .before_job(move |ctx: Context| {
            first.note(format!("before {}", ctx.job_id()));
            async { Ok::<_, JobError>(()) }
        })
        .before_job(move |_: Context| {
            second.note("before, too");
            async { Ok::<_, JobError>(()) }
        })
        .after_job(move |ctx: Context, job: JobSummary| {
            after.note(format!(
                "after {}: {}, {} bytes",
                ctx.job_id(),
                job.outcome,
                job.output_bytes
            ));
            async {}
        })
        .on_shutdown(move || async move { end.note("end") });
    let running = Running::start(worker).await;
    running.platform.submit("j", json!(5));
    running.platform.result("j").await;
    assert_eq!(running.drained().await, Ended::Drained);
    assert_eq!(
        diary.pages(),
        [
            "before j",
            "before, too",
            "handler",
            "after j: completed, 1 bytes",
            "end"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn an_error_before_the_job_fails_it_without_its_handler() {
    let diary = Diary::default();
    let after = diary.clone();
    let worker = sleeper(&diary)
        .before_job(|_: Context| async { Err(JobError::invalid_input("no tenant")) })
        .after_job(move |_: Context, job: JobSummary| {
            after.note(format!("after: {}", job.outcome));
            async {}
        });
    let running = Running::start(worker).await;
    running.platform.submit("j", json!(5));
    let body = running.platform.result("j").await;
    assert!(
        body.contains("no tenant") && body.contains("INVALID_INPUT"),
        "{body}"
    );
    running.drained().await;
    assert_eq!(diary.pages(), ["after: failed (INVALID_INPUT)"]);
}

#[tokio::test(start_paused = true)]
async fn a_panic_before_the_job_fails_only_that_job() {
    let diary = Diary::default();
    let worker = sleeper(&diary).before_job(|ctx: Context| {
        // Once outside the future and once inside.
        assert_ne!(ctx.job_id().as_str(), "outside", "a bad hook");
        async move {
            assert_ne!(ctx.job_id().as_str(), "inside", "a bad hook");
            Ok::<_, JobError>(())
        }
    });
    let running = Running::start(worker).await;
    for id in ["outside", "inside"] {
        running.platform.submit(id, json!(0));
        let body = running.platform.result(id).await;
        assert!(body.contains("PANIC") && body.contains("a bad hook"), "{body}");
    }
    running.platform.submit("fine", json!(0));
    assert_eq!(running.platform.result("fine").await, r#"{"output": 0}"#);
    assert_eq!(running.drained().await, Ended::Drained);
}

#[tokio::test(start_paused = true)]
async fn the_deadline_holds_for_the_hook_before_the_job() {
    let diary = Diary::default();
    let worker = sleeper(&diary)
        .timeout(Duration::from_secs(3))
        .cancel_grace(Duration::from_secs(1))
        .before_job(|_: Context| std::future::pending::<JobResult<()>>());
    let running = Running::start(worker).await;
    running.platform.submit("j", json!(0));
    assert!(running.platform.result("j").await.contains("TIMEOUT"));
    running.drained().await;
    assert!(diary.pages().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_hook_after_the_job_delays_neither_its_result_nor_the_next_job() {
    let diary = Diary::default();
    let ended = diary.clone();
    let worker = sleeper(&diary).after_job(move |_: Context, _: JobSummary| {
        let ended = ended.clone();
        async move {
            tokio::time::sleep(Duration::from_secs(20)).await;
            ended.note("after");
        }
    });
    let running = Running::start(worker).await;
    let began = Instant::now();
    for id in ["a", "b"] {
        running.platform.submit(id, json!(1));
        running.platform.result(id).await;
    }
    assert_eq!(began.elapsed(), Duration::from_secs(2));
    running
        .active_jobs
        .until(crate::runtime::ActiveJobs::is_empty)
        .await;
    assert_eq!(running.drained().await, Ended::Drained);
    assert_eq!(
        diary.pages(),
        ["handler", "handler", "after", "after"],
        "shutting down waits for the hooks"
    );
}

#[tokio::test(start_paused = true)]
async fn a_hook_after_the_job_that_hangs_or_panics_is_dropped() {
    let diary = Diary::default();
    let third = diary.clone();
    let worker = sleeper(&diary)
        .after_job(|_: Context, _: JobSummary| async { panic!("a bad hook") })
        .after_job(|_: Context, _: JobSummary| std::future::pending())
        .after_job(move |_: Context, _: JobSummary| {
            third.note("the third");
            async {}
        });
    let running = Running::start(worker).await;
    running.platform.submit("j", json!(0));
    running.platform.result("j").await;
    let began = Instant::now();
    assert_eq!(running.drained().await, Ended::Drained);
    assert_eq!(began.elapsed(), Duration::from_secs(30));
    assert_eq!(diary.pages(), ["handler", "the third"]);
}

#[tokio::test(start_paused = true)]
async fn a_stopped_job_is_followed_by_its_hook() {
    let outcomes = Arc::new(Mutex::new(Vec::new()));
    let seen = outcomes.clone();
    let worker = sleeper(&Diary::default()).cancel_grace(Duration::ZERO).after_job(
        move |_: Context, job: JobSummary| {
            seen.lock().push(job.outcome);
            async {}
        },
    );
    let running = Running::start(worker).await;
    running.platform.submit("j", json!(60));
    running.active_jobs.until(|jobs| jobs.len() == 1).await;
    running.platform.stop("j");
    running
        .active_jobs
        .until(crate::runtime::ActiveJobs::is_empty)
        .await;
    running.drained().await;
    assert_eq!(*outcomes.lock(), [JobOutcome::Stopped]);
}

#[tokio::test(start_paused = true)]
async fn shutdown_hooks_run_once_and_at_the_same_time() {
    let runs = Arc::new(AtomicUsize::new(0));
    let (first, second) = (runs.clone(), runs.clone());
    let worker = sleeper(&Diary::default())
        .on_shutdown(move || async move {
            tokio::time::sleep(Duration::from_secs(10)).await;
            first.fetch_add(1, Ordering::Relaxed);
        })
        .on_shutdown(|| async { panic!("a bad hook") })
        .on_shutdown(move || async move {
            tokio::time::sleep(Duration::from_secs(10)).await;
            second.fetch_add(1, Ordering::Relaxed);
        });
    let running = Running::start(worker).await;
    let began = Instant::now();
    assert_eq!(running.drained().await, Ended::Drained);
    assert_eq!(began.elapsed(), Duration::from_secs(10));
    assert_eq!(runs.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_hook_that_hangs_is_left_behind() {
    let worker = sleeper(&Diary::default()).on_shutdown(std::future::pending);
    let running = Running::start(worker).await;
    let began = Instant::now();
    assert_eq!(running.drained().await, Ended::Drained);
    assert_eq!(began.elapsed(), Duration::from_secs(30));
}

#[tokio::test(start_paused = true)]
async fn a_second_signal_cuts_the_shutdown_hooks_short() {
    let diary = Diary::default();
    let quick = diary.clone();
    let worker = sleeper(&diary)
        .on_shutdown(std::future::pending)
        .on_shutdown(move || async move { quick.note("quick") });
    let running = Running::start(worker).await;
    running.platform.submit("j", json!(3600));
    running.active_jobs.until(|jobs| jobs.len() == 1).await;
    let began = Instant::now();
    running.shutdown.abandon.cancel();
    assert_eq!(running.drained().await, Ended::Abandoned { jobs: 1 });
    assert_eq!(began.elapsed(), Duration::from_secs(5));
    assert!(diary.pages().contains(&"quick".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn shutdown_hooks_run_after_undelivered_results_are_given_up() {
    let diary = Diary::default();
    let end = diary.clone();
    let worker = sleeper(&diary)
        .shutdown_grace(Duration::from_secs(5))
        .cancel_grace(Duration::from_secs(1))
        .on_shutdown(move || async move { end.note("end") });
    let running = Running::start(worker).await;
    running.submit_and_lose_the_result("j", json!(0)).await;
    assert_eq!(running.drained().await, Ended::Abandoned { jobs: 1 });
    assert_eq!(diary.pages(), ["handler", "end"]);
}

#[tokio::test(start_paused = true)]
async fn shutdown_hooks_run_if_the_state_could_not_be_loaded() {
    let diary = Diary::default();
    let end = diary.clone();
    let worker =
        Worker::new(|n: u32, crate::State(()): crate::State<()>| async move { Ok::<_, JobError>(n) })
            .on_shutdown(move || async move { end.note("end") })
            .state_with(|| async { Err::<(), _>("no weights") });
    let error = Running::start(worker).await.failed().await;
    assert!(matches!(error, Error::Startup(_)));
    assert_eq!(diary.pages(), ["end"]);
}
