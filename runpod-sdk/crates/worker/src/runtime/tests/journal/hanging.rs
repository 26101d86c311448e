//! A network volume that stops answering: heartbeat, takes and results go on.
//!
//! The paused clock stands still while a call to the disk is out, so these tests move it by hand.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{echo, files, folder, life, refuse_results, until_files};
use crate::events::Events;
use crate::journal::tests::hanging_disk::Network;
use crate::journal::{BlockingPool, JournalHandle};
use crate::platform::memory::{Exchange, Fault, MemoryPlatform};
use crate::runtime::Ended;
use crate::runtime::heartbeat::{Liveness, beat};
use crate::runtime::tests::support::{Running, takes};
use crate::{JobError, Journal, Worker};

const PATIENCE: Duration = Duration::from_secs(10);
const STEP: Duration = Duration::from_millis(100);
/// What moving the clock in steps may add.
const SLACK: Duration = Duration::from_secs(1);

/// Advances the clock until `done` is ready, while the disk hangs: a disk that works would need real time. Work that
/// needs no time is done before the clock moves.
async fn passing<T>(done: impl Future<Output = T>) -> T {
    tokio::pin!(done);
    loop {
        for _ in 0..200 {
            if let std::task::Poll::Ready(done) = futures_util::poll!(&mut done) {
                return done;
            }
            tokio::task::yield_now().await;
        }
        tokio::time::advance(STEP).await;
    }
}

async fn start(dir: &TempDir, network: &Network, worker: Worker) -> Running {
    let journal = network.journal(Journal::at(dir.path()), BlockingPool::of_this_runtime());
    let platform = Arc::new(MemoryPlatform::new(Duration::from_secs(20)));
    Running::start_with(platform, worker, 1, journal.await)
}

/// The heartbeat of this worker, which stops with the test's runtime.
fn heartbeat(running: &Running) {
    let liveness = Arc::new(Liveness::new(Duration::from_mins(1)));
    tokio::spawn(liveness.clone().keep_fresh(Duration::from_secs(5)));
    let (platform, active_jobs) = (running.platform.clone(), running.active_jobs.clone());
    tokio::spawn(async move {
        let (stop, events) = (CancellationToken::new(), Events::default());
        beat(&*platform, &active_jobs, &liveness, PATIENCE, &stop, &events).await;
    });
}

fn heartbeats(running: &Running) -> usize {
    let exchanges = running.platform.exchanges();
    exchanges
        .iter()
        .filter(|exchange| matches!(exchange, Exchange::Heartbeat { .. }))
        .count()
}

#[test]
fn a_disk_that_hangs_costs_the_jobs_that_begin_ten_seconds_once_and_later_ones_nothing() {
    let dir = TempDir::new().unwrap();
    life(async {
        let network = Network::default();
        let running = start(&dir, &network, echo(&dir, &Arc::default()).concurrency(2)).await;
        heartbeat(&running);
        running.platform.submit("before", json!(0));
        running.platform.result("before").await;
        running
            .active_jobs
            .until(crate::runtime::ActiveJobs::is_empty)
            .await;
        until_files(&dir, "started", 0).await;

        network.go();
        let gone = Instant::now();
        for job in ["one", "two"] {
            running.platform.submit(job, json!(1));
        }
        for job in ["one", "two"] {
            passing(running.platform.result(job)).await;
        }
        let waited = gone.elapsed();
        assert!((PATIENCE..PATIENCE + SLACK).contains(&waited), "{waited:?}");

        let threads = network.waiting();
        let later = Instant::now();
        for job in 0..100 {
            running.platform.submit(&format!("later-{job}"), json!(2));
        }
        for job in 0..100 {
            passing(running.platform.result(&format!("later-{job}"))).await;
        }
        assert!(later.elapsed() < SLACK, "{:?} for 100 jobs", later.elapsed());

        let (beats, polls) = (heartbeats(&running), takes(&running.platform.exchanges()).len());
        passing(tokio::time::sleep(Duration::from_mins(5))).await;
        let beats = heartbeats(&running) - beats;
        let polls = takes(&running.platform.exchanges()).len() - polls;
        assert!((29..=31).contains(&beats), "{beats} heartbeats in five minutes");
        assert!(polls >= 14, "{polls} polls of 20 s in five minutes");
        assert_eq!(network.waiting(), threads, "nothing more is asked of the disk");

        network.come_back();
        // The clock stands still until the calls have returned.
        tokio::time::sleep(STEP).await;
        refuse_results(&running, &Fault::Refuse(503));
        running.platform.submit("after", json!(3));
        until_files(&dir, "results", 1).await;
        running.platform.with_faults(|_| None);
        running.platform.result("after").await;
        // The marks of jobs that ended meanwhile go as well.
        until_files(&dir, "started", 0).await;
        assert_eq!(running.drained().await, Ended::Drained);
    });
    assert!(files(&dir, "results").is_empty());
}

#[test]
fn a_result_whose_write_hangs_is_delivered_at_once_and_the_worker_ends_in_time() {
    let dir = TempDir::new().unwrap();
    life(async {
        let network = Arc::new(Network::default());
        let line = network.clone();
        // The network goes while the handler runs.
        let worker: Worker = Worker::new(move |n: u32| {
            line.go();
            async move { Ok::<_, JobError>(n) }
        });
        let running = start(&dir, &network, worker).await;
        running.platform.submit("j", json!(7));
        let began = Instant::now();
        assert_eq!(running.platform.result("j").await, r#"{"output": 7}"#);
        assert_eq!(began.elapsed(), Duration::ZERO);
        let ending = Instant::now();
        assert_eq!(passing(running.drained()).await, Ended::Drained);
        let took = ending.elapsed();
        assert!(took < Duration::from_secs(5) + SLACK, "{took:?}");
        network.come_back();
    });
}

#[test]
fn a_result_that_cannot_be_delivered_does_not_wait_for_a_disk_that_hangs() {
    let dir = TempDir::new().unwrap();
    life(async {
        let network = Network::default();
        let worker = echo(&dir, &Arc::default()).delivery_window(Duration::from_secs(5));
        let running = start(&dir, &network, worker).await;
        network.go();
        refuse_results(&running, &Fault::Refuse(503));
        running.platform.submit("j", json!(1));
        passing(running.active_jobs.until(|jobs| jobs.len() == 1)).await;
        let began = Instant::now();
        passing(running.active_jobs.until(crate::runtime::ActiveJobs::is_empty)).await;
        let took = began.elapsed();
        assert!(
            took < PATIENCE + Duration::from_secs(5) + SLACK,
            "10 s before it ran and 5 s to deliver it, and no more: {took:?}"
        );
        network.come_back();
    });
}

#[test]
fn a_result_whose_disk_hung_is_kept_if_the_disk_is_back_before_the_delivery_is_given_up() {
    let dir = TempDir::new().unwrap();
    life(async {
        let network = Network::default();
        let ran = Arc::default();
        let worker = echo(&dir, &ran).delivery_window(Duration::from_mins(5));
        let running = start(&dir, &network, worker).await;
        network.go();
        refuse_results(&running, &Fault::Refuse(503));
        running.platform.submit("j", json!("kept"));
        passing(async {
            while ran.load(Ordering::SeqCst) == 0 {
                tokio::time::sleep(STEP).await;
            }
        })
        .await;
        passing(tokio::time::sleep(SLACK)).await;
        network.come_back();
        running
            .active_jobs
            .until(crate::runtime::ActiveJobs::is_empty)
            .await;
        assert_eq!(files(&dir, "results").len(), 1);
        running.platform.with_faults(|_| None);
        assert_eq!(running.platform.result("j").await, r#"{"output": "kept"}"#);
    });
}

#[test]
fn a_job_that_waits_for_a_disk_that_hangs_can_be_stopped() {
    let dir = TempDir::new().unwrap();
    life(async {
        let network = Network::default();
        let ran = Arc::default();
        let running = start(&dir, &network, echo(&dir, &ran)).await;
        network.go();
        running.platform.submit("j", json!(1));
        passing(running.active_jobs.until(|jobs| jobs.len() == 1)).await;
        let began = Instant::now();
        running.platform.stop("j");
        passing(running.active_jobs.until(crate::runtime::ActiveJobs::is_empty)).await;
        assert!(began.elapsed() < SLACK, "{:?}", began.elapsed());
        assert_eq!(ran.load(Ordering::SeqCst), 0);
        network.come_back();
    });
}

#[test]
fn a_journal_that_could_not_be_opened_at_the_start_is_opened_once_its_disk_answers() {
    let dir = TempDir::new().unwrap();
    life(async {
        let network = Network::default();
        network.go();
        let began = Instant::now();
        let running = passing(start(&dir, &network, echo(&dir, &Arc::default()))).await;
        let waited = began.elapsed();
        assert!((PATIENCE..PATIENCE + SLACK).contains(&waited), "{waited:?}");
        refuse_results(&running, &Fault::Refuse(503));
        running.platform.submit("unkept", json!(1));
        passing(running.active_jobs.until(|jobs| jobs.len() == 1)).await;
        assert!(!dir.path().join("v1").exists());

        network.come_back();
        while !folder(&dir, "results").exists() {
            tokio::time::sleep(STEP).await;
        }
        running.platform.submit("kept", json!(2));
        until_files(&dir, "results", 1).await;
    });
}

/// The threads of the journal are not those of the runtime, which would wait for them.
#[test]
fn the_end_of_a_runtime_does_not_wait_for_a_disk_that_hangs() {
    let dir = TempDir::new().unwrap();
    let network = Network::default();
    network.go();
    let (ended, end) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let journal: JournalHandle = life(async {
                let pool = BlockingPool::new().unwrap();
                network.journal(Journal::at(dir.path()), pool).await
            });
            drop(journal);
            ended.send(()).unwrap();
        });
        let in_time = end.recv_timeout(Duration::from_mins(1));
        // Or else the scope would not end.
        network.come_back();
        in_time.expect("the runtime ends while the call to the disk is out");
    });
}
