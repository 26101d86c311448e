//! A worker's process: its start, the signals to it, its end.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use runpod_child::{ChildBuilder, GroupLeader, ProcessGroup, VisibleGpus};
use tokio::process::{ChildStderr, ChildStdout};
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
    group: ProcessGroup,
    leader: Option<GroupLeader>,
    signals: mpsc::UnboundedSender<Signal>,
    inbox: Option<mpsc::UnboundedReceiver<Signal>>,
}

/// Starts the plan's command with the platform's environment.
pub(super) fn spawn(
    plan: &WorkerPlan,
    platform: Vec<(String, String)>,
    gpus: Option<&VisibleGpus>,
) -> io::Result<Child> {
    let mut builder = ChildBuilder::new(std::env::current_exe()?, &environment::inherited(&plan.env));
    builder
        .arguments([worker_process::NAME, "--"])
        .arguments(&plan.command)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let set = environment::set(&plan.env).map(|(name, value)| (name.to_owned(), value.to_owned()));
    for (name, value) in set.chain(platform) {
        builder.variable(name, value);
    }
    if let Some(gpus) = gpus {
        builder.gpus(gpus);
    }
    let leader = builder.spawn()?;
    let (signals, inbox) = mpsc::unbounded_channel();
    Ok(Child {
        group: leader.group(),
        leader: Some(leader),
        signals,
        inbox: Some(inbox),
    })
}

impl Child {
    /// Its process id, which is that of its group, too.
    pub(super) fn id(&self) -> i32 {
        self.group.id()
    }

    pub(super) fn signal(&self, signal: Signal) {
        // Without a receiver it has ended.
        let _ = self.signals.send(signal);
    }

    /// Keeps what it writes in the record, and calls `then` once it has ended and all it wrote is there.
    pub(super) fn watch(
        &mut self,
        worker: &str,
        record: &Arc<Record>,
        then: impl FnOnce(Option<ExitStatus>) + Send + 'static,
    ) {
        let (Some(mut leader), Some(inbox)) = (self.leader.take(), self.inbox.take()) else {
            return;
        };
        let streams = TaskTracker::new();
        let keeper = || (worker.to_owned(), Arc::clone(record));
        if let Some(stream) = leader.stdout().and_then(|pipe| ChildStdout::from_std(pipe).ok()) {
            let (worker, record) = keeper();
            streams.spawn(output::keep(stream, worker, record));
        }
        if let Some(stream) = leader.stderr().and_then(|pipe| ChildStderr::from_std(pipe).ok()) {
            let (worker, record) = keeper();
            streams.spawn(output::keep(stream, worker, record));
        }
        streams.close();
        tokio::spawn(async move {
            let status = supervise(leader, inbox).await;
            let _ = tokio::time::timeout(LAST_WORDS, streams.wait()).await;
            then(status);
        });
    }
}

/// Owns the process, so that a signal is sent only while its id is certainly its own.
async fn supervise(leader: GroupLeader, mut inbox: mpsc::UnboundedReceiver<Signal>) -> Option<ExitStatus> {
    let group = leader.group();
    let mut ended = tokio::task::spawn_blocking(move || {
        leader.wait_for_end();
        leader
    });
    loop {
        let signal = tokio::select! {
            // What it has started and left behind, and would go on with its GPU, ends with it.
            leader = &mut ended => return leader.ok()?.reap().ok(),
            signal = inbox.recv() => signal.unwrap_or(Signal::Kill),
        };
        send(group, signal);
    }
}

fn send(group: ProcessGroup, signal: Signal) {
    use rustix::process::{Pid, Signal as System, kill_process_group};

    let other = |signal| {
        let id = Pid::from_raw(group.id());
        id.map_or(Ok(()), |id| kill_process_group(id, signal))
            .map_err(io::Error::from)
    };
    // It fails only for a group that has just ended.
    let _ = match signal {
        Signal::Terminate => group.terminate(),
        Signal::Kill => group.kill(),
        Signal::Stop => other(System::STOP),
        Signal::Continue => other(System::CONT),
    };
}
