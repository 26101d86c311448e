//! Backpressure: chunks that wait for delivery, and handlers that wait for them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use serde_json::json;
use tokio::time::Instant;

use super::support::{Running, takes, with_limits};
use crate::json::RawJson;
use crate::platform::memory::{Exchange, Fault};
use crate::runtime::Ended;
use crate::{Context, JobError, JobResult, Streaming, Worker};

fn chunks(exchanges: &[Exchange]) -> Vec<&str> {
    exchanges
        .iter()
        .filter_map(|exchange| match exchange {
            Exchange::Chunk { body, .. } => Some(body.as_str()),
            _ => None,
        })
        .collect()
}

/// Streams the numbers below its input, and counts how many were asked of it.
fn counting(made: &Arc<AtomicUsize>) -> Worker {
    let made = made.clone();
    Worker::new(move |to: usize| {
        let made = made.clone();
        async move {
            let numbers = stream::iter(0..to).map(move |n| {
                made.fetch_add(1, Ordering::SeqCst);
                Ok::<_, JobError>(n)
            });
            Ok::<_, JobError>(Streaming::new(numbers))
        }
    })
}

/// In Python every chunk costs a round trip, and a stall of the platform is one of the handler.
#[tokio::test(start_paused = true)]
async fn a_handler_runs_ahead_of_slow_posts_up_to_the_bound() {
    let made = Arc::new(AtomicUsize::new(0));
    let running = Running::start(counting(&made)).await;
    running.platform.with_faults(|exchange| {
        matches!(exchange, Exchange::Chunk { .. }).then_some(Fault::Delay(Duration::from_mins(1)))
    });
    running.platform.submit("j", json!(1000));
    tokio::time::sleep(Duration::from_secs(30)).await;
    // One on its way, 64 that wait, and one in the handler's hands.
    assert_eq!(made.load(Ordering::SeqCst), 66);
    assert!(chunks(&running.platform.exchanges()).is_empty());
    tokio::time::sleep(Duration::from_mins(2)).await;
    assert_eq!(
        made.load(Ordering::SeqCst),
        68,
        "each delivery makes room for one"
    );
}

#[tokio::test(start_paused = true)]
async fn a_short_stream_is_done_before_its_first_chunk_has_arrived() {
    let made = Arc::new(AtomicUsize::new(0));
    let running = Running::start(counting(&made)).await;
    running.platform.with_faults(|exchange| {
        matches!(exchange, Exchange::Chunk { .. }).then_some(Fault::Delay(Duration::from_secs(10)))
    });
    let began = Instant::now();
    running.platform.submit("j", json!(5));
    // The slot is free again, while all five chunks are still on their way.
    running
        .platform
        .until(|exchanges| (takes(exchanges).len() == 2).then_some(()))
        .await;
    assert_eq!(began.elapsed(), Duration::ZERO);
    assert_eq!(running.platform.result("j").await, r#"{"output": []}"#);
    assert_eq!(began.elapsed(), Duration::from_secs(50));
    assert_eq!(
        chunks(&running.platform.exchanges()).len(),
        5,
        "the end comes after them"
    );
}

#[tokio::test(start_paused = true)]
async fn a_stall_of_the_platform_delays_the_chunks_behind_it_and_loses_none() {
    let made = Arc::new(AtomicUsize::new(0));
    let running = Running::start(counting(&made)).await;
    let until = Instant::now() + Duration::from_mins(2);
    running.platform.with_faults(move |exchange| {
        let stalled = matches!(exchange, Exchange::Chunk { .. }) && Instant::now() < until;
        stalled.then_some(Fault::Refuse(503))
    });
    running.platform.submit("j", json!(200));
    running.platform.result("j").await;
    let expected: Vec<String> = (0..200).map(|n| format!("{{\"output\": {n}}}")).collect();
    assert_eq!(chunks(&running.platform.exchanges()), expected);
}

#[tokio::test(start_paused = true)]
async fn a_chunk_with_an_error_key_is_a_chunk_like_any_other() {
    let odd = |_: RawJson| async {
        let chunks = [
            json!({"error": "no picture", "n": 1}),
            json!({"error": null}),
            json!("end"),
        ];
        Ok::<_, JobError>(Streaming::new(stream::iter(chunks.map(Ok::<_, JobError>))).aggregated())
    };
    let running = Running::start(Worker::new(odd)).await;
    running.platform.submit("j", json!(1));
    assert_eq!(
        running.platform.result("j").await,
        r#"{"output": [{"error":"no picture","n":1},{"error":null},"end"]}"#
    );
    assert_eq!(
        chunks(&running.platform.exchanges()),
        [
            r#"{"output": {"error":"no picture","n":1}}"#,
            r#"{"output": {"error":null}}"#,
            r#"{"output": "end"}"#
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_failure_in_mid_stream_has_no_partial_output_even_if_an_aggregate_was_wanted() {
    let broken = |_: RawJson| async {
        let chunks = [Ok(1), Ok(2), Err(JobError::message_only("no more"))];
        Ok::<_, JobError>(Streaming::new(stream::iter(chunks)).aggregated())
    };
    let running = Running::start(Worker::new(broken)).await;
    running.platform.submit("j", json!(1));
    let body = running.platform.result("j").await;
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body.as_object().unwrap().keys().collect::<Vec<_>>(), ["error"]);
    let error: serde_json::Value = serde_json::from_str(body["error"].as_str().unwrap()).unwrap();
    assert_eq!(error["error_message"], "no more");
    assert_eq!(
        chunks(&running.platform.exchanges()).len(),
        2,
        "what was posted stays"
    );
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_mid_stream_keeps_the_chunks_before_it() {
    let breaks = |_: RawJson| async {
        let numbers = stream::iter(0..5).map(|n| {
            if n == 3 {
                std::panic::resume_unwind(Box::new("ouch"));
            }
            Ok::<_, JobError>(n)
        });
        Ok::<_, JobError>(Streaming::new(numbers))
    };
    let running = Running::start(Worker::new(breaks)).await;
    running.platform.submit("j", json!(1));
    let body = running.platform.result("j").await;
    assert!(body.contains("PANIC") && body.contains("ouch"), "{body}");
    assert_eq!(chunks(&running.platform.exchanges()).len(), 3);
    assert_eq!(running.drained().await, Ended::Drained);
}

#[tokio::test(start_paused = true)]
async fn a_chunk_of_exactly_the_limit_is_sent_as_it_is() {
    let sized = |bytes: usize| async move {
        // `["…"]` is four bytes more than the text in it.
        let chunk = json!(["x".repeat(bytes - 4)]);
        Ok::<_, JobError>(Streaming::new(stream::iter([Ok::<_, JobError>(chunk)])))
    };
    let running = Running::start(Worker::new(sized)).await;
    running.platform.submit("fits", json!(1_000_000));
    assert_eq!(running.platform.result("fits").await, r#"{"output": []}"#);
    running.platform.submit("large", json!(1_000_001));
    let body = running.platform.result("large").await;
    assert!(
        body.contains("CHUNK_TOO_LARGE") && body.contains("1000001 bytes"),
        "{body}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_aggregate_counts_among_the_results_that_wait_while_its_chunks_are_on_their_way() {
    let long = |_: RawJson| async {
        let chunk = "x".repeat(600);
        Ok::<_, JobError>(
            Streaming::new(stream::iter([Ok::<_, JobError>(chunk.clone()), Ok(chunk)])).aggregated(),
        )
    };
    let running = Running::start(with_limits(Worker::new(long), |limits| {
        limits.undelivered_bytes = 1000;
    }))
    .await;
    running
        .platform
        .with_faults(|exchange| matches!(exchange, Exchange::Chunk { .. }).then_some(Fault::Refuse(500)));
    running.platform.submit("j", json!(1));
    running.platform.submit("next", json!(1));
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert_eq!(
        running.platform.handed_out(),
        ["j"],
        "its result is too much already"
    );
    running.platform.with_faults(|_| None);
    running.platform.result("next").await;
}

#[tokio::test(start_paused = true)]
async fn a_result_waits_no_longer_for_its_progress_than_the_limit_says() {
    async fn last_words(_: u32, ctx: Context) -> JobResult<()> {
        ctx.progress("nearly there");
        tokio::time::sleep(Duration::from_secs(1)).await;
        Ok(())
    }
    for (limit, after) in [(2, 2), (60, 60)] {
        let worker = with_limits(Worker::new(last_words), |limits| {
            limits.progress = Duration::from_secs(limit);
        });
        let running = Running::start(worker).await;
        running.platform.with_faults(|exchange| {
            matches!(exchange, Exchange::Progress { .. }).then_some(Fault::Delay(Duration::from_hours(1)))
        });
        let began = Instant::now();
        running.platform.submit("j", json!(1));
        running.platform.result("j").await;
        assert_eq!(began.elapsed(), Duration::from_secs(after));
    }
}
