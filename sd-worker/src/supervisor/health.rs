//! Whether the WebUI is fit for work, and getting it back there when it is not.
//!
//! Jobs report symptoms; from that moment no job is taken, and none that was taken begins to render. The
//! [medic](medic) climbs the [ladder] until the WebUI is well again, or gives it up: then the worker
//! finishes what it has and asks the platform to be replaced.

mod budget;
mod ladder;
mod medic;
mod stall;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use runpod_sdk::settings::Intake;
use runpod_sdk::{ErrorClass, IntoJobError, JobError};
use tokio::sync::{mpsc, watch};
use tracing::{info, warn};

use crate::code::{Code, Explain as _};
use crate::failure::Failure;
use crate::process::{LogTail, Process};
use crate::webui::WebUiError;

pub(crate) use ladder::Symptom;
pub(crate) use medic::Medic;
pub(crate) use stall::{Position, Stall};

/// The health of the WebUI, as jobs see it. Cheap to clone; clones are the same one.
#[derive(Debug, Clone)]
pub(crate) struct Health {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    condition: watch::Sender<Condition>,
    reports: Mutex<mpsc::UnboundedSender<Symptom>>,
    intake: Intake,
    tail: Option<LogTail>,
    /// Counts processes: what was learnt about one does not hold for the next.
    generation: AtomicU64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Condition {
    Well,
    Ill,
    GivenUp(Symptom),
}

impl Health {
    fn new(intake: Intake, process: Option<&Process>) -> (Self, mpsc::UnboundedReceiver<Symptom>) {
        let (reports, reported) = mpsc::unbounded_channel();
        let shared = Shared {
            condition: watch::Sender::new(Condition::Well),
            reports: Mutex::new(reports),
            intake,
            tail: process.map(|process| process.tail().clone()),
            generation: AtomicU64::new(1),
        };
        let health = Self {
            shared: Arc::new(shared),
        };
        (health, reported)
    }

    /// Something is wrong. Before this returns no job is taken any more. What is reported while the WebUI is
    /// being mended is known already.
    pub(crate) fn report(&self, symptom: Symptom) {
        if self.fall_ill(symptom) {
            let reports = self.shared.reports.lock().unwrap_or_else(PoisonError::into_inner);
            // Without a medic the worker is ending.
            let _ = reports.send(symptom);
        }
    }

    /// Reports what an error is a symptom of, if it is one. A user's mistake never is.
    pub(crate) fn diagnose(&self, error: &WebUiError) {
        let symptom = match error.code() {
            Code::OutOfMemory => Symptom::OutOfMemory,
            Code::GpuFailed => Symptom::GpuFailed,
            // Something that answers is there.
            Code::Unavailable if error.status().is_none() => Symptom::Silent,
            _ => return,
        };
        self.report(symptom);
    }

    /// Waits until the WebUI is well; says why if it will not be.
    pub(crate) async fn well(&self) -> Result<(), Symptom> {
        let mut condition = self.shared.condition.subscribe();
        let found = condition
            .wait_for(|condition| *condition != Condition::Ill)
            .await
            .map(|condition| *condition);
        match found {
            Ok(Condition::GivenUp(symptom)) => Err(symptom),
            // The sender lives in `self`, so the channel cannot be closed.
            _ => Ok(()),
        }
    }

    pub(crate) fn is_well(&self) -> bool {
        *self.shared.condition.borrow() == Condition::Well
    }

    /// Waits until something is wrong.
    pub(crate) async fn ill(&self) {
        let mut condition = self.shared.condition.subscribe();
        // The sender lives in `self`, so the channel cannot be closed.
        let _ = condition
            .wait_for(|condition| *condition != Condition::Well)
            .await;
    }

    /// Whether the WebUI is a process of ours, whose death is noticed at once.
    pub(crate) fn owns_process(&self) -> bool {
        self.shared.tail.is_some()
    }

    /// Which process of the WebUI this is, as far as is known.
    pub(crate) fn generation(&self) -> u64 {
        self.shared.generation.load(Ordering::Acquire)
    }

    /// The error as the caller is told it: with the last lines of the WebUI's log, if they are ours and have
    /// to do with it.
    pub(crate) fn explain(&self, failure: Failure) -> JobError {
        let of_the_webui = failure.is_of_the_webui();
        let error = failure.into_job_error();
        match &self.shared.tail {
            Some(tail) if of_the_webui && error.class() == ErrorClass::Backend => {
                error.with_log_tail(tail.lines())
            }
            _ => error,
        }
    }

    /// Whether this is news.
    fn fall_ill(&self, symptom: Symptom) -> bool {
        let news = self.shared.condition.send_if_modified(|condition| {
            let well = *condition == Condition::Well;
            if well {
                *condition = Condition::Ill;
            }
            well
        });
        if news {
            warn!("the WebUI needs care: {}", symptom.reason());
            self.shared.intake.pause(symptom.reason());
        }
        news
    }

    fn next_generation(&self) {
        self.shared.generation.fetch_add(1, Ordering::AcqRel);
    }

    fn recover(&self) {
        info!("the WebUI is well again");
        self.shared.condition.send_replace(Condition::Well);
        self.shared.intake.resume();
    }

    fn give_up(&self, symptom: Symptom) {
        // First: the results of jobs that learn of it have to ask for another worker.
        self.shared
            .intake
            .retire(format!("the WebUI could not be mended: {}", symptom.reason()));
        self.shared.condition.send_replace(Condition::GivenUp(symptom));
    }
}
