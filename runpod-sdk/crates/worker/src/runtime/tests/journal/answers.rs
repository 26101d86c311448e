//! A job that is handed out again is answered without running.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;
use tokio::time::Instant;

use super::{all_files, dies_before_delivery, echo, life, refuse_results, until_files};
use crate::json::RawJson;
use crate::platform::memory::{Exchange, Fault, MemoryPlatform};
use crate::runtime::Ended;
use crate::runtime::tests::ledger::Ledger;
use crate::runtime::tests::support::{Running, results};
use crate::{JobError, Worker};

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
            results(&platform.exchanges())
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
        running.platform.with_faults(|exchange| {
            matches!(exchange, Exchange::Result { .. }).then_some(Fault::Delay(Duration::from_secs(5)))
        });
        // The leftover is being posted when the job arrives.
        tokio::time::sleep(Duration::from_secs(1)).await;
        running.platform.submit("j", json!("second"));
        running.active_jobs.until(|jobs| jobs.len() == 1).await;
        running
            .active_jobs
            .until(crate::runtime::ActiveJobs::is_empty)
            .await;
        // The first came before the job was this worker's, and may not have counted.
        let first = ("j".to_owned(), r#"{"output": "first"}"#.to_owned());
        assert_eq!(results(&running.platform.exchanges()), [first.clone(), first]);
        assert_eq!(ran.load(Ordering::SeqCst), 0);
    });
}

#[test]
fn a_job_handed_out_after_its_old_result_was_delivered_is_answered_with_it_for_a_while() {
    let dir = TempDir::new().unwrap();
    dies_before_delivery(&dir, &json!("first"));
    life(async {
        let ran = Arc::default();
        let running = Running::start(echo(&dir, &ran)).await;
        assert_eq!(running.platform.result("j").await, r#"{"output": "first"}"#);
        until_files(&dir, "results", 0).await;
        // It came too late, and the platform has queued the job again.
        running.platform.submit("j", json!("second"));
        let twice = |exchanges: &[Exchange]| (results(exchanges).len() == 2).then_some(());
        running.platform.until(twice).await;
        let first = ("j".to_owned(), r#"{"output": "first"}"#.to_owned());
        assert_eq!(results(&running.platform.exchanges()), [first.clone(), first]);
        assert_eq!(running.drained().await, Ended::Drained);
        assert_eq!(ran.load(Ordering::SeqCst), 0);
    });
    assert!(all_files(&dir, "results").is_empty(), "now it is settled");
}

#[test]
fn a_job_whose_old_result_the_platform_is_slow_to_accept_is_answered_with_it() {
    let dir = TempDir::new().unwrap();
    dies_before_delivery(&dir, &json!("first"));
    life(async {
        let ran = Arc::default();
        let platform = Arc::new(MemoryPlatform::new(Duration::from_secs(20)));
        platform.submit("j", json!("second"));
        // The leftover's post, which comes first, is on its way for a minute.
        let mut posts = 0;
        platform.with_faults(move |exchange| {
            let is_post = matches!(exchange, Exchange::Result { .. });
            posts += usize::from(is_post);
            (is_post && posts == 1).then_some(Fault::Delay(Duration::from_mins(1)))
        });
        let began = Instant::now();
        let running = Running::start_on(platform, echo(&dir, &ran), 1).await;
        assert_eq!(running.platform.result("j").await, r#"{"output": "first"}"#);
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
        running
            .active_jobs
            .until(crate::runtime::ActiveJobs::is_empty)
            .await;
        until_files(&dir, "results", 0).await;
        assert_eq!(ran.load(Ordering::SeqCst), 0);
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
        running.active_jobs.until(|jobs| jobs.len() == 1).await;
        running
            .active_jobs
            .until(crate::runtime::ActiveJobs::is_empty)
            .await;
        running.platform.submit("j", json!("second"));
        running.active_jobs.until(|jobs| jobs.len() == 1).await;
        running.platform.with_faults(|_| None);
        assert_eq!(running.platform.result("j").await, r#"{"output": "first"}"#);
        assert_eq!(ran.load(Ordering::SeqCst), 1);
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
            assert_eq!(results(&platform.exchanges()).len(), 2, "one for each job");
            assert_eq!(ran.load(Ordering::SeqCst), 2);
        });
    }
}
