//! Which faults are armed, and which of them hit a request.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::{Fault, FaultKind};
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
        self.lock().faults.push(fault);
    }

    pub(crate) fn clear(&self) {
        self.lock().faults.clear();
    }

    pub(crate) fn armed(&self) -> Vec<Fault> {
        self.lock().faults.clone()
    }

    /// Gigabytes that a change of the checkpoint leaves occupied.
    pub(crate) fn leak_per_switch(&self) -> f64 {
        let leak = |fault: &Fault| match fault.kind {
            FaultKind::LeakPerModelSwitch { gigabytes } => Some(gigabytes),
            _ => None,
        };
        self.lock().faults.iter().find_map(leak).unwrap_or_default()
    }

    /// The phase that a fault holds the server's start in.
    pub(crate) fn held_phase(&self) -> Option<Phase> {
        self.lock().faults.iter().find_map(|fault| match fault.kind {
            FaultKind::NeverReady => Some(Phase::Refusing),
            FaultKind::UpButNoModel => Some(Phase::ModelLoading),
            _ => None,
        })
    }

    /// The trouble that a request to this path runs into. Uses up faults that happen a number of times.
    pub(crate) fn draw(&self, path: &str) -> Trouble {
        let Armed { faults, dice } = &mut *self.lock();
        let mut kinds = Vec::new();
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
            kinds.push(fault.kind.clone());
            match fault.times {
                0 => true,
                left => {
                    fault.times = left - 1;
                    fault.times > 0
                }
            }
        });
        Trouble {
            kinds,
            cut: Arc::new(Notify::new()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Armed> {
        self.armed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The faults that hit one request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trouble {
    kinds: Vec<FaultKind>,
    /// Told when the connection is to be cut while the render goes on.
    pub(crate) cut: Arc<Notify>,
}

impl Trouble {
    pub(crate) fn kinds(&self) -> &[FaultKind] {
        &self.kinds
    }

    /// Fields of the request that are to have no effect.
    pub(crate) fn forgotten(&self) -> impl Iterator<Item = &str> {
        self.kinds
            .iter()
            .filter_map(|kind| match kind {
                FaultKind::ForgetFields { fields } => Some(fields),
                _ => None,
            })
            .flatten()
            .map(String::as_str)
    }

    pub(crate) fn has(&self, kind: &FaultKind) -> bool {
        self.kinds.contains(kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TXT2IMG: &str = "/sdapi/v1/txt2img";

    fn hits(fault: Fault, requests: usize) -> Vec<bool> {
        let plan = FaultPlan::new(vec![fault], Some(1));
        (0..requests)
            .map(|_| !plan.draw(TXT2IMG).kinds().is_empty())
            .collect()
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
        assert!(plan.draw(TXT2IMG).kinds().is_empty());
        assert_eq!(
            plan.draw("/sdapi/v1/sd-models").kinds(),
            [FaultKind::Status { status: 503 }]
        );
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
