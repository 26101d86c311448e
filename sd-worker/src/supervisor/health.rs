//! The health of the WebUI, as jobs see it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use runpod_sdk::ErrorClass;
use runpod_sdk::settings::Intake;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout_at};
use tracing::{info, warn};

use super::policy::Symptom;
use super::process::{LogTail, Process};
use super::streak::FailureStreak;
use super::traceback::{LoggedException, last_exception};
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

/// How long an exception that was answered is looked for in the log.
const LOG_LAG: Duration = Duration::from_millis(500);
/// A log without a new line for this long has told the whole traceback.
const LOG_QUIET: Duration = Duration::from_millis(50);

async fn last_exception_since(tail: &LogTail, mark: u64) -> Option<LoggedException> {
    let mut news = tail.subscribe();
    let deadline = Instant::now() + LOG_LAG;
    loop {
        news.mark_unchanged();
        let found = last_exception(&tail.since(mark));
        let until = if found.is_some() {
            deadline.min(Instant::now() + LOG_QUIET)
        } else {
            deadline
        };
        if !matches!(timeout_at(until, news.changed()).await, Ok(Ok(()))) {
            return found;
        }
    }
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

    /// Reports the symptom that a failed batch of several jobs shows. Only what no smaller batch can be expected to mend is
    /// one: its jobs are rendered again in smaller batches, and each failure of a single job is diagnosed.
    pub(crate) fn diagnose_batch(&self, error: &WebUiError) {
        match error.code() {
            Code::GpuFailed => self.report(Symptom::GpuFailed),
            Code::Unavailable if error.status().is_none() => self.report(Symptom::Silent),
            _ => {}
        }
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

    /// A mark in the WebUI's log, for [`logged_exception`](Self::logged_exception).
    pub(crate) fn log_mark(&self) -> u64 {
        self.shared.tail.as_ref().map_or(0, LogTail::written)
    }

    /// The exception that the WebUI has logged since `mark`, if the worker started it. Waits a moment for it, because the
    /// log and the answer come by different ways.
    pub(crate) async fn logged_exception(&self, mark: u64) -> Option<LoggedException> {
        last_exception_since(self.shared.tail.as_ref()?, mark).await
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_exception_is_found_in_the_log_although_its_lines_come_after_the_answer() {
        let tail = LogTail::default();
        for old in ["Traceback (most recent call last):", "ValueError: of another job"] {
            tail.push(old.to_owned());
        }
        let mark = tail.written();
        let late = tail.clone();
        tokio::spawn(async move {
            for (pause, line) in [
                (100, "Traceback (most recent call last):"),
                (10, "KeyError: 'x'"),
                (
                    20,
                    "During handling of the above exception, another exception occurred:",
                ),
                (20, "RuntimeError: boom"),
                (60, "NameError: of the next one"),
            ] {
                tokio::time::sleep(Duration::from_millis(pause)).await;
                late.push(line.to_owned());
            }
        });
        let found = last_exception_since(&tail, mark).await.unwrap();
        assert_eq!((&*found.class, &*found.text), ("RuntimeError", "boom"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_log_without_an_exception_is_not_waited_for_long() {
        let tail = LogTail::default();
        tail.push("Traceback (most recent call last):".to_owned());
        tail.push("ValueError: of another job".to_owned());
        let began = Instant::now();
        assert_eq!(last_exception_since(&tail, tail.written()).await, None);
        assert_eq!(began.elapsed(), LOG_LAG);
    }
}
