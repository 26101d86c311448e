//! What is done about a sick WebUI, rung by rung. Pure: it decides, and somebody else acts.
//!
//! ```text
//!  out of memory ──▶ reload the checkpoint ──▶ canary ──▶ healthy
//!  stalled, stuck ─▶ free the GPU ───────────▶ canary        ▲
//!  silent ─────────▶ wait for it ────────────▶ canary        │
//!  GPU failed, dead, canary failed, rung failed ─▶ restart ──┴─▶ canary
//!  no restart left, or none possible ────────────▶ down: the worker asks to be replaced
//! ```
//!
//! Each rung has a limit within a window, so the ladder always comes to an end. A reload that has done its work is
//! no reason for a restart, however often it is needed: pictures that are too large for the card are a user's
//! mistake, and the canary shows that the card is well.

use std::time::{Duration, Instant};

use super::budget::Budget;

/// Waits before restarts that follow one another: none, then 1 s, 2 s, 4 s … 32 s. Where nothing can be restarted,
/// those between two looks at what somebody else may mend.
const SECOND_RESTART: Duration = Duration::from_secs(1);
const MOST_DOUBLINGS: u32 = 5;
/// Reloading takes seconds, and more than so many within the window change nothing.
const RELOADS: u32 = 3;

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Symptom {
    /// The GPU ran out of memory.
    OutOfMemory,
    /// A CUDA error that spoils the process: an illegal memory access, a failed assertion.
    GpuFailed,
    /// A render made no step for too long, and stopped when it was interrupted.
    Stalled,
    /// A render does not stop.
    Stuck,
    /// The process has ended.
    Died,
    /// No connection, for longer than a request may be tried again.
    Silent,
    /// The process holds more memory than it may.
    Overgrown,
}

/// The next thing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Take the checkpoint off the GPU and put it back.
    Reload,
    /// Interrupt until nothing renders.
    Free,
    /// Wait until the API answers.
    Await,
    /// Render a small picture.
    Canary,
    /// End the WebUI, wait, and bring it up again.
    Restart { after: Duration },
    /// Leave it alone for so long: whoever runs it may mend it.
    Wait { after: Duration },
}

/// How a step went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Worked,
    Failed,
}

/// Where the WebUI stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Healthy,
    /// Being mended: this step is being taken because of that symptom.
    Healing {
        symptom: Symptom,
        step: Step,
    },
    /// Given up.
    Down {
        symptom: Symptom,
    },
}

/// The way back to health.
#[derive(Debug)]
pub(crate) struct Ladder {
    state: State,
    can_restart: bool,
    /// How long something may stay ill that can't be restarted.
    patience: Duration,
    /// Since the last time that it was well: when it fell ill, and how often and long it was waited for.
    ill_since: Instant,
    waits: u32,
    waited: Duration,
    reloads: Budget,
    restarts: Budget,
    /// Restarts because of memory, which are no failures and have a budget of their own.
    recycles: Budget,
}

impl Ladder {
    pub(crate) fn new(can_restart: bool, patience: Duration, restarts: u32, window: Duration) -> Self {
        Self {
            state: State::Healthy,
            can_restart,
            patience,
            ill_since: Instant::now(),
            waits: 0,
            waited: Duration::ZERO,
            reloads: Budget::new(RELOADS, window),
            restarts: Budget::new(restarts, window),
            recycles: Budget::new(restarts.max(1), window),
        }
    }

    /// Something is wrong. What is found while another trouble is being mended changes nothing: the canary
    /// will show it.
    pub(crate) fn report(&mut self, symptom: Symptom, now: Instant) -> State {
        if self.state == State::Healthy {
            self.ill_since = now;
            self.waits = 0;
            self.waited = Duration::ZERO;
            self.state = match symptom {
                Symptom::OutOfMemory => {
                    let step = match self.reloads.take(now) {
                        Some(_) => Step::Reload,
                        None => Step::Canary,
                    };
                    State::Healing { symptom, step }
                }
                Symptom::Stalled | Symptom::Stuck => State::Healing {
                    symptom,
                    step: Step::Free,
                },
                Symptom::Silent => State::Healing {
                    symptom,
                    step: Step::Await,
                },
                Symptom::Overgrown => match self.recycles.take(now) {
                    Some(_) => State::Healing {
                        symptom,
                        step: Step::Restart {
                            after: Duration::ZERO,
                        },
                    },
                    // It grows faster than restarts can help. The picture still comes.
                    None => State::Healthy,
                },
                // Where nothing can be restarted, a small picture tells whether it still works.
                Symptom::GpuFailed if !self.can_restart => State::Healing {
                    symptom,
                    step: Step::Canary,
                },
                Symptom::GpuFailed | Symptom::Died => self.restart(symptom, now),
            };
        }
        self.state
    }

    /// The step at hand was taken.
    pub(crate) fn done(&mut self, outcome: Outcome, now: Instant) -> State {
        if let State::Healing { symptom, step } = self.state {
            self.state = match (step, outcome) {
                (Step::Canary, Outcome::Worked) => State::Healthy,
                (_, Outcome::Worked) => State::Healing {
                    symptom,
                    step: Step::Canary,
                },
                // Nobody can end it. The WebUI itself makes the next render wait for its turn.
                (Step::Free, Outcome::Failed) if !self.can_restart => State::Healthy,
                (_, Outcome::Failed) => self.restart(symptom, now),
            };
        }
        self.state
    }

    fn restart(&mut self, symptom: Symptom, now: Instant) -> State {
        if !self.can_restart {
            return self.wait(symptom, now);
        }
        match self.restarts.take(now) {
            Some(number) => State::Healing {
                symptom,
                step: Step::Restart {
                    after: wait_before(number),
                },
            },
            None => State::Down { symptom },
        }
    }

    /// Nothing can be done here but to look again later.
    fn wait(&mut self, symptom: Symptom, now: Instant) -> State {
        let after = doubled(self.waits);
        let ill_for = now.duration_since(self.ill_since).max(self.waited);
        if ill_for + after > self.patience {
            return State::Down { symptom };
        }
        self.waits += 1;
        self.waited += after;
        State::Healing {
            symptom,
            step: Step::Wait { after },
        }
    }
}

fn wait_before(restart: u32) -> Duration {
    match restart {
        0 | 1 => Duration::ZERO,
        more => doubled(more - 2),
    }
}

fn doubled(times: u32) -> Duration {
    SECOND_RESTART * 2_u32.pow(times.min(MOST_DOUBLINGS))
}

impl Symptom {
    /// Why no job is taken, for the log.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::OutOfMemory => "the GPU ran out of memory",
            Self::GpuFailed => "the GPU failed",
            Self::Stalled => "a render made no progress",
            Self::Stuck => "a render does not stop",
            Self::Died => "the WebUI has died",
            Self::Silent => "the WebUI accepts no connection",
            Self::Overgrown => "the WebUI uses too much memory",
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Outcome::{Failed, Worked};
    use super::*;

    const WINDOW: Duration = Duration::from_mins(10);
    const PATIENCE: Duration = Duration::from_mins(2);

    fn ladder(can_restart: bool, restarts: u32) -> Ladder {
        Ladder::new(can_restart, PATIENCE, restarts, WINDOW)
    }

    fn step(state: State) -> Step {
        match state {
            State::Healing { step, .. } => step,
            other => panic!("nothing to do: {other:?}"),
        }
    }

    #[test]
    fn out_of_memory_is_mended_by_a_reload_and_a_canary() {
        let (mut ladder, now) = (ladder(true, 3), Instant::now());
        assert_eq!(step(ladder.report(Symptom::OutOfMemory, now)), Step::Reload);
        assert_eq!(step(ladder.done(Worked, now)), Step::Canary);
        assert_eq!(ladder.done(Worked, now), State::Healthy);
    }

    #[test]
    fn pictures_that_are_too_large_never_cause_a_restart() {
        let (mut ladder, now) = (ladder(true, 3), Instant::now());
        let mut reloads = 0;
        for _ in 0..100 {
            let mut state = ladder.report(Symptom::OutOfMemory, now);
            while state != State::Healthy {
                assert!(!matches!(step(state), Step::Restart { .. }));
                reloads += u32::from(step(state) == Step::Reload);
                state = ladder.done(Worked, now);
            }
        }
        assert_eq!(reloads, RELOADS);
    }

    #[test]
    fn a_canary_that_fails_leads_to_restarts_at_growing_distances_and_then_to_the_end() {
        let (mut ladder, now) = (ladder(true, 3), Instant::now());
        ladder.report(Symptom::OutOfMemory, now);
        let mut waits = Vec::new();
        loop {
            match ladder.done(Failed, now) {
                State::Healing {
                    step: Step::Restart { after },
                    ..
                } => waits.push(after.as_secs()),
                end => {
                    assert_eq!(
                        end,
                        State::Down {
                            symptom: Symptom::OutOfMemory
                        }
                    );
                    break;
                }
            }
        }
        assert_eq!(waits, [0, 1, 2]);
        assert_eq!(ladder.done(Worked, now), ladder.state, "there is no way back");
    }

    #[test]
    fn a_broken_gpu_and_a_death_are_met_by_a_restart_at_once() {
        for symptom in [Symptom::GpuFailed, Symptom::Died] {
            let (mut ladder, now) = (ladder(true, 3), Instant::now());
            let after = Duration::ZERO;
            assert_eq!(step(ladder.report(symptom, now)), Step::Restart { after });
            assert_eq!(step(ladder.done(Worked, now)), Step::Canary);
        }
    }

    #[test]
    fn what_can_not_be_restarted_is_tried_at_growing_distances_before_it_is_given_up() {
        let (mut ladder, now) = (ladder(false, 3), Instant::now());
        assert_eq!(step(ladder.report(Symptom::GpuFailed, now)), Step::Canary);
        let mut waits = Vec::new();
        let end = loop {
            match ladder.done(Failed, now) {
                State::Healing {
                    step: Step::Wait { after },
                    ..
                } => waits.push(after.as_secs()),
                end => break end,
            }
            assert_eq!(step(ladder.done(Worked, now)), Step::Canary);
        };
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 32], "two minutes less the next wait");
        assert_eq!(
            end,
            State::Down {
                symptom: Symptom::GpuFailed
            }
        );
    }

    #[test]
    fn patience_begins_anew_with_every_illness_and_counts_what_the_canaries_take() {
        let (mut ladder, now) = (ladder(false, 3), Instant::now());
        for _ in 0..10 {
            ladder.report(Symptom::GpuFailed, now);
            assert_eq!(
                step(ladder.done(Failed, now)),
                Step::Wait {
                    after: SECOND_RESTART
                }
            );
            ladder.done(Worked, now);
            assert_eq!(ladder.done(Worked, now), State::Healthy);
        }
        ladder.report(Symptom::GpuFailed, now);
        assert!(matches!(ladder.done(Failed, now + PATIENCE), State::Down { .. }));
        let mut hasty = Ladder::new(false, Duration::ZERO, 3, WINDOW);
        hasty.report(Symptom::GpuFailed, now);
        assert!(matches!(hasty.done(Failed, now), State::Down { .. }));
    }

    #[test]
    fn a_render_that_nobody_can_end_is_no_illness() {
        let (mut ladder, now) = (ladder(false, 3), Instant::now());
        assert_eq!(step(ladder.report(Symptom::Stuck, now)), Step::Free);
        assert_eq!(ladder.done(Failed, now), State::Healthy);
    }

    #[test]
    fn recycling_is_limited_and_is_no_failure() {
        let (mut ladder, now) = (ladder(true, 1), Instant::now());
        assert!(matches!(
            step(ladder.report(Symptom::Overgrown, now)),
            Step::Restart { .. }
        ));
        ladder.done(Worked, now);
        ladder.done(Worked, now);
        assert_eq!(ladder.report(Symptom::Overgrown, now), State::Healthy);
        assert!(matches!(
            step(ladder.report(Symptom::Died, now)),
            Step::Restart { .. }
        ));
    }

    fn symptoms() -> impl Strategy<Value = Symptom> {
        prop::sample::select(vec![
            Symptom::OutOfMemory,
            Symptom::GpuFailed,
            Symptom::Stalled,
            Symptom::Stuck,
            Symptom::Died,
            Symptom::Silent,
            Symptom::Overgrown,
        ])
    }

    proptest! {
        /// Whatever happens, every illness ends, in health or in the end; restarts stay within their limits;
        /// and nothing is healthy without a canary, but for what could not be mended anyway.
        #[test]
        fn every_way_comes_to_an_end(
            can_restart: bool,
            limit in 0_u32..4,
            troubles in prop::collection::vec((symptoms(), 0_u64..900), 1..20),
            luck in prop::collection::vec(any::<bool>(), 300),
        ) {
            let mut ladder = ladder(can_restart, limit);
            let mut now = Instant::now();
            let mut luck = luck.into_iter();
            let (mut failures, mut recycles) = (Vec::new(), 0_usize);
            for (symptom, later) in troubles {
                now += Duration::from_secs(later);
                let mut state = ladder.report(symptom, now);
                let mut steps = 0;
                while let State::Healing { symptom: why, step } = state {
                    prop_assert_eq!(why, symptom);
                    steps += 1;
                    prop_assert!(steps < 4 + 2 * (limit + 8), "no end in sight");
                    if let Step::Restart { .. } = step {
                        if why == Symptom::Overgrown && steps == 1 {
                            recycles += 1;
                        } else {
                            prop_assert!(can_restart);
                            failures.push(now);
                        }
                    }
                    let outcome = if luck.next().unwrap_or(true) { Worked } else { Failed };
                    let next = ladder.done(outcome, now);
                    if next == State::Healthy {
                        prop_assert!(
                            (step == Step::Canary && outcome == Worked)
                                || (step == Step::Free && outcome == Failed && !can_restart)
                        );
                    }
                    state = next;
                }
                if matches!(state, State::Down { .. }) {
                    prop_assert_eq!(ladder.report(Symptom::Died, now), state);
                    break;
                }
            }
            for first in &failures {
                let inside = failures.iter().filter(|then| *then >= first && **then - *first < WINDOW);
                prop_assert!(inside.count() <= limit as usize);
            }
            prop_assert!(recycles <= 20);
        }
    }
}
