//! One place for a worker: the process that runs there, and when the next one may.

use std::process::ExitStatus;
use std::time::Duration;

use runpod_child::VisibleGpus;
use runpod_local::{EndpointSnapshot, JobsOf, LocalPlatform};
use runpod_protocol::backoff::Backoff;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::child::{Child, Signal};
use super::{Ended, WorkerPlan, child, jobs_of};
use crate::record::{Record, WorkerState};

/// The pauses before a worker that ended by itself is started again.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A worker that has lived for this long begins again with the first pause.
const HEALTHY_AFTER: Duration = Duration::from_mins(1);
/// How long a worker that is drained may work on its last job.
const DRAIN_LIMIT: Duration = Duration::from_mins(10);
/// How long a worker may take to leave the job that it is replaced in.
const LEAVE_LIMIT: Duration = Duration::from_secs(1);

/// Why a worker is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// It is not needed any more.
    Drain,
    /// It asked to be replaced.
    Replace,
    /// Its code has changed; its job can wait.
    ReplaceNow,
    /// The command ends.
    End,
    /// A fault: SIGKILL.
    Kill,
}

#[derive(Debug)]
enum Phase {
    /// Nothing runs. A `due` process is started when its pause is over; another one only when it is needed.
    Empty {
        not_before: Option<Instant>,
        due: bool,
    },
    Running(Box<Running>),
}

#[derive(Debug)]
struct Running {
    child: Child,
    since: Instant,
    stop: Option<Stop>,
    /// When it is killed, because it did not end in time.
    kill_at: Option<Instant>,
    idle_since: Option<Instant>,
    ready: bool,
    wants_to_be_replaced: bool,
}

/// A place for a worker.
#[derive(Debug)]
pub(super) struct Slot {
    number: usize,
    id: String,
    gpus: Option<VisibleGpus>,
    phase: Phase,
    backoff: Backoff,
    ended: mpsc::UnboundedSender<Ended>,
}

impl Slot {
    pub(super) fn new(number: usize, gpus: Option<VisibleGpus>, ended: mpsc::UnboundedSender<Ended>) -> Self {
        Self {
            number,
            id: format!("worker-{}", number + 1),
            gpus,
            phase: Phase::Empty {
                not_before: None,
                due: false,
            },
            backoff: Backoff::half_jitter(FIRST_PAUSE, LONGEST_PAUSE, fastrand::Rng::new()),
            ended,
        }
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Whether a process is there.
    pub(super) fn runs(&self) -> bool {
        matches!(self.phase, Phase::Running(_))
    }

    /// Whether it is one of the workers that are wanted: there and not leaving for good, or about to be started again.
    pub(super) fn counts(&self) -> bool {
        match &self.phase {
            Phase::Empty { due, .. } => *due,
            Phase::Running(running) => !matches!(running.stop, Some(Stop::Drain | Stop::End)),
        }
    }

    pub(super) fn is_ready(&self) -> bool {
        matches!(&self.phase, Phase::Running(running) if running.ready)
    }

    /// Whether its process is to be started again now.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        matches!(self.phase, Phase::Empty { due: true, .. }) && self.can_start(now)
    }

    pub(super) fn can_start(&self, now: Instant) -> bool {
        match self.phase {
            Phase::Empty { not_before, .. } => not_before.is_none_or(|at| at <= now),
            Phase::Running(_) => false,
        }
    }

    /// For how long the worker has been ready and without a job.
    pub(super) fn is_idle_for(&self, now: Instant) -> Duration {
        match &self.phase {
            Phase::Running(running) if running.stop.is_none() => {
                running.idle_since.map_or(Duration::ZERO, |since| now - since)
            }
            _ => Duration::ZERO,
        }
    }

    pub(super) fn wants_to_be_replaced(&self) -> bool {
        matches!(&self.phase, Phase::Running(running)
            if running.wants_to_be_replaced && running.stop.is_none() && running.idle_since.is_some())
    }

    /// When something is due here.
    pub(super) fn next_look(&self, now: Instant, idle_timeout: Duration) -> Option<Instant> {
        let at = match &self.phase {
            Phase::Empty { not_before, due } => not_before.filter(|_| *due),
            Phase::Running(running) => match (running.kill_at, running.idle_since) {
                (Some(at), _) => Some(at),
                (None, since) => since.map(|since| since + idle_timeout),
            },
        };
        at.filter(|at| *at > now)
    }

    /// Takes in what the platform knows about the worker, and kills it if its time to end is over.
    pub(super) fn notice(&mut self, snapshot: &EndpointSnapshot, now: Instant) {
        let Phase::Running(running) = &mut self.phase else {
            return;
        };
        if running.kill_at.is_some_and(|at| at <= now) {
            running.kill_at = None;
            running.child.signal(Signal::Kill);
        }
        let seen = snapshot.workers.iter().find(|worker| worker.id == self.id);
        running.ready |= seen.is_some_and(|worker| worker.asked_at.is_some());
        running.wants_to_be_replaced |= seen.is_some_and(|worker| worker.asked_to_be_replaced);
        let idle = running.ready && seen.is_some_and(|worker| worker.held.is_empty());
        running.idle_since = idle.then(|| running.idle_since.unwrap_or(now));
    }

    pub(super) fn start(
        &mut self,
        plan: &WorkerPlan,
        platform: &LocalPlatform,
        record: &std::sync::Arc<Record>,
    ) {
        let environment = platform.worker_env(record.endpoint(), &self.id);
        let spawned = child::spawn(plan, environment, self.gpus.as_ref());
        let mut child = match spawned {
            Ok(child) => child,
            Err(problem) => {
                let pause = self.backoff.next_wait();
                record.worker_line(
                    &self.id,
                    &format!("cannot start {}: {problem}", plan.command[0].display()),
                );
                record.worker_state(&self.id, WorkerState::Waiting, None);
                self.phase = Phase::Empty {
                    not_before: Some(Instant::now() + pause),
                    due: true,
                };
                return;
            }
        };
        let gpus = self.gpus.as_ref().map(VisibleGpus::value);
        record.worker_started(&self.id, child.id(), gpus);
        let (ended, slot) = (self.ended.clone(), self.number);
        child.watch(&self.id, record, move |status| {
            // Without a receiver the command is at its end.
            let _ = ended.send(Ended { slot, status });
        });
        self.phase = Phase::Running(Box::new(Running {
            child,
            since: Instant::now(),
            stop: None,
            kill_at: None,
            idle_since: None,
            ready: false,
            wants_to_be_replaced: false,
        }));
    }

    /// Begins the end of the process. A second call is the second SIGTERM, which tells a worker to leave its job.
    pub(super) fn stop(&mut self, stop: Stop, record: &Record) {
        match &mut self.phase {
            Phase::Empty { not_before, due } => match stop {
                Stop::Drain | Stop::End => {
                    if std::mem::take(due) {
                        record.worker_state(&self.id, WorkerState::Stopped, None);
                    }
                }
                // What made it fail may have been mended.
                Stop::ReplaceNow => *not_before = None,
                Stop::Replace | Stop::Kill => {}
            },
            Phase::Running(running) => {
                let now = Instant::now();
                running.stop = Some(stop);
                running.child.signal(match stop {
                    Stop::Kill => Signal::Kill,
                    _ => Signal::Terminate,
                });
                // A frozen process hears nothing.
                running.child.signal(Signal::Continue);
                match stop {
                    Stop::Drain | Stop::Replace => running.kill_at = Some(now + DRAIN_LIMIT),
                    Stop::ReplaceNow => running.kill_at = Some(now + LEAVE_LIMIT),
                    Stop::End | Stop::Kill => {}
                }
                record.worker_state(&self.id, WorkerState::Stopping, None);
            }
        }
    }

    pub(super) fn freeze(&mut self, on: bool, record: &Record) {
        if let Phase::Running(running) = &mut self.phase {
            running
                .child
                .signal(if on { Signal::Stop } else { Signal::Continue });
            let state = if on {
                WorkerState::Frozen
            } else {
                WorkerState::Running
            };
            record.worker_state(&self.id, state, None);
        }
    }

    /// The process has ended. Says what that costs its jobs.
    pub(super) fn has_ended(&mut self, status: Option<ExitStatus>, record: &Record) -> JobsOf {
        let Phase::Running(running) = &self.phase else {
            return JobsOf::Lost;
        };
        let (stop, lived) = (running.stop, running.since.elapsed());
        let (pause, due) = match stop {
            Some(Stop::Drain | Stop::End) => (None, false),
            Some(Stop::Replace | Stop::ReplaceNow) => (None, true),
            Some(Stop::Kill) | None if running.wants_to_be_replaced => (None, true),
            Some(Stop::Kill) | None => {
                if lived >= HEALTHY_AFTER {
                    self.backoff.reset();
                }
                (Some(Instant::now() + self.backoff.next_wait()), true)
            }
        };
        let how = status.map_or_else(|| "lost".to_owned(), |status| status.to_string());
        let state = if due {
            WorkerState::Waiting
        } else {
            WorkerState::Stopped
        };
        record.worker_state(&self.id, state, Some(how));
        self.phase = Phase::Empty {
            not_before: pause,
            due,
        };
        jobs_of(matches!(stop, Some(Stop::Replace | Stop::ReplaceNow)))
    }
}
