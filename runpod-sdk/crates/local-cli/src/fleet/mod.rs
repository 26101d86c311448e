//! The worker processes: how many there are, and what becomes of each.

mod change;
mod child;
mod environment;
mod gpus;
mod output;
mod scale;
mod slot;
pub mod worker_process;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use runpod_local::{EndpointSnapshot, Fault, JobsOf, LocalPlatform};
use tokio::sync::mpsc;
use tokio::time::Instant;

pub(crate) use self::environment::EnvRule;
pub(crate) use self::gpus::Gpus;
pub(crate) use self::scale::ScaleBy;

use self::change::Changes;
use self::scale::{Load, Scale};
use self::slot::{Slot, Stop};
use crate::record::Record;
use crate::stop_signals::StopSignals;

/// How long the end of all workers may take after the first signal, and after the second SIGTERM.
const GRACE: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(3)];
/// Changes that come within this time are looked at together.
const TOGETHER: Duration = Duration::from_millis(20);

/// What is started, how often, and when.
#[derive(Clone, Debug)]
pub(crate) struct WorkerPlan {
    /// Program and arguments; empty where workers are started by hand.
    pub(crate) command: Vec<OsString>,
    pub(crate) min: usize,
    pub(crate) max: usize,
    pub(crate) scale_by: ScaleBy,
    pub(crate) idle_timeout: Duration,
    /// What is watched for changes; an empty path stands for the command's own files.
    pub(crate) watched: Vec<PathBuf>,
    pub(crate) gpus: Option<Gpus>,
    pub(crate) env: Vec<EnvRule>,
}

/// What a person asks of the workers.
#[derive(Debug)]
pub(crate) enum Order {
    /// SIGKILL to a worker's process group.
    Kill(String),
    /// SIGSTOP.
    Freeze(String),
    /// SIGCONT.
    Thaw(String),
    /// Lets a fault happen from now on.
    Inject(Fault),
    /// Ends the fault of this id.
    RemoveFault(u64),
    /// Drains a worker: it finishes its job and is not started again until it is needed.
    ScaleDown(String),
}

/// A worker's process has ended.
#[derive(Debug)]
struct Ended {
    slot: usize,
    status: Option<ExitStatus>,
}

/// The workers of one endpoint.
#[derive(Debug)]
pub(crate) struct Fleet {
    plan: WorkerPlan,
    scale: Scale,
    platform: Arc<LocalPlatform>,
    record: Arc<Record>,
    inbox: mpsc::Receiver<Order>,
    slots: Vec<Slot>,
    changes: Changes,
    ended: mpsc::UnboundedReceiver<Ended>,
}

impl Fleet {
    pub(crate) fn new(
        plan: WorkerPlan,
        platform: Arc<LocalPlatform>,
        record: Arc<Record>,
        inbox: mpsc::Receiver<Order>,
    ) -> anyhow::Result<Self> {
        let (tell, ended) = mpsc::unbounded_channel();
        let count = if plan.command.is_empty() { 0 } else { plan.max };
        let shares = plan.gpus.as_ref().map(|gpus| gpus.shares(count)).transpose()?;
        let share = |number: usize| shares.as_ref().map(|shares| shares[number].clone());
        let slots = (0..count)
            .map(|number| Slot::new(number, share(number), tell.clone()))
            .collect();
        let changes = Changes::watch(&plan.watched, &plan.command)?;
        Ok(Self {
            scale: Scale::new(plan.scale_by, plan.min, plan.max),
            plan,
            platform,
            record,
            inbox,
            slots,
            changes,
            ended,
        })
    }

    /// Keeps the workers as they should be until a signal comes, then ends them.
    pub(crate) async fn run(mut self, signals: &mut StopSignals) {
        let mut changed = self.record.changes();
        loop {
            let next = self.look();
            tokio::select! {
                () = signals.next() => break,
                Some(ended) = self.ended.recv() => self.has_ended(&ended),
                Some(order) = self.inbox.recv() => self.obey(&order),
                () = self.changes.next() => self.replace_all(),
                // The record lives as long as the fleet.
                _ = changed.changed() => tokio::time::sleep(TOGETHER).await,
                () = sleep_until(next) => {}
            }
        }
        self.stop(signals).await;
    }

    /// Compares what is with what should be, and begins what is missing. Returns when to look again at the latest.
    fn look(&mut self) -> Option<Instant> {
        let snapshot = self.platform.snapshot(self.record.endpoint())?;
        let now = Instant::now();
        self.record.workers_are(&snapshot, self.platform.now());
        self.record
            .faults_are(&self.platform.faults(self.record.endpoint()));
        if self.slots.is_empty() {
            return None;
        }
        for slot in &mut self.slots {
            slot.notice(&snapshot, now);
        }
        let load = self.load(&snapshot);
        let wanted = self.scale.wanted(&load);
        self.start_missing(wanted, now);
        self.drain_idle(wanted, now);
        let oldest = self.record.oldest_wait(self.platform.now());
        let scaling = oldest
            .and_then(|waited| self.scale.next_look(waited))
            .map(|span| now + span);
        let slots = self
            .slots
            .iter()
            .filter_map(|slot| slot.next_look(now, self.plan.idle_timeout));
        slots.chain(scaling).min()
    }

    fn load(&self, snapshot: &EndpointSnapshot) -> Load {
        Load {
            queued: snapshot.in_queue,
            running: snapshot.in_progress,
            oldest_wait: self.record.oldest_wait(self.platform.now()).unwrap_or_default(),
            workers: self.slots.iter().filter(|slot| slot.counts()).count(),
            starting: self
                .slots
                .iter()
                .filter(|slot| slot.counts() && !slot.is_ready())
                .count(),
        }
    }

    fn start_missing(&mut self, wanted: usize, now: Instant) {
        let mut present = self.slots.iter().filter(|slot| slot.counts()).count();
        for slot in &mut self.slots {
            if slot.is_due(now) || (present < wanted && slot.can_start(now)) {
                present += usize::from(!slot.counts());
                slot.start(&self.plan, &self.platform, &self.record);
            }
        }
    }

    fn drain_idle(&mut self, wanted: usize, now: Instant) {
        let mut present = self.slots.iter().filter(|slot| slot.counts()).count();
        // The latest is drained first, so that the numbers in use stay small.
        for slot in self.slots.iter_mut().rev() {
            if present > wanted && slot.is_idle_for(now) >= self.plan.idle_timeout {
                slot.stop(Stop::Drain, &self.record);
                present -= 1;
            } else if slot.wants_to_be_replaced() {
                slot.stop(Stop::Replace, &self.record);
            }
        }
    }

    fn has_ended(&mut self, ended: &Ended) {
        if let Some(slot) = self.slots.get_mut(ended.slot) {
            let jobs = slot.has_ended(ended.status, &self.record);
            self.platform
                .worker_ended(self.record.endpoint(), slot.id(), jobs);
        }
    }

    fn obey(&mut self, order: &Order) {
        let record = Arc::clone(&self.record);
        match order {
            Order::Kill(id) => self.with_slot(id, |slot| slot.stop(Stop::Kill, &record)),
            Order::ScaleDown(id) => self.with_slot(id, |slot| slot.stop(Stop::Drain, &record)),
            Order::Freeze(id) => self.with_slot(id, |slot| slot.freeze(true, &record)),
            Order::Thaw(id) => self.with_slot(id, |slot| slot.freeze(false, &record)),
            Order::Inject(fault) => {
                self.platform.inject(self.record.endpoint(), fault.clone());
            }
            Order::RemoveFault(id) => {
                self.platform.remove_fault(self.record.endpoint(), *id);
            }
        }
    }

    /// Does something with the worker of this id, if there is one.
    fn with_slot(&mut self, id: &str, action: impl FnOnce(&mut Slot)) {
        if let Some(slot) = self.slots.iter_mut().find(|slot| slot.id() == id) {
            action(slot);
        }
    }

    /// New code: every worker is replaced at once, whatever it does.
    fn replace_all(&mut self) {
        tracing::info!("the worker's files have changed; starting it again");
        for slot in &mut self.slots {
            slot.stop(Stop::ReplaceNow, &self.record);
        }
    }

    /// Ends every worker: SIGTERM, SIGTERM again, SIGKILL, with a limit for each. A further signal hurries.
    async fn stop(mut self, signals: &mut StopSignals) {
        for grace in GRACE {
            for slot in &mut self.slots {
                slot.stop(Stop::End, &self.record);
            }
            if self.all_ended(grace, signals).await {
                return;
            }
        }
        for slot in &mut self.slots {
            slot.stop(Stop::Kill, &self.record);
        }
        self.all_ended(Duration::from_secs(1), signals).await;
    }

    async fn all_ended(&mut self, grace: Duration, signals: &mut StopSignals) -> bool {
        let limit = tokio::time::sleep(grace);
        tokio::pin!(limit);
        while self.slots.iter().any(Slot::runs) {
            tokio::select! {
                () = &mut limit => return false,
                () = signals.next() => return false,
                Some(ended) = self.ended.recv() => self.has_ended(&ended),
            }
        }
        true
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// What a worker's end costs its jobs.
fn jobs_of(on_purpose: bool) -> JobsOf {
    if on_purpose {
        JobsOf::Replaced
    } else {
        JobsOf::Lost
    }
}
