//! A journal whose disk is not what it should be costs no job.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;

use super::{echo, files, folder, life, refuse_results};
use crate::json::RawJson;
use crate::platform::memory::Fault;
use crate::runtime::Ended;
use crate::runtime::tests::support::Running;
use crate::{JobError, Worker};

#[test]
fn a_journal_that_cannot_be_opened_costs_no_job() {
    let journals = [Path::new("/dev/null/journal"), Path::new("/proc/journal")];
    for journal in journals {
        life(async {
            let worker: Worker = Worker::new(|input: RawJson| async move { Ok::<_, JobError>(input) });
            let running = Running::start(worker.journal(journal)).await;
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
        running
            .active_jobs
            .until(crate::runtime::ActiveJobs::is_empty)
            .await;
        std::fs::remove_dir_all(dir.path().join("v1")).unwrap();
        refuse_results(&running, &Fault::LoseRequest);
        running.platform.submit("two", json!(2));
        while !folder(&dir, "results").exists() || files(&dir, "results").is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
}
