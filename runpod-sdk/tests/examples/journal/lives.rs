//! Processes that are killed, or kill themselves, and the next ones.

use rustix::process::Signal;
use serde_json::{Value, json};

use super::rig::{Rig, Way, runs};

#[tokio::test]
async fn a_result_whose_process_was_killed_is_delivered_by_the_next_start_before_it_takes() {
    let rig = Rig::new(Way::Silent).await;
    let id = rig.dies_before_delivery("pod-1", 2).await;
    rig.results_are(Way::Open);
    let mut next = rig.start("pod-2");
    next.hears("delivered the result of an earlier run").await;
    next.hears("first_take=").await;
    rig.is_printed(&id, 2).await;
    assert_eq!(runs(&next.drained().await), 0);
    assert_eq!(
        rig.platform.violations(),
        [],
        "it came in the name of the pod that had the job"
    );
    for folder in ["results", "started", "writing", "workers"] {
        assert!(rig.files(folder).is_empty(), "something is left in {folder}");
    }
}

#[tokio::test]
async fn a_job_that_is_handed_out_again_is_answered_from_the_journal_without_running() {
    let rig = Rig::new(Way::Refused).await;
    let id = rig.dies_before_delivery("pod-1", 3).await;
    rig.loses_patience();
    let mut next = rig.start("pod-2");
    next.hears("answered from the journal").await;
    rig.results_are(Way::Open);
    rig.is_printed(&id, 3).await;
    assert_eq!(runs(&next.drained().await), 0);
    assert!(rig.files("results").is_empty());
}

#[tokio::test]
async fn a_result_that_is_delivered_too_late_answers_its_job_when_that_is_handed_out_again() {
    let rig = Rig::new(Way::Silent).await;
    let id = rig.dies_before_delivery("pod-1", 5).await;
    // The job is queued again before the next start: what comes from the old pod no longer counts.
    rig.loses_patience();
    rig.results_are(Way::Open);
    let mut next = rig.start("pod-2");
    next.hears("delivered the result of an earlier run").await;
    next.hears("answered from the journal").await;
    rig.is_printed(&id, 5).await;
    assert_eq!(runs(&next.drained().await), 0);
}

#[tokio::test]
async fn a_job_that_keeps_killing_its_process_fails_as_poison_and_other_jobs_run() {
    let rig = Rig::new(Way::Open).await;
    let id = rig.submit(json!({ "pages": 1, "crash": true })).await;
    for pod in ["pod-1", "pod-2"] {
        let mut life = rig.start(pod);
        life.hears("printing").await;
        assert_eq!(life.dies().await, Some(Signal::ABORT.as_raw()));
        rig.loses_patience();
    }
    let next = rig.start("pod-3");
    let job = rig.finished(&id).await;
    assert_eq!(job["status"], "FAILED", "{job}");
    let error: Value = serde_json::from_str(job["error"].as_str().unwrap()).unwrap();
    assert_eq!(error["code"], "POISON_JOB");
    assert_eq!(error["details"]["crashes"], 2);
    let other = rig.submit(json!({ "pages": 1 })).await;
    rig.is_printed(&other, 1).await;
    assert_eq!(runs(&next.drained().await), 1, "the other job's");
}

#[tokio::test]
async fn a_job_that_one_process_is_handed_twice_runs_once() {
    let rig = Rig::new(Way::Refused).await;
    let mut life = rig.start("pod-1");
    let id = rig.submit(json!({ "pages": 4 })).await;
    life.hears("the result is in the journal").await;
    rig.loses_patience();
    life.hears("it runs once").await;
    rig.results_are(Way::Open);
    rig.is_printed(&id, 4).await;
    assert_eq!(runs(&life.drained().await), 1);
}
