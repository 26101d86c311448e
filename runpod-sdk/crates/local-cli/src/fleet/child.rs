//! A worker's process: its start, the signals to it, its end.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, kill_process_group};
use tokio::process::Command;
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

use super::{WorkerPlan, environment, output, worker_process};
use crate::record::Record;

/// How long the output is read on after the end: a process that was left behind may hold the streams open.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// What is sent to a process group.
#[derive(Clone, Copy, Debug)]
pub(super) enum Signal {
    Terminate,
    Kill,
    Stop,
    Continue,
}

/// A process with a group of its own. The group is killed when this is dropped.
#[derive(Debug)]
pub(super) struct Child {
    id: Option<u32>,
    process: Option<tokio::process::Child>,
    signals: mpsc::UnboundedSender<Signal>,
    inbox: Option<mpsc::UnboundedReceiver<Signal>>,
}

/// Starts the plan's command with the platform's environment.
pub(super) fn spawn(
    plan: &WorkerPlan,
    platform: Vec<(String, String)>,
    gpu: Option<&str>,
) -> io::Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command
        .arg(worker_process::NAME)
        .arg("--")
        .args(&plan.command)
        .env_clear()
        .envs(environment::of_workers(&plan.env))
        .envs(platform)
        .envs(gpu.map(|gpu| ("CUDA_VISIBLE_DEVICES", gpu)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    let process = command.spawn()?;
    let (signals, inbox) = mpsc::unbounded_channel();
    Ok(Child {
        id: process.id(),
        process: Some(process),
        signals,
        inbox: Some(inbox),
    })
}

impl Child {
    /// Its process id, which is that of its group, too.
    pub(super) fn id(&self) -> Option<u32> {
        self.id
    }

    pub(super) fn signal(&self, signal: Signal) {
        // Without a receiver it has ended.
        let _ = self.signals.send(signal);
    }

    /// Keeps what it writes in the record, and calls `then` once it has ended and all it wrote is there.
    pub(super) fn watch(
        &mut self,
        worker: &str,
        record: Arc<Record>,
        then: impl FnOnce(Option<ExitStatus>) + Send + 'static,
    ) {
        let (Some(mut process), Some(inbox)) = (self.process.take(), self.inbox.take()) else {
            return;
        };
        let streams = TaskTracker::new();
        if let Some(stream) = process.stdout.take() {
            streams.spawn(output::keep(stream, worker.to_owned(), Arc::clone(&record)));
        }
        if let Some(stream) = process.stderr.take() {
            streams.spawn(output::keep(stream, worker.to_owned(), record));
        }
        streams.close();
        let group = self.id.and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        tokio::spawn(async move {
            let status = supervise(&mut process, group, inbox).await;
            let _ = tokio::time::timeout(LAST_WORDS, streams.wait()).await;
            then(status);
        });
    }
}

/// Owns the process, so that a signal is sent only while its id is certainly its own.
async fn supervise(
    process: &mut tokio::process::Child,
    group: Option<Pid>,
    mut inbox: mpsc::UnboundedReceiver<Signal>,
) -> Option<ExitStatus> {
    loop {
        let signal = tokio::select! {
            status = process.wait() => {
                // What it has started and left behind would go on with its GPU.
                send(group, Signal::Kill);
                return status.ok();
            }
            signal = inbox.recv() => signal.unwrap_or(Signal::Kill),
        };
        send(group, signal);
    }
}

fn send(group: Option<Pid>, signal: Signal) {
    use rustix::process::Signal as System;

    let signal = match signal {
        Signal::Terminate => System::TERM,
        Signal::Kill => System::KILL,
        Signal::Stop => System::STOP,
        Signal::Continue => System::CONT,
    };
    if let Some(group) = group {
        // It fails only for a group that has just ended.
        let _ = kill_process_group(group, signal);
    }
}
