//! What has happened since the start: jobs with their histories, workers with their lines, violations, seconds.
//!
//! The platform forgets a job after its retention; the record keeps it for the console. Every change raises the record's
//! version, and a reader asks for what changed since the version it has seen.

mod job;
mod jobs;
mod ledger;
mod log_line;
mod recent;
mod workers;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use runpod_local::{ActiveFault, EndpointSnapshot, JobChange, Observed};
use runpod_protocol::sync::Mutex;
use runpod_protocol::{JobId, JobStatus};
use serde::Serialize;
use tokio::sync::watch;

pub(crate) use self::job::{Item, JobRecord, What};
pub(crate) use self::workers::{WorkerLine, WorkerState};

use self::job::{Summary, milliseconds};
use self::jobs::{Jobs, Version};
use self::ledger::{Ledger, Seconds};
use self::log_line::{LogLine, Points};
use self::recent::Recent;
use self::workers::{WorkerView, Workers};

/// A line without a job's name that comes this soon after the end of its worker's job belongs to that job: a line and a
/// result travel on different ways.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// Most violations and webhooks shown.
const MOST_NOTES: usize = 200;

#[derive(Debug)]
pub(crate) struct Record {
    endpoint: String,
    /// Zero of the platform's clock, as good as this program knows it.
    epoch: SystemTime,
    inner: Mutex<Inner>,
    changed: watch::Sender<Version>,
}

#[derive(Debug, Default)]
struct Inner {
    version: Version,
    jobs: Jobs,
    workers: Workers,
    workers_changed: Version,
    violations: VecDeque<ViolationView>,
    violations_changed: Version,
    faults: Vec<FaultView>,
    faults_changed: Version,
    webhooks: Recent<ReceivedWebhook>,
    ledger: Ledger,
    /// The job that each worker ended last, and when.
    ended: HashMap<String, (JobId, Duration)>,
}

#[derive(Clone, Debug, Serialize)]
struct ViolationView {
    at: u64,
    kind: String,
    worker: String,
    job: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct FaultView {
    id: u64,
    fault: String,
    struck: u32,
    spent: bool,
}

/// A webhook that came to the console's own inbox: when, in milliseconds of the platform's clock, and its JSON.
pub(crate) type ReceivedWebhook = (u64, Arc<str>);

/// What changed between two versions.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Delta {
    pub(crate) version: Version,
    /// The reader is to forget what it has seen before.
    reset: bool,
    /// The platform's clock.
    now: u64,
    jobs: Vec<Summary>,
    dropped: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    workers: Option<Vec<WorkerView>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    violations: Option<VecDeque<ViolationView>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    faults: Option<Vec<FaultView>>,
    /// How many webhooks have come to the inbox.
    webhooks: usize,
    seconds: Seconds,
}

impl Record {
    pub(crate) fn new(endpoint: &str) -> Self {
        Self {
            endpoint: endpoint.to_owned(),
            epoch: SystemTime::now(),
            inner: Mutex::default(),
            changed: watch::Sender::new(0),
        }
    }

    /// The endpoint it is about.
    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    pub(crate) fn epoch(&self) -> SystemTime {
        self.epoch
    }

    /// Notified of every change.
    pub(crate) fn changes(&self) -> watch::Receiver<Version> {
        self.changed.subscribe()
    }

    /// What writes the record, for [`observe`](runpod_local::LocalPlatformBuilder::observe).
    pub(crate) fn observer(self: &Arc<Self>) -> impl Fn(&str, Observed) + Send + Sync + 'static {
        let record = Arc::clone(self);
        move |_, observed| record.observed(observed)
    }

    fn now(&self) -> Duration {
        self.epoch.elapsed().unwrap_or_default()
    }

    /// Makes a change with the version it will have.
    fn change(&self, change: impl FnOnce(&mut Inner, Version)) {
        let version = {
            let mut inner = self.inner.lock();
            inner.version += 1;
            let version = inner.version;
            change(&mut inner, version);
            version
        };
        self.changed.send_modify(|last| *last = version.max(*last));
    }

    fn observed(&self, observed: Observed) {
        self.change(|inner, version| match observed {
            Observed::Job { at, job, change } => inner.job(version, at, &job, change),
            Observed::WorkerAsked { at, worker } => inner.ledger.asked(at, &worker),
            Observed::Violation(violation) => {
                let kind = violation.kind.to_string();
                if let Some(job) = &violation.job {
                    let job = JobId::from(job.as_str());
                    inner
                        .jobs
                        .add(version, violation.at, &job, What::Violation(kind.clone()));
                }
                let view = ViolationView {
                    at: milliseconds(violation.at),
                    kind,
                    worker: violation.worker,
                    job: violation.job,
                };
                inner.violations.truncate(MOST_NOTES - 1);
                inner.violations.push_front(view);
                inner.violations_changed = version;
            }
            // The fleet looks at the platform's workers when the record changes.
            _ => {}
        });
    }

    /// A worker's process was started.
    pub(crate) fn worker_started(&self, id: &str, pid: i32, gpu: Option<String>) {
        let now = self.now();
        self.change(|inner, version| {
            inner.workers.started(now, id, pid, gpu);
            inner.workers_changed = version;
            inner.ledger.started(now, id);
        });
    }

    /// A worker's process is in another state; `exit` says how it ended, if it did.
    pub(crate) fn worker_state(&self, id: &str, state: WorkerState, exit: Option<String>) {
        let now = self.now();
        self.change(|inner, version| {
            if exit.is_some() {
                inner.ledger.ended(now, id);
            }
            inner.workers.state(now, id, state, exit);
            inner.workers_changed = version;
        });
    }

    /// What the platform knows of the workers.
    pub(crate) fn workers_are(&self, snapshot: &EndpointSnapshot, now: Duration) {
        let news = self.inner.lock().workers.are(snapshot, now);
        if news {
            self.change(|inner, version| inner.workers_changed = version);
        }
    }

    /// The faults in force.
    pub(crate) fn faults_are(&self, faults: &[ActiveFault]) {
        let view = |active: &ActiveFault| FaultView {
            id: active.id,
            fault: active.fault.to_string(),
            struck: active.struck,
            spent: active.is_spent(),
        };
        let views: Vec<_> = faults.iter().map(view).collect();
        if self.inner.lock().faults != views {
            self.change(|inner, version| {
                inner.faults = views;
                inner.faults_changed = version;
            });
        }
    }

    /// A worker wrote a line. It belongs to the job it names, or to the only one that the worker has.
    pub(crate) fn worker_line(&self, worker: &str, line: &str) {
        let (now, line) = (self.now(), LogLine::read(line));
        self.change(|inner, version| {
            let job = line
                .job
                .map(JobId::from)
                .or_else(|| inner.only_job_of(worker, now));
            let name = job.as_ref().map(JobId::as_str);
            inner.workers.line(now, worker, &line.level, &line.message, name);
            if let Some(job) = &job {
                if let Some(points) = Points::read(&line.message) {
                    let at = points.since(self.epoch);
                    inner.jobs.add(version, at, job, What::Points(points.points));
                } else {
                    let what = What::Log {
                        worker: worker.to_owned(),
                        level: line.level,
                        message: line.message,
                    };
                    inner.jobs.add(version, now, job, what);
                }
            }
        });
    }

    /// A webhook came to the inbox. `json` is one JSON value.
    pub(crate) fn webhook(&self, json: Arc<str>) {
        let webhook = (milliseconds(self.now()), json);
        self.change(|inner, _| inner.webhooks.push(webhook, MOST_NOTES));
    }

    /// The webhooks from number `from` on, and the number of the next one.
    pub(crate) fn webhooks(&self, from: usize) -> (Vec<ReceivedWebhook>, usize) {
        self.inner.lock().webhooks.since(from)
    }

    /// How long the job that has waited longest has waited.
    pub(crate) fn oldest_wait(&self, now: Duration) -> Option<Duration> {
        let inner = self.inner.lock();
        let waiting = inner.jobs.live().filter(|job| job.status == JobStatus::InQueue);
        waiting.map(|job| now.saturating_sub(job.submitted)).max()
    }

    /// What changed after `version`; with `None`, everything.
    pub(crate) fn since(&self, version: Option<Version>) -> Delta {
        let now = self.now();
        let mut inner = self.inner.lock();
        let dropped = version.and_then(|version| inner.jobs.dropped_since(version));
        let known = dropped.is_some();
        let from = version.filter(|_| known).unwrap_or(0);
        let dropped = dropped.into_iter().flatten().map(ToString::to_string).collect();
        let seconds = inner.ledger.seconds(now);
        Delta {
            version: inner.version,
            reset: !known,
            now: milliseconds(now),
            jobs: inner.jobs.changed_since(from).map(JobRecord::summary).collect(),
            dropped,
            workers: (inner.workers_changed > from || !known)
                .then(|| inner.workers.views().cloned().collect()),
            violations: (inner.violations_changed > from || !known).then(|| inner.violations.clone()),
            faults: (inner.faults_changed > from || !known).then(|| inner.faults.clone()),
            webhooks: inner.webhooks.since(usize::MAX).1,
            seconds,
        }
    }

    /// A job's history from entry `from` on; `None` for an unknown job.
    pub(crate) fn items(&self, job: &str, from: usize) -> Option<Vec<Item>> {
        let inner = self.inner.lock();
        let job = inner.jobs.get(job)?;
        Some(job.items.get(from..).unwrap_or_default().to_vec())
    }

    /// A worker's lines from number `from` on, and the number of the next one.
    pub(crate) fn lines(&self, worker: &str, from: usize) -> (Vec<WorkerLine>, usize) {
        self.inner.lock().workers.lines(worker, from)
    }
}

impl Inner {
    fn job(&mut self, version: Version, at: Duration, job: &JobId, change: JobChange) {
        let what = match change {
            JobChange::Submitted {
                input,
                webhook,
                policy,
            } => What::Submitted {
                input,
                webhook,
                policy,
            },
            JobChange::Taken { worker } => {
                self.ledger.took(at, &worker, job);
                What::Taken {
                    worker: worker.to_string(),
                }
            }
            JobChange::TakenAgain { worker } => {
                if self
                    .jobs
                    .get(job.as_str())
                    .is_some_and(|job| !job.status.is_final())
                {
                    self.ledger.took(at, &worker, job);
                }
                What::TakenAgain {
                    worker: worker.to_string(),
                }
            }
            JobChange::Returned => {
                self.ledger.job_lost(at, job);
                What::Returned
            }
            JobChange::Progress { output } => What::Progress(output.unwrap_or_else(|| "null".into())),
            JobChange::Chunk { output } => What::Chunk(output),
            JobChange::WorkerLost => {
                self.ledger.job_lost(at, job);
                What::WorkerLost
            }
            JobChange::Retried => What::Retried,
            JobChange::Ended {
                status,
                output,
                error,
            } => {
                let winner = self
                    .jobs
                    .get(job.as_str())
                    .and_then(JobRecord::worker)
                    .map(str::to_owned);
                self.ledger.job_ended(at, job, &status, winner.as_deref());
                if let Some(worker) = winner {
                    self.ended.insert(worker, (JobId::clone(job), at));
                }
                What::Ended {
                    status,
                    output,
                    error,
                }
            }
            // What the platform forgets stays in the record.
            _ => return,
        };
        self.jobs.add(version, at, job, what);
    }

    /// The job that a line of this worker is about, if it names none: its only one, or the one that has just ended.
    fn only_job_of(&self, worker: &str, now: Duration) -> Option<JobId> {
        let mut held = self.jobs.live().filter(|job| job.runs_on(worker));
        match (held.next(), held.next()) {
            (Some(only), None) => Some(JobId::clone(&only.id)),
            (Some(_), Some(_)) => None,
            (None, _) => {
                let (job, at) = self.ended.get(worker)?;
                (now.saturating_sub(*at) < LAST_WORDS).then(|| JobId::clone(job))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(record: &Record, job: &str, change: JobChange) {
        let (at, job) = (record.now(), JobId::from(job));
        record.observed(Observed::Job { at, job, change });
    }

    fn take(record: &Record, id: &str) {
        let (input, webhook, policy) = ("1".into(), None, None);
        job(
            record,
            id,
            JobChange::Submitted {
                input,
                webhook,
                policy,
            },
        );
        job(record, id, JobChange::Taken { worker: "w".into() });
    }

    fn lines(record: &Record, job: &str) -> Vec<String> {
        let items = record.items(job, 0).unwrap().into_iter();
        let line = |item: Item| match item.what {
            What::Log { message, .. } => Some(message),
            _ => None,
        };
        items.filter_map(line).collect()
    }

    #[test]
    fn a_line_belongs_to_the_job_it_names_or_to_the_only_one_of_its_worker() {
        let record = Record::new("ep");
        record.worker_line("w", "before any job");
        take(&record, "a");
        record.worker_line("w", "while one runs");
        take(&record, "b");
        record.worker_line("w", "while two run");
        record.worker_line("w", r#"{"requestId": "b", "message": "named", "level": "INFO"}"#);
        let ended = || JobChange::Ended {
            status: JobStatus::Completed,
            output: None,
            error: None,
        };
        job(&record, "a", ended());
        job(&record, "b", ended());
        record.worker_line("w", "late");
        assert_eq!(lines(&record, "a"), ["while one runs"]);
        assert_eq!(lines(&record, "b"), ["named", "late"]);
        assert_eq!(record.lines("w", 0).1, 5);
    }
}
