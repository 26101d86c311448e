use std::time::Duration;

use futures_util::stream;
use serde_json::json;
use tokio::time::Instant;

use super::support::{Running, results, with_limits};
use crate::platform::memory::{Exchange, Fault};
use crate::runtime::{ActiveJobs, Ended};
use crate::{Context, JobError, JobResult, Streaming, Worker};

fn echo() -> Worker {
    Worker::new(|input: crate::json::RawJson| async move { Ok::<_, JobError>(input) })
}

/// Answers the first `times` result posts with `fault`.
fn failing(times: usize, fault: Fault) -> impl FnMut(&Exchange) -> Option<Fault> {
    let mut left = times;
    move |exchange| {
        let hit = matches!(exchange, Exchange::Result { .. }) && left > 0;
        hit.then(|| {
            left -= 1;
            fault.clone()
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_result_survives_errors_and_broken_connections() {
    for (times, fault) in [
        (2, Fault::Refuse(500)),
        (20, Fault::Refuse(503)),
        (5, Fault::LoseRequest),
        (3, Fault::Refuse(429)),
        (10, Fault::Refuse(401)),
        (4, Fault::Refuse(403)),
    ] {
        let running = Running::start(echo()).await;
        running.platform.with_faults(failing(times, fault.clone()));
        running.platform.submit("j", json!("kept"));
        assert_eq!(
            running.platform.result("j").await,
            r#"{"output": "kept"}"#,
            "{times} × {fault:?}"
        );
        assert_eq!(running.drained().await, Ended::Drained);
    }
}

#[tokio::test(start_paused = true)]
async fn a_result_whose_answer_was_lost_is_posted_again_unchanged() {
    let running = Running::start(echo()).await;
    running.platform.with_faults(failing(1, Fault::LoseAnswer));
    running.platform.submit("j", json!("kept"));
    running
        .platform
        .until(|exchanges| (results(exchanges).len() == 2).then_some(()))
        .await;
    let results = results(&running.platform.exchanges());
    assert_eq!(results[0], results[1]);
}

#[tokio::test(start_paused = true)]
async fn a_refused_result_becomes_a_failed_job() {
    for status in [400, 413, 422] {
        let running = Running::start(echo()).await;
        running.platform.with_faults(move |exchange| match exchange {
            Exchange::Result { body, .. } if !body.contains("\"error\"") => Some(Fault::Refuse(status)),
            _ => None,
        });
        running.platform.submit("j", json!("x".repeat(1000)));
        let body = running.platform.result("j").await;
        assert!(
            body.contains("RESULT_REFUSED") && body.contains(&status.to_string()),
            "{body}"
        );
        assert!(!body.contains("xxx"), "the refused output is not repeated");
        assert_eq!(running.drained().await, Ended::Drained);
    }
}

#[tokio::test(start_paused = true)]
async fn a_job_that_the_platform_forgot_is_dropped() {
    for status in [404, 410] {
        let running = Running::start(echo()).await;
        let (refused, mut refusals) = tokio::sync::mpsc::unbounded_channel();
        running.platform.with_faults(move |exchange| {
            let result = matches!(exchange, Exchange::Result { .. });
            result.then(|| {
                refused.send(()).unwrap();
                Fault::Refuse(status)
            })
        });
        running.platform.submit("j", json!(1));
        refusals.recv().await.unwrap();
        running.active_jobs.until(ActiveJobs::is_empty).await;
        assert!(results(&running.platform.exchanges()).is_empty());
        assert!(refusals.try_recv().is_err(), "it is posted once");
    }
}

#[tokio::test(start_paused = true)]
async fn a_result_is_given_up_when_its_window_is_spent() {
    let running = Running::start(echo().delivery_window(Duration::from_secs(30))).await;
    running
        .platform
        .with_faults(failing(usize::MAX, Fault::LoseRequest));
    running.platform.submit("j", json!(1));
    running.active_jobs.until(|jobs| jobs.len() == 1).await;
    let began = Instant::now();
    running.active_jobs.until(ActiveJobs::is_empty).await;
    assert_eq!(began.elapsed(), Duration::from_secs(30));
}

#[tokio::test(start_paused = true)]
async fn the_last_attempt_comes_at_the_end_of_the_window_whatever_pause_is_asked_for() {
    let running = Running::start(echo()).await;
    let began = Instant::now();
    let attempts = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = attempts.clone();
    running.platform.with_faults(move |exchange| {
        if !matches!(exchange, Exchange::Result { .. }) {
            return None;
        }
        seen.lock().unwrap().push(began.elapsed().as_secs());
        let still_down = began.elapsed() < Duration::from_mins(4);
        still_down.then_some(Fault::RefuseFor(429, Duration::from_hours(1)))
    });
    running.platform.submit("j", json!("kept"));
    assert_eq!(running.platform.result("j").await, r#"{"output": "kept"}"#);
    assert_eq!(
        *attempts.lock().unwrap(),
        [0, 300],
        "not before, and not too late"
    );
}

#[tokio::test(start_paused = true)]
async fn pauses_grow_up_to_the_longest_and_a_longer_one_is_kept_where_it_is_asked_for() {
    async fn pauses(worker: Worker, fault: Fault) -> Vec<Duration> {
        let running = Running::start(worker).await;
        let times = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let seen = times.clone();
        running.platform.with_faults(move |exchange| {
            let hit = matches!(exchange, Exchange::Result { .. });
            hit.then(|| {
                seen.lock().unwrap().push(Instant::now());
                fault.clone()
            })
        });
        running.platform.submit("j", json!(1));
        running.active_jobs.until(|jobs| jobs.len() == 1).await;
        running.active_jobs.until(ActiveJobs::is_empty).await;
        let times = times.lock().unwrap();
        times.windows(2).map(|pair| pair[1] - pair[0]).collect()
    }
    let grown = pauses(echo(), Fault::LoseRequest).await;
    assert!(grown.len() >= 30, "{grown:?}");
    for (number, pause) in grown.iter().enumerate() {
        let bound = Duration::from_millis(200).saturating_mul(1 << number.min(10));
        assert!(
            *pause <= bound.min(Duration::from_secs(10)),
            "{number}: {pause:?}"
        );
    }
    let short = pauses(
        with_limits(echo(), |limits| {
            limits.delivery_longest_wait = Duration::from_secs(1);
        }),
        Fault::LoseRequest,
    )
    .await;
    assert!(short.iter().all(|pause| *pause <= Duration::from_secs(1)));
    // An error of the platform is no other than a broken connection: the result is posted until the window ends.
    assert_eq!(pauses(echo(), Fault::Refuse(500)).await, grown);
    // No time at all asks for nothing: a result is never posted as fast as it is refused.
    let at_once = pauses(echo(), Fault::RefuseFor(429, Duration::ZERO)).await;
    assert_eq!(at_once, grown);
    // 503 with a time is waited out, 429 without one is five seconds; only the last pause is cut.
    for (fault, pause) in [
        (Fault::RefuseFor(503, Duration::from_secs(40)), 40),
        (Fault::RefuseFor(429, Duration::from_secs(40)), 40),
        (Fault::Refuse(429), 5),
    ] {
        let mut asked = pauses(echo(), fault).await;
        asked.pop();
        assert!(
            !asked.is_empty() && asked.iter().all(|seen| *seen == Duration::from_secs(pause)),
            "{asked:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn delivery_goes_on_after_sigterm() {
    let running = Running::start(echo()).await;
    let until = Instant::now() + Duration::from_mins(2);
    running.platform.with_faults(move |exchange| {
        (matches!(exchange, Exchange::Result { .. }) && Instant::now() < until).then_some(Fault::LoseRequest)
    });
    running.platform.submit("j", json!("kept"));
    running.active_jobs.until(|jobs| jobs.len() == 1).await;
    let platform = running.platform.clone();
    assert_eq!(running.drained().await, Ended::Drained);
    assert_eq!(results(&platform.exchanges()).len(), 1);
    assert!(Instant::now() >= until);
}

#[tokio::test(start_paused = true)]
async fn progress_is_spaced_out_and_the_latest_wins() {
    async fn chatty(_: u32, ctx: Context) -> JobResult<()> {
        for step in 0..95 {
            ctx.progress(step);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }
    let running = Running::start(Worker::new(chatty)).await;
    running.platform.submit("j", json!(0));
    running.platform.result("j").await;
    let progress: Vec<String> = running
        .platform
        .exchanges()
        .into_iter()
        .filter_map(|exchange| match exchange {
            Exchange::Progress { body, .. } => Some(body),
            _ => None,
        })
        .collect();
    assert_eq!(
        progress,
        [
            r#"{"status": "IN_PROGRESS", "output": 0}"#,
            r#"{"status": "IN_PROGRESS", "output": 49}"#
        ],
    );
}

#[tokio::test(start_paused = true)]
async fn progress_of_a_handler_that_lets_go_of_its_context_is_posted() {
    // Its stream knows nothing of the context and goes on for ever.
    let half_way = |_: u32, ctx: Context| async move {
        ctx.progress("half");
        drop(ctx);
        Ok::<_, JobError>(Streaming::new(stream::pending::<JobResult<u32>>()))
    };
    let running = Running::start(Worker::new(half_way)).await;
    running.platform.submit("j", json!(0));
    let posted = running.platform.until(|exchanges| {
        let posted = exchanges
            .iter()
            .any(|exchange| matches!(exchange, Exchange::Progress { .. }));
        posted.then_some(())
    });
    // Not on the paused clock, which stands still while the delivery polls for updates again and again.
    let turns = async {
        for _ in 0..10_000 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        biased;
        () = posted => {}
        () = turns => panic!("the update was not posted"),
    }
}

#[tokio::test(start_paused = true)]
async fn progress_never_arrives_after_the_result() {
    async fn last_words(_: u32, ctx: Context) -> JobResult<()> {
        tokio::time::sleep(Duration::from_secs(1)).await;
        ctx.progress("nearly there");
        Ok(())
    }
    let running = Running::start(Worker::new(last_words)).await;
    // Progress takes longer than the rest of the job.
    running.platform.with_faults(|exchange| {
        matches!(exchange, Exchange::Progress { .. }).then_some(Fault::Delay(Duration::from_secs(3)))
    });
    for job in 0..3 {
        running.platform.submit(&format!("j{job}"), json!(0));
    }
    running.platform.result("j2").await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    nothing_after_the_result(&running.platform.exchanges());
}

pub(super) fn nothing_after_the_result(exchanges: &[Exchange]) {
    let mut finished = Vec::new();
    for exchange in exchanges {
        match exchange {
            Exchange::Result { job, .. } => finished.push(job),
            Exchange::Progress { job, .. } | Exchange::Chunk { job, .. } => {
                assert!(!finished.contains(&job), "something after the result of {job}");
            }
            _ => {}
        }
    }
}
