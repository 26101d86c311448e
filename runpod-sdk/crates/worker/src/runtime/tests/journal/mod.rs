//! Workers that share a journal, one after another. A worker that is not drained ends by a crash: its runtime is
//! dropped with all its tasks, and only the disk stays.

mod answers;
mod deliveries;
mod disks;
mod hanging;
mod leftovers;
mod poison;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;

use super::support::Running;
use crate::json::RawJson;
use crate::platform::memory::{Exchange, Fault};
use crate::{JobError, JobResult, Worker};

/// Runs one worker process, from its start to its end.
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
        .with_faults(move |exchange| matches!(exchange, Exchange::Result { .. }).then(|| fault.clone()));
}

/// Those of a kind that wait for something.
fn files(dir: &TempDir, kind: &str) -> Vec<String> {
    let mut names = all_files(dir, kind);
    names.retain(|name| !name.ends_with("@delivered"));
    names
}

fn all_files(dir: &TempDir, kind: &str) -> Vec<String> {
    let names = std::fs::read_dir(folder(dir, kind)).unwrap();
    names
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect()
}

/// Where the files of a kind are.
fn folder(dir: &TempDir, kind: &str) -> PathBuf {
    dir.path().join("v1/@no-endpoint").join(kind)
}

/// Waits until there is this number of files of a kind.
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
        running.active_jobs.until(|jobs| jobs.len() == 1).await;
        until_files(dir, "started", nth).await;
    });
}
