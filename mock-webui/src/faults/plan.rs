//! Which faults are armed, and which of them hit a request.

use std::time::Duration;

use parking_lot::Mutex;

use super::effects::{ActiveFaults, Condition, Effect};
use super::fault::Fault;
use crate::phase::Phase;

/// The armed faults of one server.
#[derive(Debug)]
pub(crate) struct FaultPlan {
    armed: Mutex<Armed>,
}

#[derive(Debug)]
struct Armed {
    faults: Vec<Fault>,
    dice: fastrand::Rng,
}

impl FaultPlan {
    pub(crate) fn new(faults: Vec<Fault>, seed: Option<u64>) -> Self {
        let dice = seed.map_or_else(fastrand::Rng::new, fastrand::Rng::with_seed);
        Self {
            armed: Mutex::new(Armed { faults, dice }),
        }
    }

    pub(crate) fn arm(&self, fault: Fault) {
        self.armed.lock().faults.push(fault);
    }

    pub(crate) fn clear(&self) {
        self.armed.lock().faults.clear();
    }

    pub(crate) fn armed(&self) -> Vec<Fault> {
        self.armed.lock().faults.clone()
    }

    /// Gigabytes that a change of the checkpoint leaves occupied.
    pub(crate) fn leak_per_switch(&self) -> f64 {
        let leak = self.condition(|condition| match condition {
            Condition::LeakPerModelSwitch(gigabytes) => Some(gigabytes),
            Condition::HeldPhase(_) | Condition::KeepAliveTimer(_) => None,
        });
        leak.unwrap_or_default()
    }

    /// The phase that a fault holds the server's start in.
    pub(crate) fn held_phase(&self) -> Option<Phase> {
        self.condition(|condition| match condition {
            Condition::HeldPhase(phase) => Some(phase),
            Condition::LeakPerModelSwitch(_) | Condition::KeepAliveTimer(_) => None,
        })
    }

    /// How soon after an answer the next request on its connection is hit by uvicorn's keep-alive timer.
    pub(crate) fn keep_alive_timer(&self) -> Option<Duration> {
        self.condition(|condition| match condition {
            Condition::KeepAliveTimer(within) => Some(within),
            Condition::LeakPerModelSwitch(_) | Condition::HeldPhase(_) => None,
        })
    }

    /// The first thing that `wanted` finds among the armed conditions.
    fn condition<T>(&self, wanted: impl Fn(Condition) -> Option<T>) -> Option<T> {
        let faults = &self.armed.lock().faults;
        faults.iter().find_map(|fault| match fault.kind().effect() {
            Effect::Condition(condition) => wanted(condition),
            Effect::Request(_) => None,
        })
    }

    /// The faults that a request to this path runs into. Uses up faults that happen a number of times.
    pub(crate) fn draw(&self, path: &str) -> ActiveFaults {
        let Armed { faults, dice } = &mut *self.armed.lock();
        let mut active = ActiveFaults::default();
        faults.retain_mut(|fault| {
            if fault.is_condition() || !fault.concerns(path) {
                return true;
            }
            if fault.after > 0 {
                fault.after -= 1;
                return true;
            }
            if fault.chance < 1.0 && dice.f64() >= fault.chance {
                return true;
            }
            if let Effect::Request(apply) = fault.kind().effect() {
                apply(&mut active);
            }
            match fault.times {
                0 => true,
                left => {
                    fault.times = left - 1;
                    fault.times > 0
                }
            }
        });
        active
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TXT2IMG: &str = "/sdapi/v1/txt2img";

    fn hits(fault: Fault, requests: usize) -> Vec<bool> {
        let plan = FaultPlan::new(vec![fault], Some(1));
        (0..requests).map(|_| plan.draw(TXT2IMG).nan).collect()
    }

    #[test]
    fn a_fault_happens_once_unless_told_otherwise() {
        assert_eq!(hits(Fault::nan(), 3), [true, false, false]);
        assert_eq!(hits(Fault::nan().times(2), 3), [true, true, false]);
        assert_eq!(hits(Fault::nan().sticky(), 3), [true, true, true]);
        assert_eq!(hits(Fault::nan().after(1), 3), [false, true, false]);
    }

    #[test]
    fn a_fault_concerns_its_route_only() {
        let plan = FaultPlan::new(vec![Fault::status(503).on("/sdapi/v1/sd-models")], None);
        assert!(plan.draw(TXT2IMG).replacement.is_none());
        let answer = plan
            .draw("/sdapi/v1/sd-models")
            .replacement
            .expect("a replacement");
        assert_eq!(answer.status, 503);
    }

    #[test]
    fn chance_is_repeatable_by_seed() {
        let fault = || Fault::nan().chance(0.5).sticky();
        let first = hits(fault(), 100);
        assert_eq!(first, hits(fault(), 100));
        let count = first.iter().filter(|hit| **hit).count();
        assert!((30..70).contains(&count), "{count} of 100");
    }
}
