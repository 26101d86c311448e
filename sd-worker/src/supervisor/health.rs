//! The health of the WebUI, as jobs see it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use runpod_sdk::ErrorClass;
use runpod_sdk::settings::Intake;
use tokio::sync::{mpsc, watch};
use tracing::{info, warn};

use super::policy::Symptom;
use super::process::{LogTail, Process};
use super::streak::FailureStreak;
use crate::code::{Code, Explain as _};
use crate::webui::WebUiError;

/// The health of the WebUI. Its clones share one state.
#[derive(Debug, Clone)]
pub(crate) struct Health {
    shared: Arc<HealthState>,
}

#[derive(Debug)]
struct HealthState {
    condition: watch::Sender<HealthCondition>,
    reports: Mutex<mpsc::UnboundedSender<Symptom>>,
    intake: Intake,
    tail: Option<LogTail>,
    streak: Mutex<FailureStreak>,
    /// The number of the WebUI's process. Facts about one process do not hold for the next.
    generation: AtomicU64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HealthCondition {
    Well,
    Ill,
    GivenUp(Symptom),
}

impl Health {
    pub(super) fn new(intake: Intake, process: Option<&Process>) -> (Self, mpsc::UnboundedReceiver<Symptom>) {
        let (reports, reported) = mpsc::unbounded_channel();
        let shared = HealthState {
            condition: watch::Sender::new(HealthCondition::Well),
            reports: Mutex::new(reports),
            intake,
            tail: process.map(|process| process.tail().clone()),
            streak: Mutex::default(),
            generation: AtomicU64::new(1),
        };
        let health = Self {
            shared: Arc::new(shared),
        };
        (health, reported)
    }

    /// Reports a fault. No job is taken any more when this returns. A report while the WebUI is being recovered
    /// changes nothing.
    pub(crate) fn report(&self, symptom: Symptom) {
        if self.fall_ill(symptom) {
            // Without a supervisor the worker is ending.
            let _ = self.shared.reports.lock().send(symptom);
        }
    }

    /// A render worked.
    pub(crate) fn render_worked(&self) {
        self.shared.streak.lock().worked();
    }

    /// Reports the symptom that a failed render shows, if it shows one. A user's mistake shows none. A failure that says
    /// nothing of the WebUI's health is a symptom if it comes a few times in a row.
    pub(crate) fn diagnose(&self, error: &WebUiError) {
        let symptom = match error.code() {
            Code::OutOfMemory => Symptom::OutOfMemory,
            Code::GpuFailed => Symptom::GpuFailed,
            // A server that answers is there.
            Code::Unavailable if error.status().is_none() => Symptom::Silent,
            code if code.class() == ErrorClass::Backend => {
                if !self.shared.streak.lock().failed() {
                    return;
                }
                Symptom::Failing
            }
            _ => return,
        };
        self.report(symptom);
    }

    /// Waits until the WebUI is well. Fails if it has been given up.
    pub(crate) async fn well(&self) -> Result<(), Symptom> {
        let mut condition = self.shared.condition.subscribe();
        let found = condition
            .wait_for(|condition| *condition != HealthCondition::Ill)
            .await
            .map(|condition| *condition);
        match found {
            Ok(HealthCondition::GivenUp(symptom)) => Err(symptom),
            // The sender lives in `self`, so the channel cannot be closed.
            _ => Ok(()),
        }
    }

    /// Whether the WebUI is well now.
    pub(crate) fn is_well(&self) -> bool {
        *self.shared.condition.borrow() == HealthCondition::Well
    }

    /// Waits until the WebUI is not well.
    pub(crate) async fn ill(&self) {
        let mut condition = self.shared.condition.subscribe();
        // The sender lives in `self`, so the channel cannot be closed.
        let _ = condition
            .wait_for(|condition| *condition != HealthCondition::Well)
            .await;
    }

    /// Whether the worker started the WebUI's process, so that its death is noticed at once.
    pub(crate) fn owns_process(&self) -> bool {
        self.shared.tail.is_some()
    }

    /// The number of the WebUI's process, as far as it is known.
    pub(crate) fn generation(&self) -> u64 {
        self.shared.generation.load(Ordering::Acquire)
    }

    /// The last lines of the WebUI's log, if the worker started it.
    pub(crate) fn log_tail(&self) -> Option<Vec<String>> {
        self.shared.tail.as_ref().map(LogTail::lines)
    }

    /// Marks the WebUI as ill. Returns whether it was well before.
    pub(super) fn fall_ill(&self, symptom: Symptom) -> bool {
        let was_well = self.shared.condition.send_if_modified(|condition| {
            let well = *condition == HealthCondition::Well;
            if well {
                *condition = HealthCondition::Ill;
            }
            well
        });
        if was_well {
            warn!("the WebUI needs care: {}", symptom.reason());
            self.shared.intake.pause(symptom.reason());
        }
        was_well
    }

    pub(super) fn next_generation(&self) {
        self.shared.generation.fetch_add(1, Ordering::AcqRel);
    }

    pub(super) fn recover(&self) {
        info!("the WebUI is well again");
        self.shared.condition.send_replace(HealthCondition::Well);
        self.shared.intake.resume();
    }

    pub(super) fn give_up(&self, symptom: Symptom) {
        // The intake comes first: the results of jobs that learn of it have to ask for another worker.
        self.shared
            .intake
            .retire(format!("the WebUI could not be mended: {}", symptom.reason()));
        self.shared
            .condition
            .send_replace(HealthCondition::GivenUp(symptom));
    }
}
