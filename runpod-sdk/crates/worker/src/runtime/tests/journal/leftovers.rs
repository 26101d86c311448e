//! What an earlier process has left is delivered by the next one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::stream;
use serde_json::json;
use tempfile::TempDir;
use tokio::time::Instant;

use super::{dies_before_delivery, echo, files, folder, life, refuse_results, until_files};
use crate::platform::memory::{Exchange, Fault, MemoryPlatform};
use crate::runtime::Ended;
use crate::runtime::tests::support::{Running, results};
use crate::{JobError, Streaming, Worker};

#[test]
fn a_result_whose_process_died_is_delivered_once_by_the_next_start() {
    let dir = TempDir::new().unwrap();
    dies_before_delivery(&dir, &json!("kept"));
    life(async {
        let ran = Arc::default();
        let running = Running::start(echo(&dir, &ran)).await;
        assert_eq!(running.platform.result("j").await, r#"{"output": "kept"}"#);
        until_files(&dir, "results", 0).await;
        tokio::time::sleep(Duration::from_mins(5)).await;
        assert_eq!(results(&running.platform.exchanges()).len(), 1);
        assert_eq!(ran.load(Ordering::SeqCst), 0);
        assert_eq!(running.drained().await, Ended::Drained);
    });
    for kind in ["results", "started", "writing", "workers", "unreadable"] {
        assert!(files(&dir, kind).is_empty(), "something is left in {kind}");
    }
}

#[test]
fn the_refused_end_of_a_stream_of_an_earlier_run_still_ends_a_stream() {
    let dir = TempDir::new().unwrap();
    let counting = |to: u32| async move {
        Ok::<_, JobError>(Streaming::new(stream::iter((0..to).map(Ok::<_, JobError>))))
    };
    life(async {
        let running = Running::start(Worker::new(counting).journal(dir.path())).await;
        refuse_results(&running, &Fault::Refuse(503));
        running.platform.submit("j", json!(2));
        until_files(&dir, "results", 1).await;
    });
    life(async {
        let platform = Arc::new(MemoryPlatform::new(Duration::from_secs(20)));
        platform.with_faults(|exchange| match exchange {
            Exchange::Result { body, .. } if !body.contains("\"error\"") => Some(Fault::Refuse(413)),
            _ => None,
        });
        let running = Running::start_on(platform, Worker::new(counting).journal(dir.path()), 1).await;
        let body = running.platform.result("j").await;
        assert!(body.contains("RESULT_REFUSED"), "{body}");
        let exchanges = running.platform.exchanges();
        let ends_stream = |exchange: &Exchange| matches!(exchange, Exchange::Result { is_stream: true, .. });
        assert!(exchanges.iter().any(ends_stream), "{exchanges:?}");
    });
}

#[test]
fn what_is_left_from_before_is_delivered_before_the_first_take() {
    let dir = TempDir::new().unwrap();
    dies_before_delivery(&dir, &json!("old"));
    life(async {
        let platform = Arc::new(MemoryPlatform::new(Duration::from_secs(20)));
        // The next job may be the end of this process, too.
        platform.submit("new", json!(1));
        platform.with_faults(|exchange| {
            matches!(exchange, Exchange::Result { .. }).then_some(Fault::Delay(Duration::from_secs(1)))
        });
        let running = Running::start_on(platform, echo(&dir, &Arc::default()), 1).await;
        running.platform.result("new").await;
        let exchanges = running.platform.exchanges();
        let delivered = exchanges
            .iter()
            .position(|exchange| matches!(exchange, Exchange::Result { job, .. } if job.as_str() == "j"));
        let first_take = exchanges
            .iter()
            .position(|exchange| matches!(exchange, Exchange::Take { .. }));
        assert!(delivered.is_some() && delivered < first_take, "{exchanges:?}");
    });
}

#[test]
fn a_platform_that_is_slow_to_accept_what_is_left_delays_first_takes_by_two_seconds() {
    let dir = TempDir::new().unwrap();
    dies_before_delivery(&dir, &json!("old"));
    life(async {
        let running = Running::start(echo(&dir, &Arc::default())).await;
        running.platform.with_faults(|exchange| match exchange {
            Exchange::Result { job, .. } if job.as_str() == "j" => Some(Fault::Delay(Duration::from_mins(2))),
            _ => None,
        });
        let began = Instant::now();
        running.platform.submit("new", json!(1));
        running.platform.result("new").await;
        let waited = began.elapsed();
        assert!(waited < Duration::from_millis(2100), "{waited:?}");
        running.platform.result("j").await;
    });
}

#[test]
fn what_a_second_signal_left_undelivered_is_delivered_by_the_next_start() {
    let dir = TempDir::new().unwrap();
    life(async {
        let running = Running::start(echo(&dir, &Arc::default())).await;
        refuse_results(&running, &Fault::LoseRequest);
        running.platform.submit("j", json!("kept"));
        until_files(&dir, "results", 1).await;
        running.shutdown.drain.cancel();
        running.shutdown.abandon.cancel();
        assert_eq!(running.ended().await, Ended::Abandoned { jobs: 1 });
    });
    assert!(files(&dir, "workers").is_empty(), "it said goodbye");
    life(async {
        let running = Running::start(echo(&dir, &Arc::default())).await;
        assert_eq!(running.platform.result("j").await, r#"{"output": "kept"}"#);
    });
}

#[test]
fn a_leftover_whose_job_is_gone_is_dropped() {
    for status in [404, 410] {
        let dir = TempDir::new().unwrap();
        dies_before_delivery(&dir, &json!(1));
        life(async {
            let platform = Arc::new(MemoryPlatform::new(Duration::from_secs(20)));
            platform.with_faults(move |exchange| {
                matches!(exchange, Exchange::Result { .. }).then_some(Fault::Refuse(status))
            });
            let running = Running::start_on(platform, echo(&dir, &Arc::default()), 1).await;
            until_files(&dir, "results", 0).await;
            assert!(results(&running.platform.exchanges()).is_empty());
        });
    }
}

#[test]
fn a_leftover_that_the_platform_refuses_fails_its_job() {
    for status in [400, 413] {
        let dir = TempDir::new().unwrap();
        dies_before_delivery(&dir, &json!("x".repeat(1000)));
        life(async {
            let platform = Arc::new(MemoryPlatform::new(Duration::from_secs(20)));
            platform.with_faults(move |exchange| match exchange {
                Exchange::Result { body, .. } if !body.contains("\"error\"") => Some(Fault::Refuse(status)),
                _ => None,
            });
            let running = Running::start_on(platform, echo(&dir, &Arc::default()), 1).await;
            let body = running.platform.result("j").await;
            assert!(body.contains("RESULT_REFUSED") && !body.contains("xxx"), "{body}");
            until_files(&dir, "results", 0).await;
        });
    }
}

#[test]
fn a_leftover_waits_out_a_platform_that_is_down_and_then_expires() {
    let dir = TempDir::new().unwrap();
    dies_before_delivery(&dir, &json!(1));
    let asked = Arc::new(AtomicUsize::new(0));
    life(async {
        let platform = Arc::new(MemoryPlatform::new(Duration::from_secs(20)));
        let count = asked.clone();
        platform.with_faults(move |exchange| {
            matches!(exchange, Exchange::Result { .. }).then(|| {
                count.fetch_add(1, Ordering::SeqCst);
                Fault::Refuse(503)
            })
        });
        let _running = Running::start_on(platform, echo(&dir, &Arc::default()), 1).await;
        tokio::time::sleep(Duration::from_mins(10)).await;
        assert_eq!(files(&dir, "results").len(), 1);
    });
    let asked = asked.load(Ordering::SeqCst);
    assert!((10..=60).contains(&asked), "{asked} posts in ten minutes");

    let result = folder(&dir, "results").join(&files(&dir, "results")[0]);
    let file = std::fs::File::options().write(true).open(result).unwrap();
    let long_ago = std::time::SystemTime::now() - Duration::from_mins(31);
    file.set_modified(long_ago).unwrap();
    life(async {
        let running = Running::start(echo(&dir, &Arc::default())).await;
        until_files(&dir, "results", 0).await;
        assert!(
            results(&running.platform.exchanges()).is_empty(),
            "half an hour is the limit"
        );
    });
}

/// A life that leaves these results, the first of them first.
fn dies_with(dir: &TempDir, jobs: &[&str]) {
    life(async {
        let running = Running::start(echo(dir, &Arc::default())).await;
        refuse_results(&running, &Fault::LoseRequest);
        for (number, job) in jobs.iter().enumerate() {
            running.platform.submit(job, json!(number));
            until_files(dir, "results", number + 1).await;
        }
    });
    for (number, job) in jobs.iter().enumerate() {
        let name = files(dir, "results")
            .into_iter()
            .find(|name| name.starts_with(job));
        let file = std::fs::File::options()
            .write(true)
            .open(folder(dir, "results").join(name.unwrap()))
            .unwrap();
        let age = Duration::from_secs(60 - number as u64);
        file.set_modified(std::time::SystemTime::now() - age).unwrap();
    }
}

#[test]
fn a_leftover_that_the_platform_chokes_on_does_not_keep_younger_ones_waiting() {
    for status in [500, 502, 408, 302] {
        let dir = TempDir::new().unwrap();
        dies_with(&dir, &["a", "b", "c"]);
        life(async {
            let platform = Arc::new(MemoryPlatform::new(Duration::from_secs(20)));
            platform.with_faults(move |exchange| match exchange {
                Exchange::Result { job, .. } if job.as_str() == "a" => Some(Fault::Refuse(status)),
                _ => None,
            });
            let running = Running::start_on(platform, echo(&dir, &Arc::default()), 1).await;
            running.platform.result("b").await;
            running.platform.result("c").await;
            until_files(&dir, "results", 1).await;
            running.platform.with_faults(|_| None);
            running.platform.result("a").await;
        });
    }
}

#[test]
fn a_platform_that_is_not_to_be_had_is_asked_once_a_round() {
    let faults = [401, 403, 429, 503].map(Fault::Refuse);
    for fault in faults.into_iter().chain([Fault::LoseRequest]) {
        let dir = TempDir::new().unwrap();
        dies_with(&dir, &["a", "b", "c"]);
        life(async {
            let platform = Arc::new(MemoryPlatform::new(Duration::from_secs(20)));
            let tried = Arc::<std::sync::Mutex<Vec<String>>>::default();
            let (note, with) = (tried.clone(), fault.clone());
            platform.with_faults(move |exchange| match exchange {
                Exchange::Result { job, .. } => {
                    note.lock().unwrap().push(job.to_string());
                    Some(with.clone())
                }
                _ => None,
            });
            let _running = Running::start_on(platform, echo(&dir, &Arc::default()), 1).await;
            tokio::time::sleep(Duration::from_mins(2)).await;
            let tried = tried.lock().unwrap().clone();
            assert!(
                tried.len() > 2 && tried.iter().all(|job| job == "a"),
                "{fault:?}: {tried:?}"
            );
        });
    }
}

#[test]
fn a_stored_result_asks_for_no_other_workers_replacement() {
    let dir = TempDir::new().unwrap();
    life(async {
        let running = Running::start(echo(&dir, &Arc::default()).refresh_worker(true)).await;
        refuse_results(&running, &Fault::LoseRequest);
        running.platform.submit("j", json!("kept"));
        until_files(&dir, "results", 1).await;
    });
    life(async {
        let running = Running::start(echo(&dir, &Arc::default())).await;
        assert_eq!(running.platform.result("j").await, r#"{"output": "kept"}"#);
    });
}

#[test]
fn failures_and_ends_of_streams_are_stored_as_what_they_are() {
    let dir = TempDir::new().unwrap();
    let stream = |worker: Worker| worker.journal(dir.path()).concurrency(2);
    life(async {
        let handler = |fail: bool| async move {
            let chunks = vec![
                Ok(1),
                if fail {
                    Err(JobError::message_only("no more"))
                } else {
                    Ok(2)
                },
            ];
            Ok::<_, JobError>(Streaming::new(stream::iter(chunks)).aggregated())
        };
        let running = Running::start(stream(Worker::new(handler))).await;
        refuse_results(&running, &Fault::LoseRequest);
        running.platform.submit("good", json!(false));
        running.platform.submit("bad", json!(true));
        until_files(&dir, "results", 2).await;
    });
    life(async {
        let running = Running::start(echo(&dir, &Arc::default())).await;
        assert_eq!(running.platform.result("good").await, r#"{"output": [1,2]}"#);
        assert!(running.platform.result("bad").await.contains("no more"));
        let exchanges = running.platform.exchanges();
        let streams = exchanges
            .iter()
            .filter(|exchange| matches!(exchange, Exchange::Result { is_stream: true, .. }));
        assert_eq!(streams.count(), 2);
    });
}
