//! Lives of workers that share a journal. The end of a life, unless it is drained, is a crash: its runtime is
//! dropped with all its tasks, and only the disk is left.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;
use tokio::time::Instant;

use super::ledger::Ledger;
use super::support::{Running, results};
use crate::json::RawJson;
use crate::platform::memory::{Fault, MemoryPlatform, Said};
use crate::runtime::Ended;
use crate::{Context, JobError, JobResult, Journal, Worker};

/// One process, from its start to its end.
fn life<T>(life: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap()
        .block_on(async { tokio::time::timeout(Duration::from_hours(2), life).await })
        .expect("what the test waits for does not happen")
}

/// Counts how often its handler runs.
fn echo(dir: &TempDir, ran: &Arc<AtomicUsize>) -> Worker {
    let ran = ran.clone();
    let worker: Worker = Worker::new(move |input: RawJson| {
        ran.fetch_add(1, Ordering::SeqCst);
        async move { Ok::<_, JobError>(input) }
    });
    worker.journal(dir.path())
}

/// Never ends by itself.
fn endless(dir: &TempDir) -> Worker {
    async fn forever(_: RawJson) -> JobResult<()> {
        std::future::pending().await
    }
    Worker::new(forever).journal(dir.path())
}

fn refuse_results(running: &Running, fault: &Fault) {
    let fault = fault.clone();
    running
        .platform
        .with_faults(move |said| matches!(said, Said::Result { .. }).then(|| fault.clone()));
}

fn files(dir: &TempDir, kind: &str) -> Vec<String> {
    let names = std::fs::read_dir(dir.path().join("v1").join(kind)).unwrap();
    names
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect()
}

/// Waits until there are so many files of a kind.
async fn until_files(dir: &TempDir, kind: &str, count: usize) {
    while files(dir, kind).len() != count {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A life in which job `j` finishes and can't be delivered before the process dies.
fn dies_before_delivery(dir: &TempDir, output: &serde_json::Value) {
    life(async {
        let running = Running::start(echo(dir, &Arc::default())).await;
        refuse_results(&running, &Fault::Refuse(503));
        running.platform.submit("j", output.clone());
        until_files(dir, "results", 1).await;
    });
}

/// A life in which job `j` runs when the process dies, the `nth` of them.
fn dies_while_running(dir: &TempDir, nth: usize) {
    life(async {
        let running = Running::start(endless(dir)).await;
        running.platform.submit("j", json!(0));
        running.held.until(|held| held.len() == 1).await;
        until_files(dir, "started", nth).await;
    });
}

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
        assert_eq!(results(&running.platform.said()).len(), 1);
        assert_eq!(ran.load(Ordering::SeqCst), 0);
        assert_eq!(running.drained().await, Ended::Drained);
    });
    for kind in ["results", "started", "writing", "workers", "unreadable"] {
        assert!(files(&dir, kind).is_empty(), "something is left in {kind}");
    }
}

#[test]
fn a_job_handed_out_again_is_answered_from_the_journal_without_running() {
    let dir = TempDir::new().unwrap();
    dies_before_delivery(&dir, &json!("first"));
    life(async {
        let ran = Arc::default();
        let platform = Arc::new(MemoryPlatform::new(Duration::from_secs(20)));
        platform.submit("j", json!("second"));
        let (worker, ledger) = Ledger::of(echo(&dir, &ran));
        let running = Running::start_on(platform, worker, 1).await;
        assert_eq!(running.platform.result("j").await, r#"{"output": "first"}"#);
        let platform = running.platform.clone();
        assert_eq!(running.drained().await, Ended::Drained);
        ledger.check(true);
        assert_eq!(ran.load(Ordering::SeqCst), 0);
        assert!(
            results(&platform.said())
                .iter()
                .all(|(_, body)| body.contains("first"))
        );
    });
}

#[test]
fn a_job_handed_out_while_its_old_result_is_on_its_way_is_not_run_again() {
    let dir = TempDir::new().unwrap();
    dies_before_delivery(&dir, &json!("first"));
    life(async {
        let ran = Arc::default();
        let running = Running::start(echo(&dir, &ran)).await;
        running.platform.with_faults(|said| {
            matches!(said, Said::Result { .. }).then_some(Fault::Delay(Duration::from_secs(5)))
        });
        // The leftover is being posted when the job arrives.
        tokio::time::sleep(Duration::from_secs(1)).await;
        running.platform.submit("j", json!("second"));
        running.held.until(|held| held.len() == 1).await;
        running.held.until(crate::runtime::Held::is_empty).await;
        assert_eq!(
            results(&running.platform.said()),
            [("j".to_owned(), r#"{"output": "first"}"#.to_owned())]
        );
        assert_eq!(ran.load(Ordering::SeqCst), 0);
    });
}

#[test]
fn first_takes_do_not_wait_for_what_is_left_from_before() {
    let dir = TempDir::new().unwrap();
    dies_before_delivery(&dir, &json!("old"));
    life(async {
        let running = Running::start(echo(&dir, &Arc::default())).await;
        running.platform.with_faults(|said| match said {
            Said::Result { job, .. } if job.as_str() == "j" => Some(Fault::Delay(Duration::from_mins(2))),
            _ => None,
        });
        let began = Instant::now();
        running.platform.submit("new", json!(1));
        running.platform.result("new").await;
        assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
        running.platform.result("j").await;
    });
}

#[test]
fn a_delivered_result_leaves_nothing_on_the_disk() {
    let dir = TempDir::new().unwrap();
    life(async {
        let running = Running::start(echo(&dir, &Arc::default()).concurrency(4)).await;
        // Some deliveries are faster than the disk, some are not.
        running.platform.with_faults(|said| match said {
            Said::Result { job, .. } if job.as_str() > "j3" => Some(Fault::Delay(Duration::from_secs(1))),
            _ => None,
        });
        for job in 0..8 {
            running
                .platform
                .submit(&format!("j{job}"), json!("x".repeat(10_000)));
        }
        running
            .platform
            .until(|said| (results(said).len() == 8).then_some(()))
            .await;
        assert_eq!(running.drained().await, Ended::Drained);
    });
    for kind in ["results", "started", "writing", "workers"] {
        assert!(files(&dir, kind).is_empty(), "something is left in {kind}");
    }
}

#[test]
fn a_result_outlives_its_delivery_window_and_is_delivered_when_the_platform_is_back() {
    let dir = TempDir::new().unwrap();
    life(async {
        let ran = Arc::default();
        let (worker, ledger) = Ledger::of(echo(&dir, &ran).delivery_window(Duration::from_secs(30)));
        let running = Running::start(worker).await;
        refuse_results(&running, &Fault::LoseRequest);
        running.platform.submit("j", json!("kept"));
        running.held.until(|held| held.len() == 1).await;
        running.held.until(crate::runtime::Held::is_empty).await;
        assert_eq!(files(&dir, "results").len(), 1, "given up, and kept");
        tokio::time::sleep(Duration::from_mins(5)).await;
        running.platform.with_faults(|_| None);
        assert_eq!(running.platform.result("j").await, r#"{"output": "kept"}"#);
        until_files(&dir, "results", 0).await;
        assert_eq!(ran.load(Ordering::SeqCst), 1);
        assert_eq!(running.drained().await, Ended::Drained);
        ledger.check(true);
        let kept = |event: &crate::WorkerEvent| matches!(event, crate::WorkerEvent::ResultKept { .. });
        assert!(ledger.events().iter().any(kept));
    });
}

#[test]
fn a_failure_that_the_platform_refuses_is_not_kept_for_ever() {
    let dir = TempDir::new().unwrap();
    life(async {
        let ran = Arc::default();
        let running = Running::start(echo(&dir, &ran)).await;
        refuse_results(&running, &Fault::Refuse(400));
        running.platform.submit("j", json!(1));
        // It may come and go before it is looked for.
        running
            .held
            .until(|held| ran.load(Ordering::SeqCst) == 1 && held.is_empty())
            .await;
        until_files(&dir, "results", 0).await;
        until_files(&dir, "writing", 0).await;
    });
}

#[test]
fn a_result_that_waits_in_the_journal_answers_its_job_when_that_is_handed_out_again() {
    let dir = TempDir::new().unwrap();
    life(async {
        let ran = Arc::default();
        let worker = echo(&dir, &ran).delivery_window(Duration::from_secs(30));
        let running = Running::start(worker).await;
        refuse_results(&running, &Fault::LoseRequest);
        running.platform.submit("j", json!("first"));
        running.held.until(|held| held.len() == 1).await;
        running.held.until(crate::runtime::Held::is_empty).await;
        running.platform.submit("j", json!("second"));
        running.held.until(|held| held.len() == 1).await;
        running.platform.with_faults(|_| None);
        assert_eq!(running.platform.result("j").await, r#"{"output": "first"}"#);
        assert_eq!(ran.load(Ordering::SeqCst), 1);
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
            platform.with_faults(move |said| {
                matches!(said, Said::Result { .. }).then_some(Fault::Refuse(status))
            });
            let running = Running::start_on(platform, echo(&dir, &Arc::default()), 1).await;
            until_files(&dir, "results", 0).await;
            assert!(results(&running.platform.said()).is_empty());
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
            platform.with_faults(move |said| match said {
                Said::Result { body, .. } if !body.contains("\"error\"") => Some(Fault::Refuse(status)),
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
        platform.with_faults(move |said| {
            matches!(said, Said::Result { .. }).then(|| {
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

    let result = dir.path().join("v1/results").join(&files(&dir, "results")[0]);
    let file = std::fs::File::options().write(true).open(result).unwrap();
    let long_ago = std::time::SystemTime::now() - Duration::from_mins(31);
    file.set_modified(long_ago).unwrap();
    life(async {
        let running = Running::start(echo(&dir, &Arc::default())).await;
        until_files(&dir, "results", 0).await;
        assert!(
            results(&running.platform.said()).is_empty(),
            "half an hour is the limit"
        );
    });
}

#[test]
fn a_job_that_crashed_its_process_three_times_fails_as_poison() {
    let dir = TempDir::new().unwrap();
    for nth in 1..=3 {
        dies_while_running(&dir, nth);
    }
    life(async {
        let ran = Arc::default();
        let running = Running::start(echo(&dir, &ran)).await;
        running.platform.submit("j", json!(0));
        running.platform.submit("other", json!(1));
        let body = running.platform.result("j").await;
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        let error: serde_json::Value = serde_json::from_str(body["error"].as_str().unwrap()).unwrap();
        assert_eq!(
            (&error["code"], &error["class"], &error["retryable"]),
            (&json!("POISON_JOB"), &json!("worker"), &json!(false)),
        );
        assert_eq!(error["details"]["crashes"], 3);
        let message = error["error_message"].as_str().unwrap();
        let last = error["details"]["crashed_at"][2].as_str().unwrap();
        assert!(
            message.contains("last 3 times") && message.contains(last),
            "{message}"
        );
        assert_eq!(running.platform.result("other").await, r#"{"output": 1}"#);
        assert_eq!(ran.load(Ordering::SeqCst), 1, "only the other job ran");

        // Who sends it again on purpose gets a run.
        until_files(&dir, "started", 0).await;
        running.platform.submit("j", json!(2));
        running
            .platform
            .until(|said| {
                results(said)
                    .iter()
                    .any(|(_, body)| body == r#"{"output": 2}"#)
                    .then_some(())
            })
            .await;
    });
}

#[test]
fn a_limit_of_none_runs_a_job_however_often_it_crashed() {
    let dir = TempDir::new().unwrap();
    for nth in 1..=3 {
        dies_while_running(&dir, nth);
    }
    life(async {
        let worker = echo(&dir, &Arc::default()).journal(Journal::at(dir.path()).crashes(0));
        let running = Running::start(worker).await;
        running.platform.submit("j", json!("ran"));
        assert_eq!(running.platform.result("j").await, r#"{"output": "ran"}"#);
    });
}

#[test]
fn an_end_of_a_job_clears_its_crashes() {
    let dir = TempDir::new().unwrap();
    for nth in 1..=2 {
        dies_while_running(&dir, nth);
    }
    life(async {
        let running = Running::start(echo(&dir, &Arc::default())).await;
        running.platform.submit("j", json!(0));
        running.platform.result("j").await;
        assert_eq!(running.drained().await, Ended::Drained);
    });
    assert!(files(&dir, "started").is_empty());
}

#[test]
fn a_panic_a_stop_and_a_deadline_are_no_crashes() {
    async fn acts(deed: String, ctx: Context) -> JobResult<()> {
        if deed == "panic" {
            std::panic::resume_unwind(Box::new("a panic without its message"));
        }
        ctx.cancelled().await;
        Ok(())
    }
    let dir = TempDir::new().unwrap();
    life(async {
        let worker: Worker = Worker::new(acts);
        let worker = worker
            .timeout(Duration::from_secs(5))
            .journal(Journal::at(dir.path()).crashes(1));
        let running = Running::start(worker).await;
        for deed in ["panic", "deadline", "stop"] {
            running.platform.submit(deed, json!(deed));
        }
        running.platform.result("deadline").await;
        running.held.until(|held| held.contains(&"stop".into())).await;
        running.platform.stop("stop");
        running.held.until(crate::runtime::Held::is_empty).await;
        until_files(&dir, "started", 0).await;
    });
}

#[test]
fn a_job_that_was_abandoned_in_good_order_has_not_crashed() {
    let dir = TempDir::new().unwrap();
    for second_signal in [false, true] {
        life(async {
            let running = Running::start(endless(&dir).shutdown_grace(Duration::from_secs(1))).await;
            running.platform.submit("j", json!(0));
            running.held.until(|held| held.len() == 1).await;
            until_files(&dir, "started", 1).await;
            running.shutdown.drain.cancel();
            if second_signal {
                running.shutdown.abandon.cancel();
            }
            assert_eq!(running.ended().await, Ended::Abandoned { jobs: 1 });
        });
        assert!(
            files(&dir, "started").is_empty(),
            "second signal: {second_signal}"
        );
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
            Ok::<_, JobError>(crate::Streaming::new(futures_util::stream::iter(chunks)).aggregated())
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
        let said = running.platform.said();
        let streams = said
            .iter()
            .filter(|said| matches!(said, Said::Result { is_stream: true, .. }));
        assert_eq!(streams.count(), 2);
    });
}

#[test]
fn a_journal_that_cannot_be_opened_costs_no_job() {
    let places = [Path::new("/dev/null/journal"), Path::new("/proc/journal")];
    for place in places {
        life(async {
            let worker: Worker = Worker::new(|input: RawJson| async move { Ok::<_, JobError>(input) });
            let running = Running::start(worker.journal(place)).await;
            running.platform.submit("j", json!("done"));
            assert_eq!(running.platform.result("j").await, r#"{"output": "done"}"#);
            assert_eq!(running.drained().await, Ended::Drained);
        });
    }
}

#[test]
fn a_journal_whose_directory_is_taken_away_is_made_again() {
    let dir = TempDir::new().unwrap();
    life(async {
        let running = Running::start(echo(&dir, &Arc::default())).await;
        running.platform.submit("one", json!(1));
        running.platform.result("one").await;
        running.held.until(crate::runtime::Held::is_empty).await;
        std::fs::remove_dir_all(dir.path().join("v1")).unwrap();
        refuse_results(&running, &Fault::LoseRequest);
        running.platform.submit("two", json!(2));
        while !dir.path().join("v1/results").exists() || files(&dir, "results").is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
}

#[test]
fn a_job_handed_out_twice_runs_once_while_its_result_waits_for_delivery() {
    let dir = TempDir::new().unwrap();
    let ran = Arc::<AtomicUsize>::default();
    let plain = || {
        let ran = ran.clone();
        Worker::new(move |input: RawJson| {
            ran.fetch_add(1, Ordering::SeqCst);
            async move { Ok::<_, JobError>(input) }
        })
    };
    for worker in [plain(), plain().journal(dir.path())] {
        ran.store(0, Ordering::SeqCst);
        life(async {
            let running = Running::start(worker).await;
            refuse_results(&running, &Fault::Refuse(503));
            running.platform.submit("twin", json!("first"));
            // Taken, run, and refused at least once.
            while ran.load(Ordering::SeqCst) == 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            running.platform.submit("twin", json!("second"));
            running.platform.submit("last", json!("last"));
            while ran.load(Ordering::SeqCst) < 2 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            assert_eq!(running.platform.handed_out(), ["twin", "twin", "last"]);
            running.platform.with_faults(|_| None);
            assert_eq!(running.platform.result("twin").await, r#"{"output": "first"}"#);
            let platform = running.platform.clone();
            assert_eq!(running.drained().await, Ended::Drained);
            assert_eq!(results(&platform.said()).len(), 2, "one for each job");
            assert_eq!(ran.load(Ordering::SeqCst), 2);
        });
    }
}
