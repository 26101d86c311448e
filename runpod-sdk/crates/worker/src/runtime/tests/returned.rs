//! The results of handlers, by what they return.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Barrier;

use super::support::{Running, results, takes};
use crate::json::RawJson;
use crate::platform::memory::{Exchange, Fault};
use crate::runtime::Ended;
use crate::{JobError, JobResult, Streaming, Worker};

fn echo() -> Worker {
    Worker::new(|input: RawJson| async move { Ok::<_, JobError>(input) })
}

fn error(body: &str) -> Value {
    let body: Value = serde_json::from_str(body).unwrap();
    let text = body["error"]
        .as_str()
        .unwrap_or_else(|| panic!("no error: {body}"));
    serde_json::from_str(text).unwrap()
}

/// The keys of an output have no effect: only an error fails a job, and only a request replaces the worker.
#[tokio::test(start_paused = true)]
async fn every_value_is_the_output_as_it_is_and_no_key_of_it_means_anything() {
    let values = [
        json!(null),
        json!(true),
        json!(false),
        json!(0),
        json!(-1.5),
        json!(""),
        json!("text"),
        json!([]),
        json!([1, null]),
        json!({}),
        json!({"n": 1}),
        json!({"output": 1}),
        json!({"error": "no picture"}),
        json!({"error": ""}),
        json!({"error": null, "n": 1}),
        json!({"error": {"code": 1}}),
        json!({"refresh_worker": true}),
        json!({"refresh_worker": true, "error": "both"}),
        json!({"stopPod": true, "status": "IN_PROGRESS"}),
    ];
    let running = Running::start(echo()).await;
    for (number, value) in values.iter().enumerate() {
        let id = format!("j{number}");
        running.platform.submit(&id, value.clone());
        assert_eq!(
            running.platform.result(&id).await,
            format!("{{\"output\": {value}}}")
        );
    }
    assert_eq!(running.drained().await, Ended::Drained);
}

#[tokio::test(start_paused = true)]
async fn a_value_that_is_no_json_fails_its_job_and_the_next_one_runs() {
    let odd = |bad: bool| async move {
        let key = if bad { vec![1] } else { vec![] };
        // A map whose keys are lists: serde takes it, JSON does not.
        Ok::<_, JobError>(key.into_iter().map(|n| (vec![n], n)).collect::<BTreeMap<_, _>>())
    };
    let running = Running::start(Worker::new(odd)).await;
    running.platform.submit("bad", json!(true));
    let error = error(&running.platform.result("bad").await);
    assert_eq!(
        (&error["code"], &error["class"]),
        (&json!("OUTPUT_NOT_JSON"), &json!("worker"))
    );
    running.platform.submit("good", json!(false));
    assert_eq!(running.platform.result("good").await, r#"{"output": {}}"#);
}

#[tokio::test(start_paused = true)]
async fn a_chunk_that_is_no_json_fails_its_job_after_the_chunks_before_it() {
    let odd = |_: RawJson| async {
        let chunks = [BTreeMap::new(), BTreeMap::from([(vec![1], 1)])];
        Ok::<_, JobError>(Streaming::new(futures_util::stream::iter(
            chunks.map(Ok::<_, JobError>),
        )))
    };
    let running = Running::start(Worker::new(odd)).await;
    running.platform.submit("j", json!(1));
    assert_eq!(
        error(&running.platform.result("j").await)["code"],
        "OUTPUT_NOT_JSON"
    );
    let chunks = running
        .platform
        .exchanges()
        .iter()
        .filter(|exchange| matches!(exchange, Exchange::Chunk { .. }))
        .count();
    assert_eq!(chunks, 1);
}

#[tokio::test(start_paused = true)]
async fn a_larger_result_than_the_worker_sends_fails_its_job_unsent() {
    let running = Running::start(echo().largest_result(100)).await;
    // `{"output": "…"}` is 14 bytes more than the text in it.
    running.platform.submit("fits", json!("x".repeat(86)));
    assert_eq!(running.platform.result("fits").await.len(), 100);
    running.platform.submit("large", json!("x".repeat(87)));
    let error = error(&running.platform.result("large").await);
    assert_eq!(error["code"], "RESULT_TOO_LARGE");
    assert_eq!(error["details"], json!({"bytes": 101, "limit": 100}));
    let posted = results(&running.platform.exchanges());
    assert!(posted.iter().all(|(_, body)| !body.contains(&"x".repeat(87))));
    assert_eq!(posted.len(), 2, "the error was posted, however long it is");
}

#[tokio::test(start_paused = true)]
async fn a_handler_can_ask_how_large_its_result_may_be() {
    let limit = || {
        Worker::new(|_: RawJson, ctx: crate::Context| async move { Ok::<_, JobError>(ctx.result_limit()) })
    };
    for (worker, job, output) in [
        (limit(), "j", 10_000_000),
        (limit(), "sync-j", 20_000_000),
        (limit().largest_result(15_000_000), "j", 10_000_000),
        (limit().largest_result(15_000_000), "sync-j", 15_000_000),
    ] {
        let running = Running::start(worker).await;
        running.platform.submit(job, json!(1));
        let body = running.platform.result(job).await;
        assert_eq!(body, format!("{{\"output\": {output}}}"));
    }
}

/// The Python worker can neither take nor stop while a plain function runs.
#[tokio::test]
async fn blocking_handlers_run_side_by_side_and_nothing_waits_for_them() {
    let together = Arc::new(std::sync::Barrier::new(2));
    let (started, running_now) = std::sync::mpsc::channel();
    let meet = move |wait: bool, ctx: crate::Context| -> JobResult<bool> {
        if wait {
            started.send(())?;
            while !ctx.is_cancelled() {
                std::thread::yield_now();
            }
            return Ok(false);
        }
        // Each waits for the other, on its thread.
        together.wait();
        Ok(true)
    };
    let running = Running::start(Worker::blocking(meet).concurrency(3)).await;
    running.platform.submit("endless", json!(true));
    running.active_jobs.until(|jobs| jobs.len() == 1).await;
    running.platform.submit("one", json!(false));
    running.platform.submit("other", json!(false));
    running.platform.result("one").await;
    running.platform.result("other").await;
    running_now.recv().unwrap();
    running.platform.stop("endless");
    running
        .active_jobs
        .until(crate::runtime::ActiveJobs::is_empty)
        .await;
    assert_eq!(
        results(&running.platform.exchanges()).len(),
        2,
        "the stopped job says nothing"
    );
}

#[tokio::test(start_paused = true)]
async fn each_result_of_a_worker_that_refreshes_says_so_whatever_it_is() {
    let barrier = Arc::new(Barrier::new(3));
    let mixed = move |how: String| {
        let barrier = barrier.clone();
        async move {
            barrier.wait().await;
            match how.as_str() {
                "fails" => Err(JobError::message_only("no")),
                "panics" => std::panic::resume_unwind(Box::new("no")),
                _ => Ok(how),
            }
        }
    };
    let running = Running::start(Worker::new(mixed).concurrency(3).refresh_worker(true)).await;
    // All before the first ends, which is the end of the taking.
    for how in ["succeeds", "fails", "panics"] {
        running.platform.submit(how, json!(how));
    }
    running.platform.submit("for another worker", json!("succeeds"));
    let platform = running.platform.clone();
    assert_eq!(running.ended().await, Ended::Drained);
    let results = results(&platform.exchanges());
    assert_eq!(results.len(), 3);
    for (job, body) in results {
        assert!(body.ends_with(r#", "stopPod": true}"#), "{job}: {body}");
        assert_eq!(body.contains(r#""error""#), job != "succeeds", "{job}: {body}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_stream_asks_for_another_worker_too() {
    for (aggregated, expected) in [
        (false, r#"{"output": [], "stopPod": true}"#),
        (true, r#"{"output": [1,2], "stopPod": true}"#),
    ] {
        let counting = move |_: RawJson| async move {
            let stream = Streaming::new(futures_util::stream::iter([1, 2].map(Ok::<_, JobError>)));
            Ok::<_, JobError>(if aggregated { stream.aggregated() } else { stream })
        };
        let running = Running::start(Worker::new(counting).refresh_worker(true)).await;
        running.platform.submit("j", json!(1));
        let platform = running.platform.clone();
        assert_eq!(running.ended().await, Ended::Drained);
        let end = platform
            .exchanges()
            .into_iter()
            .find_map(|exchange| match exchange {
                Exchange::Result { body, is_stream, .. } => Some((body, is_stream)),
                _ => None,
            });
        assert_eq!(end, Some((expected.to_owned(), true)));
        assert_eq!(takes(&platform.exchanges()).len(), 1, "no take after it");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_result_of_a_worker_that_refreshes_still_says_so() {
    let running = Running::start(echo().refresh_worker(true)).await;
    running.platform.with_faults(|exchange| match exchange {
        Exchange::Result { body, .. } if !body.contains("\"error\"") => Some(Fault::Refuse(413)),
        _ => None,
    });
    running.platform.submit("j", json!("x".repeat(1000)));
    let body = tokio::time::timeout(Duration::from_mins(1), running.platform.result("j"))
        .await
        .unwrap();
    assert!(
        body.contains("RESULT_REFUSED") && body.ends_with(r#", "stopPod": true}"#),
        "{body}"
    );
}
