//! Chunks: their order, their end, and errors after the first.

use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use serde_json::json;

use super::support::Running;
use crate::platform::memory::{Exchange, Fault};
use crate::runtime::Ended;
use crate::{JobError, MaybeStreaming, Streaming, Worker};

#[tokio::test(start_paused = true)]
async fn chunks_arrive_in_order_without_gaps_or_doubles_through_errors() {
    let counting = |to: u32| async move {
        Ok::<_, JobError>(Streaming::new(stream::iter((0..to).map(Ok::<_, JobError>))).aggregated())
    };
    let running = Running::start(Worker::new(counting)).await;
    let mut requests = 0;
    running.platform.with_faults(move |exchange| {
        requests += 1;
        (matches!(exchange, Exchange::Chunk { .. }) && requests % 3 == 0).then_some(Fault::Refuse(500))
    });
    running.platform.submit("j", json!(20));
    let body = running.platform.result("j").await;
    let chunks = chunks_of("j", &running.platform.exchanges());
    let expected: Vec<String> = (0..20).map(|n| format!("{{\"output\": {n}}}")).collect();
    assert_eq!(chunks, expected);
    assert_eq!(
        body,
        "{\"output\": [0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19]}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_error_after_good_chunks_keeps_those_and_fails_the_job_with_the_error_alone() {
    for aggregate in [false, true] {
        let broken = move |_: u32| async move {
            let streaming = Streaming::new(stream::iter([
                Ok(1),
                Ok(2),
                Err(JobError::message_only("no more")),
                Ok(4),
            ]));
            Ok::<_, JobError>(if aggregate {
                streaming.aggregated()
            } else {
                streaming
            })
        };
        let running = Running::start(Worker::new(broken)).await;
        running.platform.submit("j", json!(0));
        let body: serde_json::Value = serde_json::from_str(&running.platform.result("j").await).unwrap();
        let error: serde_json::Value = serde_json::from_str(body["error"].as_str().unwrap()).unwrap();
        assert_eq!(error["error_message"], "no more");
        assert_eq!(
            body.as_object().unwrap().keys().collect::<Vec<_>>(),
            ["error"],
            "no output beside it, aggregate: {aggregate}"
        );
        let exchanges = running.platform.exchanges();
        assert_eq!(
            chunks_of("j", &exchanges),
            [r#"{"output": 1}"#, r#"{"output": 2}"#]
        );
        let results = exchanges
            .iter()
            .filter(|exchange| matches!(exchange, Exchange::Result { is_stream: true, .. }))
            .count();
        assert_eq!(results, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_ends_a_stream_its_end_says_that_it_was_one() {
    let ends = |how: String| async move {
        let rest = match how.as_str() {
            "hangs" => stream::pending().boxed(),
            "panics" => stream::once(async { panic!("on purpose") as Result<u32, JobError> }).boxed(),
            "is too large" => stream::iter([Ok(1_234_567_890)]).boxed(),
            _ => stream::empty().boxed(),
        };
        Ok::<_, JobError>(Streaming::new(stream::iter([Ok(1)]).chain(rest)).aggregated())
    };
    let worker = Worker::new(ends)
        .timeout(Duration::from_mins(1))
        .largest_result(20);
    let running = Running::start(worker).await;
    running.platform.with_faults(|exchange| match exchange {
        Exchange::Result { body, .. } if !body.contains("\"error\"") => Some(Fault::Refuse(413)),
        _ => None,
    });
    for (how, code) in [
        ("hangs", "TIMEOUT"),
        ("panics", "PANIC"),
        ("is too large", "RESULT_TOO_LARGE"),
        ("is refused", "RESULT_REFUSED"),
    ] {
        running.platform.submit(how, json!(how));
        let body = running.platform.result(how).await;
        assert!(body.contains(code), "{how}: {body}");
    }
    let exchanges = running.platform.exchanges();
    let ends: Vec<bool> = exchanges
        .iter()
        .filter_map(|exchange| match exchange {
            Exchange::Result { is_stream, .. } => Some(*is_stream),
            _ => None,
        })
        .collect();
    assert_eq!(ends, [true; 4]);
    assert_eq!(chunks_of("hangs", &exchanges), [r#"{"output": 1}"#]);
}

/// A job's chunks as they were posted, in their order.
fn chunks_of(of: &str, exchanges: &[Exchange]) -> Vec<String> {
    exchanges
        .iter()
        .filter_map(|exchange| match exchange {
            Exchange::Chunk { job, body } if job.as_str() == of => Some(body.clone()),
            _ => None,
        })
        .collect()
}

#[tokio::test(start_paused = true)]
async fn one_handler_answers_some_jobs_with_a_value_and_streams_to_others() {
    let either = |to: u32| async move {
        Ok::<_, JobError>(match to {
            0 => MaybeStreaming::Value("nothing"),
            _ => MaybeStreaming::Chunks(Streaming::new(stream::iter((0..to).map(Ok::<_, JobError>)))),
        })
    };
    let running = Running::start(Worker::new(either)).await;
    running.platform.submit("value", json!(0));
    running.platform.submit("stream", json!(2));
    assert_eq!(running.platform.result("value").await, r#"{"output": "nothing"}"#);
    assert_eq!(running.platform.result("stream").await, r#"{"output": []}"#);
    let exchanges = running.platform.exchanges();
    assert_eq!(chunks_of("value", &exchanges), [""; 0]);
    assert_eq!(
        chunks_of("stream", &exchanges),
        [r#"{"output": 0}"#, r#"{"output": 1}"#]
    );
    let is_stream = |of: &str| {
        exchanges.iter().find_map(|exchange| match exchange {
            Exchange::Result { job, is_stream, .. } if job.as_str() == of => Some(*is_stream),
            _ => None,
        })
    };
    assert_eq!(
        (is_stream("value"), is_stream("stream")),
        (Some(false), Some(true))
    );
}

#[tokio::test(start_paused = true)]
async fn a_chunk_that_is_refused_fails_the_job_instead_of_leaving_a_gap() {
    let counting = |to: u32| async move {
        Ok::<_, JobError>(Streaming::new(stream::iter((0..to).map(Ok::<_, JobError>))))
    };
    let running = Running::start(Worker::new(counting)).await;
    running.platform.with_faults(|exchange| match exchange {
        Exchange::Chunk { body, .. } if body.contains('3') => Some(Fault::Refuse(413)),
        _ => None,
    });
    running.platform.submit("j", json!(1000));
    let body = running.platform.result("j").await;
    assert!(body.contains("RESULT_REFUSED"), "{body}");
    assert_eq!(running.drained().await, Ended::Drained);
}

#[tokio::test(start_paused = true)]
async fn a_chunk_above_the_limit_fails_the_job_unless_it_is_text() {
    let large = |what: String| async move {
        let value = match what.as_str() {
            "text" => json!("x".repeat(1_000_001)),
            _ => json!([what, "x".repeat(1_000_001)]),
        };
        Ok::<_, JobError>(Streaming::new(stream::iter([
            Ok::<_, JobError>(json!(1)),
            Ok(value),
        ])))
    };
    let running = Running::start(Worker::new(large)).await;
    running.platform.submit("text", json!("text"));
    assert_eq!(running.platform.result("text").await, r#"{"output": []}"#);
    running.platform.submit("list", json!("list"));
    let body = running.platform.result("list").await;
    assert!(body.contains("CHUNK_TOO_LARGE"), "{body}");
    let chunks = |job: &str| chunks_of(job, &running.platform.exchanges()).len();
    assert_eq!(
        (chunks("text"), chunks("list")),
        (2, 1),
        "what came before it stays"
    );
}

#[tokio::test(start_paused = true)]
async fn merged_text_is_whole_in_the_chunks_and_in_the_aggregate() {
    let words = |to: u32| async move {
        let words = stream::iter((0..to).map(|n| Ok::<_, JobError>(format!("{n} "))));
        Ok::<_, JobError>(
            Streaming::new(words)
                .merging(Duration::from_millis(50), 40)
                .aggregated(),
        )
    };
    let running = Running::start(Worker::new(words)).await;
    running.platform.submit("j", json!(30));
    let body = running.platform.result("j").await;
    let whole = (0..30).fold(String::new(), |text, n| text + &format!("{n} "));
    let final_body: serde_json::Value = serde_json::from_str(&body).unwrap();
    let listed: Vec<&str> = final_body["output"]
        .as_array()
        .unwrap()
        .iter()
        .map(|text| text.as_str().unwrap())
        .collect();
    assert_eq!(listed.concat(), whole);
    let posted = chunks_of("j", &running.platform.exchanges()).len();
    assert_eq!(posted, listed.len());
    assert!(posted < 10, "{posted} chunks");
}
