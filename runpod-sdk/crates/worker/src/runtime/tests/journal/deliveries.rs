//! Results of a living process: kept for as long as they are not delivered, and no longer.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;

use super::{echo, files, life, refuse_results, until_files};
use crate::platform::memory::{Exchange, Fault};
use crate::runtime::Ended;
use crate::runtime::tests::ledger::Ledger;
use crate::runtime::tests::support::{Running, results};

#[test]
fn a_delivered_result_leaves_nothing_on_the_disk() {
    let dir = TempDir::new().unwrap();
    life(async {
        let running = Running::start(echo(&dir, &Arc::default()).concurrency(4)).await;
        // Some deliveries are faster than the disk, some are not.
        running.platform.with_faults(|exchange| match exchange {
            Exchange::Result { job, .. } if job.as_str() > "j3" => Some(Fault::Delay(Duration::from_secs(1))),
            _ => None,
        });
        for job in 0..8 {
            running
                .platform
                .submit(&format!("j{job}"), json!("x".repeat(10_000)));
        }
        running
            .platform
            .until(|exchanges| (results(exchanges).len() == 8).then_some(()))
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
        running.active_jobs.until(|jobs| jobs.len() == 1).await;
        running
            .active_jobs
            .until(crate::runtime::ActiveJobs::is_empty)
            .await;
        assert_eq!(files(&dir, "results").len(), 1, "given up, and kept");
        tokio::time::sleep(Duration::from_mins(5)).await;
        running.platform.with_faults(|_| None);
        assert_eq!(running.platform.result("j").await, r#"{"output": "kept"}"#);
        until_files(&dir, "results", 0).await;
        assert_eq!(ran.load(Ordering::SeqCst), 1);
        assert_eq!(running.drained().await, Ended::Drained);
        ledger.check(true);
        let kept = |event: &crate::events::WorkerEvent| {
            matches!(event, crate::events::WorkerEvent::ResultKept { .. })
        };
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
            .active_jobs
            .until(|active_jobs| ran.load(Ordering::SeqCst) == 1 && active_jobs.is_empty())
            .await;
        until_files(&dir, "results", 0).await;
        until_files(&dir, "writing", 0).await;
    });
}
