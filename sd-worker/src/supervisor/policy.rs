//! Decides the steps that recover an ill WebUI. It is pure: the supervisor takes the steps.
//!
//! ```text
//!  out of memory ──▶ reload the checkpoint ──▶ canary ──▶ healthy
//!  stalled, stuck ─▶ free the GPU ───────────▶ canary        ▲
//!  silent ─────────▶ wait for it ────────────▶ canary        │
//!  jobs keep failing ───────────────────────▶ canary        │
//!  GPU failed, dead, canary failed, step failed ─▶ restart ──┴─▶ canary
//!  no restart left, or none possible ────────────▶ down: the worker asks to be replaced
//! ```
//!
//! Each step has a limit within a window, so recovery always ends. A reload that works leads to no restart, however
//! often it is needed: pictures that are too large for the card are a user's mistake, and the canary shows that the card
//! is well.

use std::time::{Duration, Instant};

use super::rate_limit::RateLimit;
use crate::backoff::doubling;

/// The wait before the second restart in a row; the first has none, and later ones wait 2 s, 4 s … 32 s. A WebUI that
/// cannot be restarted is tried again after 1 s, 2 s … 32 s.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const MOST_DOUBLINGS: u32 = 5;
/// The most reloads in one window. Each takes seconds, and more of them change nothing.
const RELOADS: u32 = 3;

/// A fault of the WebUI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Symptom {
    /// The GPU ran out of memory.
    OutOfMemory,
    /// A CUDA error after which the process is useless: an illegal memory access, a failed assertion.
    GpuFailed,
    /// A render made no step for too long, and stopped after an interrupt.
    Stalled,
    /// A render does not stop.
    Stuck,
    /// The process has ended.
    Died,
    /// No connection, for longer than a request may be tried again.
    Silent,
    /// The process holds more memory than it may.
    Overgrown,
    /// Several jobs in a row failed, and none of them says why.
    Failing,
}

/// A step of a recovery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RecoveryStep {
    /// Unload the checkpoint and load it again.
    Reload,
    /// Interrupt until nothing renders.
    Free,
    /// Wait until the API answers.
    Await,
    /// Render a small picture.
    Canary,
    /// End the WebUI, wait, and bring it up again.
    Restart { after: Duration },
    /// Wait this long for its owner to repair it.
    Wait { after: Duration },
}

/// The outcome of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StepOutcome {
    Worked,
    Failed,
}

/// The state of a recovery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RecoveryState {
    Healthy,
    /// This step is being taken because of this symptom.
    Healing {
        symptom: Symptom,
        step: RecoveryStep,
    },
    /// Given up.
    Down {
        symptom: Symptom,
    },
}

/// How often the WebUI may be restarted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RestartLimits {
    /// The most restarts in one window.
    pub(crate) most: u32,
    pub(crate) window: Duration,
}

/// The decisions of one WebUI's recoveries.
#[derive(Debug)]
pub(crate) struct RecoveryPolicy {
    state: RecoveryState,
    can_restart: bool,
    /// How long a WebUI that cannot be restarted may stay ill.
    patience: Duration,
    /// When the WebUI was last reported as ill.
    ill_since: Instant,
    /// The number of waits since then, and their sum.
    waits: u32,
    waited: Duration,
    reloads: RateLimit,
    restarts: RateLimit,
    /// Restarts because of memory. They are no failures, so they have a limit of their own.
    recycles: RateLimit,
}

impl RecoveryPolicy {
    pub(crate) fn new(can_restart: bool, patience: Duration, restarts: RestartLimits) -> Self {
        let RestartLimits { most, window } = restarts;
        Self {
            state: RecoveryState::Healthy,
            can_restart,
            patience,
            ill_since: Instant::now(),
            waits: 0,
            waited: Duration::ZERO,
            reloads: RateLimit::new(RELOADS, window),
            restarts: RateLimit::new(most, window),
            recycles: RateLimit::new(most.max(1), window),
        }
    }

    /// Reports a symptom. A report during a recovery changes nothing: the canary will show that fault.
    pub(crate) fn report(&mut self, symptom: Symptom, now: Instant) -> RecoveryState {
        if self.state == RecoveryState::Healthy {
            self.ill_since = now;
            self.waits = 0;
            self.waited = Duration::ZERO;
            self.state = match symptom {
                Symptom::OutOfMemory => {
                    let step = match self.reloads.take(now) {
                        Some(_) => RecoveryStep::Reload,
                        None => RecoveryStep::Canary,
                    };
                    RecoveryState::Healing { symptom, step }
                }
                Symptom::Stalled | Symptom::Stuck => RecoveryState::Healing {
                    symptom,
                    step: RecoveryStep::Free,
                },
                Symptom::Silent => RecoveryState::Healing {
                    symptom,
                    step: RecoveryStep::Await,
                },
                Symptom::Overgrown => match self.recycles.take(now) {
                    Some(_) => RecoveryState::Healing {
                        symptom,
                        step: RecoveryStep::Restart {
                            after: Duration::ZERO,
                        },
                    },
                    // It grows faster than restarts help, and still renders.
                    None => RecoveryState::Healthy,
                },
                // The jobs may be at fault.
                Symptom::Failing => RecoveryState::Healing {
                    symptom,
                    step: RecoveryStep::Canary,
                },
                // A WebUI that cannot be restarted may still render.
                Symptom::GpuFailed if !self.can_restart => RecoveryState::Healing {
                    symptom,
                    step: RecoveryStep::Canary,
                },
                Symptom::GpuFailed | Symptom::Died => self.restart(symptom, now),
            };
        }
        self.state
    }

    /// Records the outcome of the current step.
    pub(crate) fn done(&mut self, outcome: StepOutcome, now: Instant) -> RecoveryState {
        if let RecoveryState::Healing { symptom, step } = self.state {
            self.state = match (step, outcome) {
                (RecoveryStep::Canary, StepOutcome::Worked) => RecoveryState::Healthy,
                (_, StepOutcome::Worked) => RecoveryState::Healing {
                    symptom,
                    step: RecoveryStep::Canary,
                },
                // The render cannot be ended. The WebUI itself makes the next one wait.
                (RecoveryStep::Free, StepOutcome::Failed) if !self.can_restart => RecoveryState::Healthy,
                (_, StepOutcome::Failed) => self.restart(symptom, now),
            };
        }
        self.state
    }

    fn restart(&mut self, symptom: Symptom, now: Instant) -> RecoveryState {
        if !self.can_restart {
            return self.wait(symptom, now);
        }
        match self.restarts.take(now) {
            Some(number) => RecoveryState::Healing {
                symptom,
                step: RecoveryStep::Restart {
                    after: wait_before(number),
                },
            },
            None => RecoveryState::Down { symptom },
        }
    }

    /// Waits before the next canary, as long as patience lasts.
    fn wait(&mut self, symptom: Symptom, now: Instant) -> RecoveryState {
        let after = doubling(FIRST_WAIT, self.waits, MOST_DOUBLINGS);
        let ill_for = now.duration_since(self.ill_since).max(self.waited);
        if ill_for + after > self.patience {
            return RecoveryState::Down { symptom };
        }
        self.waits += 1;
        self.waited += after;
        RecoveryState::Healing {
            symptom,
            step: RecoveryStep::Wait { after },
        }
    }
}

/// The wait before a restart, by its number in the window.
fn wait_before(restart: u32) -> Duration {
    match restart {
        0 | 1 => Duration::ZERO,
        more => doubling(FIRST_WAIT, more - 2, MOST_DOUBLINGS),
    }
}

impl Symptom {
    /// Why no job is taken, in words.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::OutOfMemory => "the GPU ran out of memory",
            Self::GpuFailed => "the GPU failed",
            Self::Stalled => "a render made no progress",
            Self::Stuck => "a render does not stop",
            Self::Died => "the WebUI has died",
            Self::Silent => "the WebUI accepts no connection",
            Self::Overgrown => "the WebUI uses too much memory",
            Self::Failing => "several jobs in a row failed",
        }
    }
}

impl RecoveryStep {
    /// The step in words, for the log.
    pub(super) fn describe(self) -> &'static str {
        match self {
            Self::Reload => "reloading the checkpoint",
            Self::Free => "stopping the render",
            Self::Await => "waiting for it",
            Self::Canary => "rendering a small picture",
            Self::Restart { .. } => "restarting it",
            Self::Wait { .. } => "waiting for its owner to mend it",
        }
    }
}

#[cfg(test)]
mod tests;
