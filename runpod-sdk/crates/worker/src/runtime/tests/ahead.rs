use runpod_protocol::sync::Mutex;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::support::{Running, results, takes};
use crate::platform::memory::{Exchange, Fault};
use crate::runtime::Ended;
use crate::settings::Intake;
use crate::{Context, JobResult, TakeAhead, Worker};

const ROUND_TRIP: Duration = Duration::from_millis(50);

async fn sleep(millis: u64) -> JobResult<u64> {
    tokio::time::sleep(Duration::from_millis(millis)).await;
    Ok(millis)
}

/// A handler that estimates its completion correctly at its start.
async fn foretelling(millis: u64, ctx: Context) -> JobResult<u64> {
    ctx.finishing_in(Duration::from_millis(millis));
    sleep(millis).await
}

fn ahead<M: 'static>(handler: impl crate::handler::Handler<(), M>, how: TakeAhead) -> Worker {
    Worker::new(handler).take_ahead(how)
}

/// Every request takes a round trip. Returns when the takes were sent.
fn with_a_round_trip(running: &Running) -> Arc<Mutex<Vec<Instant>>> {
    let takes: Arc<Mutex<Vec<Instant>>> = Arc::default();
    let sent = takes.clone();
    running.platform.with_faults(move |exchange| {
        if matches!(exchange, Exchange::Take { .. }) {
            sent.lock().push(Instant::now());
        }
        Some(Fault::Delay(ROUND_TRIP))
    });
    takes
}

async fn all_results(running: &Running, jobs: usize) {
    running
        .platform
        .until(|exchanges| (results(exchanges).len() == jobs).then_some(()))
        .await;
}

/// Runs twenty jobs of 200 ms. Returns when each take was sent and each handler began.
async fn twenty_jobs(how: TakeAhead) -> (Vec<Instant>, Vec<Instant>) {
    let begun: Arc<Mutex<Vec<Instant>>> = Arc::default();
    let begins = begun.clone();
    let handler = move |millis: u64, ctx: Context| {
        begins.lock().push(Instant::now());
        foretelling(millis, ctx)
    };
    let running = Running::start(ahead(handler, how)).await;
    let sent = with_a_round_trip(&running);
    for job in 0..20 {
        running.platform.submit(&format!("j{job}"), json!(200));
    }
    all_results(&running, 20).await;
    let (sent, begun) = (sent.lock().clone(), begun.lock().clone());
    (sent, begun)
}

/// The longest time without a running job between two jobs.
fn longest_idle(begun: &[Instant]) -> Duration {
    let gaps = begun.windows(2).map(|pair| pair[1] - pair[0]);
    gaps.max().unwrap().saturating_sub(Duration::from_millis(200))
}

#[tokio::test(start_paused = true)]
async fn without_taking_ahead_each_job_waits_for_a_round_trip() {
    let (_, begun) = twenty_jobs(TakeAhead::Off).await;
    assert!(longest_idle(&begun) >= ROUND_TRIP);
}

#[tokio::test(start_paused = true)]
async fn just_in_time_neither_the_worker_nor_the_job_waits_long() {
    let (sent, begun) = twenty_jobs(TakeAhead::JustInTime).await;
    // The clock of timers goes by milliseconds.
    let tick = Duration::from_millis(1);
    assert!(longest_idle(&begun) <= tick, "{:?}", longest_idle(&begun));
    // Each take but the last, which waits for a job, brought the job of the same number.
    for (sent, begun) in sent.iter().zip(&begun) {
        let waited = *begun - (*sent + ROUND_TRIP);
        assert!(waited <= ROUND_TRIP / 2 + tick, "waited for {waited:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn always_holds_one_job_more_than_there_are_slots() {
    let running = Running::start(ahead(sleep, TakeAhead::Always).concurrency(2)).await;
    for job in 0..9 {
        running.platform.submit(&format!("j{job}"), json!(1000));
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(running.active_jobs.len(), 3);
    let began = Instant::now();
    all_results(&running, 9).await;
    assert_eq!(began.elapsed(), Duration::from_millis(4500));
    let most = takes(&running.platform.exchanges())
        .into_iter()
        .map(|(most, _)| most);
    assert_eq!(most.max(), Some(3));
}

#[tokio::test(start_paused = true)]
async fn without_an_estimate_just_in_time_is_off() {
    let running = Running::start(ahead(sleep, TakeAhead::JustInTime)).await;
    running.platform.submit("runs", json!(60_000));
    running.platform.submit("stays in the queue", json!(1));
    tokio::time::sleep(Duration::from_secs(59)).await;
    assert_eq!(running.platform.handed_out(), ["runs"]);
}

#[tokio::test(start_paused = true)]
async fn of_several_estimates_the_latest_counts() {
    async fn revising(_: u32, ctx: Context) -> JobResult<()> {
        ctx.finishing_in(Duration::from_secs(2));
        tokio::time::sleep(Duration::from_secs(1)).await;
        ctx.finishing_in(Duration::from_mins(5));
        tokio::time::sleep(Duration::from_mins(2)).await;
        ctx.finishing_in(Duration::from_millis(1));
        tokio::time::sleep(Duration::from_secs(1)).await;
        Ok(())
    }
    let running = Running::start(ahead(revising, TakeAhead::JustInTime)).await;
    running.platform.submit("first", json!(0));
    running.platform.submit("second", json!(0));
    tokio::time::sleep(Duration::from_mins(2)).await;
    assert_eq!(running.platform.handed_out(), ["first"]);
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(running.platform.handed_out(), ["first", "second"]);
    assert_eq!(running.active_jobs.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_is_late_gets_one_job_waiting_not_more() {
    async fn late(_: u32, ctx: Context) -> JobResult<()> {
        ctx.finishing_in(Duration::ZERO);
        tokio::time::sleep(Duration::from_mins(1)).await;
        Ok(())
    }
    let running = Running::start(ahead(late, TakeAhead::JustInTime)).await;
    for job in 0..5 {
        running.platform.submit(&format!("j{job}"), json!(0));
    }
    tokio::time::sleep(Duration::from_secs(59)).await;
    assert_eq!(running.platform.handed_out(), ["j0", "j1"]);
}

#[tokio::test(start_paused = true)]
async fn each_of_two_handlers_that_end_together_gets_its_next_job() {
    let worker = ahead(foretelling, TakeAhead::JustInTime).concurrency(2);
    let running = Running::start(worker).await;
    with_a_round_trip(&running);
    let began = Instant::now();
    for job in 0..20 {
        running.platform.submit(&format!("j{job}"), json!(200));
    }
    all_results(&running, 20).await;
    // Ten rounds, the first take and the last post. The first job's post is a round trip, too, but
    // nothing waits for it.
    let least = Duration::from_secs(2) + 2 * ROUND_TRIP;
    assert!(
        began.elapsed() <= least + Duration::from_millis(20),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn a_finished_result_does_not_wait_for_a_take() {
    for how in [TakeAhead::Always, TakeAhead::JustInTime] {
        let running = Running::start(ahead(foretelling, how)).await;
        let began = Instant::now();
        running.platform.submit("only", json!(200));
        running.platform.result("only").await;
        assert_eq!(
            began.elapsed(),
            Duration::from_millis(200),
            "{how}: a take is open for 20 s"
        );
        let takes = takes(&running.platform.exchanges());
        assert_eq!(takes.len(), 2);
        assert_eq!(
            takes[1],
            (1, true),
            "{how}: the worker is busy when it takes ahead"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_job_taken_ahead_is_vouched_for_and_can_be_stopped_before_it_begins() {
    let running = Running::start(ahead(sleep, TakeAhead::Always)).await;
    running.platform.submit("runs", json!(10_000));
    running.platform.submit("waits", json!(10_000));
    running.active_jobs.until(|jobs| jobs.len() == 2).await;
    let ids: Vec<String> = running
        .active_jobs
        .ids()
        .unwrap()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(ids, ["runs", "waits"], "the heartbeat lists both");

    running.platform.submit("next", json!(1));
    running.platform.stop("waits");
    // Its slot is free at once, for the next job.
    running
        .active_jobs
        .until(|jobs| jobs.contains(&"next".into()))
        .await;
    running.platform.result("next").await;
    let done: Vec<String> = results(&running.platform.exchanges())
        .into_iter()
        .map(|(job, _)| job)
        .collect();
    assert_eq!(done, ["runs", "next"]);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_drains_runs_the_job_it_took_ahead_and_takes_no_more() {
    for how in [TakeAhead::Always, TakeAhead::JustInTime] {
        let running = Running::start(ahead(foretelling, how)).await;
        with_a_round_trip(&running);
        for job in ["runs", "waits", "stays in the queue"] {
            running.platform.submit(job, json!(1000));
        }
        running.active_jobs.until(|jobs| jobs.len() == 2).await;
        let platform = running.platform.clone();
        assert_eq!(running.drained().await, Ended::Drained);
        let done: Vec<String> = results(&platform.exchanges())
            .into_iter()
            .map(|(job, _)| job)
            .collect();
        assert_eq!(done, ["runs", "waits"], "{how}");
        assert_eq!(platform.handed_out(), done);
    }
}

#[tokio::test(start_paused = true)]
async fn a_paused_intake_takes_nothing_ahead() {
    let intake = Intake::new();
    let worker = ahead(foretelling, TakeAhead::JustInTime).intake(&intake);
    let running = Running::start(worker).await;
    running.platform.submit("first", json!(1000));
    running.platform.submit("second", json!(1000));
    running.active_jobs.until(|jobs| jobs.len() == 1).await;
    intake.pause("hot");
    running.platform.result("first").await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(running.platform.handed_out(), ["first"]);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_is_replaced_after_its_job_leaves_the_next_to_others() {
    let worker = ahead(sleep, TakeAhead::Always).refresh_worker(true);
    let running = Running::start(worker).await;
    running.platform.submit("only", json!(1000));
    running.platform.submit("for another worker", json!(1000));
    let platform = running.platform.clone();
    assert_eq!(running.ended().await, Ended::Drained);
    assert_eq!(platform.handed_out(), ["only"]);
}

#[tokio::test(start_paused = true)]
async fn an_estimate_given_after_the_end_of_the_handler_counts_for_nothing() {
    let kept: Arc<Mutex<Option<Context>>> = Arc::default();
    let keeps = kept.clone();
    let handler = move |millis: u64, ctx: Context| {
        keeps.lock().get_or_insert(ctx);
        sleep(millis)
    };
    let running = Running::start(ahead(handler, TakeAhead::JustInTime)).await;
    running.platform.submit("first", json!(1));
    running.platform.submit("second", json!(60_000));
    running.platform.submit("third", json!(1));
    running.platform.result("first").await;
    kept.lock().as_ref().unwrap().finishing_in(Duration::ZERO);
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(running.platform.handed_out(), ["first", "second"]);
}
