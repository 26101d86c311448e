//! The workers of the record: state, restarts, last lines.

use std::collections::BTreeMap;
use std::time::Duration;

use runpod_local::EndpointSnapshot;
use serde::Serialize;

use super::job::milliseconds;
use super::recent::Recent;

/// Lines kept of each worker.
const MOST_LINES: usize = 5000;

/// What a worker's process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum WorkerState {
    /// It runs; whether it has asked for jobs is seen elsewhere.
    Running,
    /// SIGSTOP was sent to it.
    Frozen,
    /// It is to end.
    Stopping,
    /// It ended, and will be started again after a pause.
    Waiting,
    /// It ended, and is not needed.
    Stopped,
    /// It was not started by this command.
    External,
}

/// One worker, as the console shows it. Times are milliseconds of the platform's clock.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct WorkerView {
    id: String,
    state: WorkerState,
    since: u64,
    pid: Option<i32>,
    gpu: Option<String>,
    starts: u32,
    last_exit: Option<String>,
    ready: bool,
    held: Vec<String>,
    last_ping: Option<u64>,
    version: Option<String>,
    unhealthy: Option<String>,
}

/// A line a worker wrote.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct WorkerLine {
    at: u64,
    #[serde(skip_serializing_if = "String::is_empty")]
    level: String,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    job: Option<String>,
}

#[derive(Debug, Default)]
pub(super) struct Workers {
    views: BTreeMap<String, WorkerView>,
    lines: BTreeMap<String, Recent<WorkerLine>>,
}

impl Workers {
    pub(super) fn views(&self) -> impl Iterator<Item = &WorkerView> {
        self.views.values()
    }

    fn view(&mut self, now: Duration, id: &str) -> &mut WorkerView {
        self.views.entry(id.to_owned()).or_insert_with(|| WorkerView {
            id: id.to_owned(),
            state: WorkerState::External,
            since: milliseconds(now),
            pid: None,
            gpu: None,
            starts: 0,
            last_exit: None,
            ready: false,
            held: Vec::new(),
            last_ping: None,
            version: None,
            unhealthy: None,
        })
    }

    pub(super) fn started(&mut self, now: Duration, id: &str, pid: i32, gpu: Option<String>) {
        let view = self.view(now, id);
        *view = WorkerView {
            state: WorkerState::Running,
            since: milliseconds(now),
            pid: Some(pid),
            gpu,
            starts: view.starts + 1,
            last_exit: view.last_exit.take(),
            id: id.to_owned(),
            ready: false,
            held: Vec::new(),
            last_ping: None,
            version: None,
            unhealthy: None,
        };
    }

    pub(super) fn state(&mut self, now: Duration, id: &str, state: WorkerState, exit: Option<String>) {
        let view = self.view(now, id);
        (view.state, view.since) = (state, milliseconds(now));
        if let Some(exit) = exit {
            (view.last_exit, view.pid, view.ready) = (Some(exit), None, false);
        }
    }

    /// Takes in what the platform knows. Returns whether anything is new.
    pub(super) fn are(&mut self, snapshot: &EndpointSnapshot, now: Duration) -> bool {
        let before = self.views.clone();
        for worker in &snapshot.workers {
            let view = self.view(now, &worker.id);
            view.ready = worker.asked_at.is_some();
            view.held.clone_from(&worker.held);
            view.last_ping = worker.last_ping.map(milliseconds);
            view.version.clone_from(&worker.version);
            view.unhealthy.clone_from(&worker.unhealthy);
        }
        self.views.retain(|id, view| {
            let known = snapshot.workers.iter().any(|worker| worker.id == *id);
            if !known {
                view.held.clear();
            }
            known || view.state != WorkerState::External
        });
        !same(&before, &self.views)
    }

    pub(super) fn line(&mut self, now: Duration, id: &str, level: &str, message: &str, job: Option<&str>) {
        let line = WorkerLine {
            at: milliseconds(now),
            level: level.to_owned(),
            message: message.to_owned(),
            job: job.map(str::to_owned),
        };
        self.lines
            .entry(id.to_owned())
            .or_default()
            .push(line, MOST_LINES);
    }

    /// A worker's lines from number `from` on, and the number of the next one.
    pub(super) fn lines(&self, id: &str, from: usize) -> (Vec<WorkerLine>, usize) {
        self.lines
            .get(id)
            .map_or_else(|| (Vec::new(), from), |lines| lines.since(from))
    }
}

fn same(before: &BTreeMap<String, WorkerView>, after: &BTreeMap<String, WorkerView>) -> bool {
    let essence = |view: &WorkerView| {
        let WorkerView {
            state,
            ready,
            held,
            last_ping,
            version,
            unhealthy,
            ..
        } = view.clone();
        (state, ready, held, last_ping, version, unhealthy)
    };
    before.len() == after.len()
        && before
            .iter()
            .zip(after)
            .all(|((a, before), (b, after))| a == b && essence(before) == essence(after))
}
