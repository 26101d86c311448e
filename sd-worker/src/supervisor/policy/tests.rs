//! Which steps follow which symptoms.

use proptest::prelude::*;

use super::StepOutcome::{Failed, Worked};
use super::*;

const WINDOW: Duration = Duration::from_mins(10);
const PATIENCE: Duration = Duration::from_mins(2);

fn limits(restarts: u32) -> RestartLimits {
    RestartLimits {
        most: restarts,
        window: WINDOW,
    }
}

fn policy(can_restart: bool, restarts: u32) -> RecoveryPolicy {
    RecoveryPolicy::new(can_restart, PATIENCE, limits(restarts))
}

fn step(state: RecoveryState) -> RecoveryStep {
    match state {
        RecoveryState::Healing { step, .. } => step,
        other => panic!("nothing to do: {other:?}"),
    }
}

#[test]
fn jobs_that_keep_failing_are_judged_by_a_small_picture() {
    let (mut policy, now) = (policy(true, 3), Instant::now());
    assert_eq!(step(policy.report(Symptom::Failing, now)), RecoveryStep::Canary);
    assert_eq!(policy.done(Worked, now), RecoveryState::Healthy);
    policy.report(Symptom::Failing, now);
    assert!(matches!(
        step(policy.done(Failed, now)),
        RecoveryStep::Restart { .. }
    ));
}

#[test]
fn out_of_memory_is_mended_by_a_reload_and_a_canary() {
    let (mut policy, now) = (policy(true, 3), Instant::now());
    assert_eq!(
        step(policy.report(Symptom::OutOfMemory, now)),
        RecoveryStep::Reload
    );
    assert_eq!(step(policy.done(Worked, now)), RecoveryStep::Canary);
    assert_eq!(policy.done(Worked, now), RecoveryState::Healthy);
}

#[test]
fn pictures_that_are_too_large_never_cause_a_restart() {
    let (mut policy, now) = (policy(true, 3), Instant::now());
    let mut reloads = 0;
    for _ in 0..100 {
        let mut state = policy.report(Symptom::OutOfMemory, now);
        while state != RecoveryState::Healthy {
            assert!(!matches!(step(state), RecoveryStep::Restart { .. }));
            reloads += u32::from(step(state) == RecoveryStep::Reload);
            state = policy.done(Worked, now);
        }
    }
    assert_eq!(reloads, RELOADS);
}

#[test]
fn a_canary_that_fails_leads_to_restarts_at_growing_distances_and_then_to_the_end() {
    let (mut policy, now) = (policy(true, 3), Instant::now());
    policy.report(Symptom::OutOfMemory, now);
    let mut waits = Vec::new();
    loop {
        match policy.done(Failed, now) {
            RecoveryState::Healing {
                step: RecoveryStep::Restart { after },
                ..
            } => waits.push(after.as_secs()),
            end => {
                assert_eq!(
                    end,
                    RecoveryState::Down {
                        symptom: Symptom::OutOfMemory
                    }
                );
                break;
            }
        }
    }
    assert_eq!(waits, [0, 1, 2]);
    assert_eq!(policy.done(Worked, now), policy.state, "there is no way back");
}

#[test]
fn a_broken_gpu_and_a_death_are_met_by_a_restart_at_once() {
    for symptom in [Symptom::GpuFailed, Symptom::Died] {
        let (mut policy, now) = (policy(true, 3), Instant::now());
        let after = Duration::ZERO;
        assert_eq!(step(policy.report(symptom, now)), RecoveryStep::Restart { after });
        assert_eq!(step(policy.done(Worked, now)), RecoveryStep::Canary);
    }
}

#[test]
fn what_can_not_be_restarted_is_tried_at_growing_distances_before_it_is_given_up() {
    let (mut policy, now) = (policy(false, 3), Instant::now());
    assert_eq!(step(policy.report(Symptom::GpuFailed, now)), RecoveryStep::Canary);
    let mut waits = Vec::new();
    let end = loop {
        match policy.done(Failed, now) {
            RecoveryState::Healing {
                step: RecoveryStep::Wait { after },
                ..
            } => waits.push(after.as_secs()),
            end => break end,
        }
        assert_eq!(step(policy.done(Worked, now)), RecoveryStep::Canary);
    };
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 32], "two minutes less the next wait");
    assert_eq!(
        end,
        RecoveryState::Down {
            symptom: Symptom::GpuFailed
        }
    );
}

#[test]
fn patience_begins_anew_with_every_illness_and_counts_what_the_canaries_take() {
    let (mut policy, now) = (policy(false, 3), Instant::now());
    for _ in 0..10 {
        policy.report(Symptom::GpuFailed, now);
        assert_eq!(
            step(policy.done(Failed, now)),
            RecoveryStep::Wait { after: FIRST_WAIT }
        );
        policy.done(Worked, now);
        assert_eq!(policy.done(Worked, now), RecoveryState::Healthy);
    }
    policy.report(Symptom::GpuFailed, now);
    assert!(matches!(
        policy.done(Failed, now + PATIENCE),
        RecoveryState::Down { .. }
    ));
    let mut hasty = RecoveryPolicy::new(false, Duration::ZERO, limits(3));
    hasty.report(Symptom::GpuFailed, now);
    assert!(matches!(hasty.done(Failed, now), RecoveryState::Down { .. }));
}

#[test]
fn a_render_that_cannot_be_ended_is_no_illness() {
    let (mut policy, now) = (policy(false, 3), Instant::now());
    assert_eq!(step(policy.report(Symptom::Stuck, now)), RecoveryStep::Free);
    assert_eq!(policy.done(Failed, now), RecoveryState::Healthy);
}

#[test]
fn recycling_is_limited_and_is_no_failure() {
    let (mut policy, now) = (policy(true, 1), Instant::now());
    assert!(matches!(
        step(policy.report(Symptom::Overgrown, now)),
        RecoveryStep::Restart { .. }
    ));
    policy.done(Worked, now);
    policy.done(Worked, now);
    assert_eq!(policy.report(Symptom::Overgrown, now), RecoveryState::Healthy);
    assert!(matches!(
        step(policy.report(Symptom::Died, now)),
        RecoveryStep::Restart { .. }
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
        Symptom::Failing,
    ])
}

proptest! {
    /// Every recovery ends, healthy or down; restarts stay within their limits; and nothing becomes healthy without
    /// a canary, except a render that cannot be ended.
    #[test]
    fn every_way_comes_to_an_end(
        can_restart: bool,
        limit in 0_u32..4,
        faults in prop::collection::vec((symptoms(), 0_u64..900), 1..20),
        luck in prop::collection::vec(any::<bool>(), 300),
    ) {
        let mut policy = policy(can_restart, limit);
        let mut now = Instant::now();
        let mut luck = luck.into_iter();
        let (mut failures, mut recycles) = (Vec::new(), 0_usize);
        for (symptom, later) in faults {
            now += Duration::from_secs(later);
            let mut state = policy.report(symptom, now);
            let mut steps = 0;
            while let RecoveryState::Healing { symptom: why, step } = state {
                prop_assert_eq!(why, symptom);
                steps += 1;
                prop_assert!(steps < 4 + 2 * (limit + 8), "no end in sight");
                if let RecoveryStep::Restart { .. } = step {
                    if why == Symptom::Overgrown && steps == 1 {
                        recycles += 1;
                    } else {
                        prop_assert!(can_restart);
                        failures.push(now);
                    }
                }
                let outcome = if luck.next().unwrap_or(true) { Worked } else { Failed };
                let next = policy.done(outcome, now);
                if next == RecoveryState::Healthy {
                    prop_assert!(
                        (step == RecoveryStep::Canary && outcome == Worked)
                            || (step == RecoveryStep::Free && outcome == Failed && !can_restart)
                    );
                }
                state = next;
            }
            if matches!(state, RecoveryState::Down { .. }) {
                prop_assert_eq!(policy.report(Symptom::Died, now), state);
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
