use std::time::Duration;

use serde_json::json;

use super::ledger::Ledger;
use super::support::Running;
use crate::events::{JobOutcome, WorkerEvent, channel, point};
use crate::platform::memory::{Exchange, Fault};
use crate::runtime::Ended;
use crate::settings::Intake;
use crate::{Context, JobError, JobResult, Worker};

async fn work(seconds: u64, ctx: Context) -> JobResult<String> {
    ctx.mark(point::READINESS_CHECKED);
    ctx.mark(point::INFERENCE_STARTED);
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    if seconds == 13 {
        return Err(JobError::invalid_input("unlucky"));
    }
    Ok("done".to_owned())
}

#[tokio::test(start_paused = true)]
async fn a_whole_life_is_reported_in_order() {
    let (worker, ledger) = Ledger::of(Worker::new(work));
    let running = Running::start(worker).await;
    running.platform.submit("good", json!(2));
    running.platform.result("good").await;
    running.platform.submit("bad", json!(13));
    running.platform.result("bad").await;
    assert_eq!(running.drained().await, Ended::Drained);
    ledger.check(true);
    // The error's text is others' business, and so is its size.
    let lines = ledger.lines().join("\n");
    insta::with_settings!({filters => vec![(r"bad bytes=\d+", "bad bytes=[n]")]}, {
        insta::assert_snapshot!(lines);
    });
}

#[tokio::test(start_paused = true)]
async fn a_result_that_is_too_large_to_be_sent_is_reported_as_the_failure_that_its_caller_sees() {
    let (worker, ledger) = Ledger::of(Worker::new(work).largest_result(10));
    let running = Running::start(worker).await;
    running.platform.submit("j", json!(1));
    let body = running.platform.result("j").await;
    assert!(body.contains("RESULT_TOO_LARGE"), "{body}");
    running.drained().await;
    let reported = ledger.events().into_iter().find_map(|event| match event {
        WorkerEvent::JobFinished(summary) => Some((summary.outcome, summary.output_bytes)),
        _ => None,
    });
    let failed = JobOutcome::Failed {
        code: crate::ErrorCode::RESULT_TOO_LARGE,
        class: crate::ErrorClass::Worker,
        retryable: false,
    };
    assert_eq!(reported, Some((failed, 0)));
}

#[tokio::test(start_paused = true)]
async fn the_six_points_of_a_job_come_with_its_delivery() {
    let (worker, ledger) = Ledger::of(Worker::new(work));
    let running = Running::start(worker).await;
    let mut first = true;
    running.platform.with_faults(move |exchange| match exchange {
        Exchange::Result { .. } if std::mem::take(&mut first) => Some(Fault::Refuse(500)),
        _ => None,
    });
    running.platform.submit("j", json!(2));
    running.platform.result("j").await;
    running.drained().await;

    let events = ledger.events();
    let retried = events.iter().find_map(|event| match event {
        WorkerEvent::DeliveryRetried {
            attempt,
            status,
            wait,
            ..
        } => Some((*attempt, *status, *wait)),
        _ => None,
    });
    let (attempt, status, wait) = retried.expect("one post failed");
    assert_eq!((attempt, status), (1, Some(500)));
    let delivered = events.iter().find_map(|event| match event {
        WorkerEvent::ResultDelivered {
            attempts,
            took,
            timeline,
            ..
        } => Some((*attempts, *took, timeline.clone())),
        _ => None,
    });
    let (attempts, took, timeline) = delivered.expect("the result arrived");
    assert_eq!(attempts, 2);
    // The clock of timers is a millisecond coarse.
    assert!(took >= wait && took < wait + Duration::from_millis(1), "{took:?}");
    let two = Duration::from_secs(2);
    assert_eq!(
        timeline.points(),
        [
            (point::HANDLER_STARTED, Duration::ZERO),
            (point::READINESS_CHECKED, Duration::ZERO),
            (point::INFERENCE_STARTED, Duration::ZERO),
            (point::PROCESSING_COMPLETE, two),
            (point::RESPONSE_SENT, two + took),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_job_that_waits_for_a_slot_and_is_stopped_there_is_finished_without_a_start() {
    let (worker, ledger) = Ledger::of(Worker::new(work));
    let running = Running::start(worker).await;
    running.platform.hand_out_more_than_asked(1);
    running.platform.submit("runs", json!(60));
    running.platform.submit("waits", json!(1));
    running.active_jobs.until(|jobs| jobs.len() == 2).await;
    running.platform.stop("waits");
    running.active_jobs.until(|jobs| jobs.len() == 1).await;
    running.drained().await;
    ledger.check(true);
    let of_waits: Vec<String> = ledger
        .lines()
        .into_iter()
        .filter(|line| line.contains("waits"))
        .collect();
    assert_eq!(of_waits, ["job taken: waits", "job finished: waits stopped"]);
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_reported_once_and_so_is_its_end() {
    let (worker, ledger) = Ledger::of(Worker::new(work));
    let running = Running::start(worker).await;
    let mut failures = 3;
    running.platform.with_faults(move |exchange| match exchange {
        Exchange::Take { .. } if failures > 0 => {
            failures -= 1;
            Some(Fault::Refuse(502))
        }
        _ => None,
    });
    // The take that is open ends empty; the next three fail.
    running.platform.submit("first", json!(0));
    running.platform.result("first").await;
    running.platform.submit("second", json!(0));
    running.platform.result("second").await;
    running.drained().await;
    let count =
        |wanted: fn(&WorkerEvent) -> bool| ledger.events().iter().filter(|event| wanted(event)).count();
    assert_eq!(
        count(|event| matches!(event, WorkerEvent::PlatformUnreachable { .. })),
        1
    );
    assert_eq!(
        count(|event| matches!(event, WorkerEvent::PlatformRecovered { .. })),
        1
    );
    assert_eq!(
        count(|event| matches!(
            event,
            WorkerEvent::RequestFailed {
                operation: "take",
                status: Some(502),
                ..
            }
        )),
        3
    );
}

#[tokio::test(start_paused = true)]
async fn a_result_that_never_arrives_is_reported_as_lost() {
    let (worker, ledger) = Ledger::of(Worker::new(work).delivery_window(Duration::from_secs(30)));
    let running = Running::start(worker).await;
    running.submit_and_lose_the_result("j", json!(0)).await;
    running
        .active_jobs
        .until(crate::runtime::ActiveJobs::is_empty)
        .await;
    running.drained().await;
    ledger.check(true);
    let lost = ledger.events().into_iter().find_map(|event| match event {
        WorkerEvent::ResultLost { job, bytes, reason } => Some((job.to_string(), bytes, reason)),
        _ => None,
    });
    let (job, bytes, reason) = lost.expect("the result is lost");
    assert_eq!((job.as_str(), bytes), ("j", r#"{"output": "done"}"#.len()));
    assert!(reason.contains("connection refused"), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn a_refresh_is_reported_with_its_job() {
    async fn once(_: u32, ctx: Context) -> JobResult<()> {
        ctx.refresh_worker();
        Ok(())
    }
    let (worker, ledger) = Ledger::of(Worker::new(once));
    let running = Running::start(worker).await;
    running.platform.submit("j", json!(0));
    assert_eq!(running.ended().await, Ended::Drained);
    ledger.check(true);
    assert!(ledger.lines().contains(&"refreshing: after job j".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_panics_loses_no_job() {
    let worker = Worker::new(work).on_event(|_| panic!("no ears"));
    let (worker, ledger) = Ledger::of(worker);
    let running = Running::start(worker).await;
    running.platform.submit("j", json!(1));
    assert_eq!(running.platform.result("j").await, r#"{"output": "done"}"#);
    assert_eq!(running.drained().await, Ended::Drained);
    ledger.check(true);
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_sleeps_holds_up_no_job() {
    let (listener, mut events) = channel(3);
    let running = Running::start(Worker::new(work).on_event(listener)).await;
    for id in ["a", "b", "c"] {
        running.platform.submit(id, json!(0));
        running.platform.result(id).await;
    }
    assert_eq!(running.drained().await, Ended::Drained);
    assert!(events.missed() > 0);
    let mut read = 0;
    while events.next().await.is_some() {
        read += 1;
    }
    assert_eq!(read, 3, "what there was room for can still be read");
}

#[tokio::test(start_paused = true)]
async fn a_failed_job_tells_its_code_and_class() {
    let (worker, ledger) = Ledger::of(Worker::new(work));
    let running = Running::start(worker).await;
    running.platform.submit("j", json!("not a number"));
    running.platform.result("j").await;
    running.drained().await;
    let outcome = ledger.events().into_iter().find_map(|event| match event {
        WorkerEvent::JobFinished(job) => Some(job.outcome),
        _ => None,
    });
    let Some(JobOutcome::Failed {
        code,
        class,
        retryable,
    }) = outcome
    else {
        panic!("{outcome:?}")
    };
    assert_eq!(code.as_str(), "INVALID_INPUT");
    assert_eq!((class, retryable), (crate::ErrorClass::User, false));
}

#[tokio::test(start_paused = true)]
async fn changes_of_the_intake_are_reported() {
    let intake = Intake::new();
    let (worker, ledger) = Ledger::of(Worker::new(work).intake(&intake));
    let running = Running::start(worker).await;
    for turn in [
        Intake::resume,
        |intake: &Intake| intake.pause("hot"),
        Intake::resume,
    ] {
        turn(&intake);
        // The follower gets its turn before the next one.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    intake.retire("melted");
    assert_eq!(running.ended().await, Ended::Drained);
    assert_eq!(
        ledger.lines()[2..],
        [
            "paused: hot",
            "resumed",
            "refreshing: melted",
            "draining: jobs=0",
            "stopped: jobs_left=0"
        ]
    );
}
