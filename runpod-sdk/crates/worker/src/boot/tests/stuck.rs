//! A worker whose control loop is blocked, as a process of its own.

use std::env;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::super::{deployed, logging};
use super::Platform;
use crate::boot::flags::Flags;
use crate::events::StartTimer;
use crate::job::JobError;
use crate::runtime::Shutdown;
use crate::telemetry;
use crate::worker::Worker;

/// The time that the handler blocks the loop, if nothing ends the process before.
const BLOCKED: Duration = Duration::from_mins(1);
/// The variables of the platform that the process is given.
const PREFIX: &str = "STUCK_";

#[test]
#[ignore = "the process of the tests below"]
fn a_worker_that_gets_stuck() {
    if env::var_os("STUCK_RUNPOD_POD_ID").is_none() {
        return;
    }
    let lookup = |name: &str| env::var(format!("{PREFIX}{name}")).ok();
    telemetry::start_writing(lookup).unwrap();
    logging::set_up(&Flags::default(), lookup).unwrap();
    let mut worker = Worker::new(|_: u32| async {
        let (_never, waits) = channel::<()>();
        tracing::info!("the handler blocks");
        let _ = waits.recv_timeout(BLOCKED);
        Ok::<_, JobError>(1)
    });
    worker = worker.on_one_thread().refresh_worker(true);
    let stuck_after = env::var("STUCK_AFTER_MS").unwrap().parse().unwrap();
    worker.settings_mut().limits.stuck_after = Duration::from_millis(stuck_after);
    let _ = deployed::run(worker, lookup, StartTimer::now(), Shutdown::default());
}

/// Runs the worker with this limit until it logs `words`, sends it this number of signals, and returns its exit code and the rest
/// of its log.
async fn stop_when_it_says(words: &str, stuck_after: Duration, signals: &[Signal]) -> (Option<i32>, String) {
    let platform = Platform::start().await.with("RUNPOD_PING_INTERVAL", "250");
    let environment = platform.environment.iter();
    let mut process = Command::new(env::current_exe().unwrap())
        .args(["--exact", "boot::tests::stuck::a_worker_that_gets_stuck"])
        .args(["--ignored", "--nocapture"])
        .envs(environment.map(|(name, value)| (format!("{PREFIX}{name}"), value)))
        .env("STUCK_AFTER_MS", stuck_after.as_millis().to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (words, signals) = (words.to_owned(), signals.to_vec());
    let watching = move || {
        let id = Pid::from_child(&process);
        let mut lines = BufReader::new(process.stdout.take().unwrap())
            .lines()
            .map_while(Result::ok);
        assert!(lines.any(|line| line.contains(&words)), "it never says {words}");
        for signal in signals {
            kill_process(id, signal).unwrap();
            let heard = lines.find(|line| line.contains("received"));
            assert!(heard.is_some(), "it does not hear the signal");
        }
        let rest: Vec<String> = lines.collect();
        (process.wait().unwrap().code(), rest.join("\n"))
    };
    tokio::task::spawn_blocking(watching).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stuck_control_loop_ends_the_heartbeat_and_a_signal_ends_the_process() {
    let (code, log) = stop_when_it_says(
        "control loop is stuck; no more heartbeats",
        Duration::from_millis(500),
        &[Signal::TERM],
    )
    .await;
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("does not react to the signal"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_does_not_wait_for_a_stuck_control_loop() {
    let (code, log) = stop_when_it_says(
        "the handler blocks",
        Duration::from_mins(10),
        &[Signal::TERM, Signal::INT],
    )
    .await;
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("does not react to the signal"), "{log}");
}
