//! The room of the next take: free slots, and jobs taken ahead of a slot.

use tokio::time::{Instant, sleep_until};

use super::round_trip::RoundTrip;
use crate::context::CompletionEstimates;
use crate::runtime::slots::{Slot, Slots};
use crate::settings::TakeAhead;

/// Decides how many jobs a take may ask for: free slots, and jobs ahead of a slot.
#[derive(Debug)]
pub(in crate::runtime) struct Ahead {
    mode: TakeAhead,
    pub(in crate::runtime) estimates: CompletionEstimates,
    pub(in crate::runtime) round_trip: RoundTrip,
}

/// The jobs that one take may ask for.
#[derive(Debug)]
pub(in crate::runtime) struct TakeRoom {
    pub(in crate::runtime) slots: Vec<Slot>,
    /// The number of further jobs, which wait here for a slot.
    ahead: usize,
}

impl TakeRoom {
    pub(in crate::runtime) fn jobs(&self) -> usize {
        self.slots.len() + self.ahead
    }
}

impl Ahead {
    pub(in crate::runtime) fn new(mode: TakeAhead) -> Self {
        Self {
            mode,
            estimates: CompletionEstimates::default(),
            round_trip: RoundTrip::new(),
        }
    }

    /// Waits until there is room for a job.
    pub(in crate::runtime) async fn room(&self, slots: &Slots) -> TakeRoom {
        loop {
            // Created before the check, so that no change is missed.
            let estimate = self.estimates.changed();
            let begun = slots.queue_changed();
            let ahead = self.now(slots);
            if ahead > 0 {
                let slots = slots.free_now();
                return TakeRoom { slots, ahead };
            }
            tokio::select! {
                biased;
                free = slots.all_free() => return TakeRoom { slots: free, ahead: self.now(slots) },
                () = estimate, if self.mode == TakeAhead::JustInTime => {}
                () = begun, if self.mode != TakeAhead::Off => {}
                () = self.next_due(), if self.mode == TakeAhead::JustInTime => {}
            }
        }
    }

    /// The number of jobs that may be taken without a free slot. Jobs that wait here already count,
    /// whether or not they were asked for.
    fn now(&self, slots: &Slots) -> usize {
        let may_wait = match self.mode {
            TakeAhead::Off => 0,
            TakeAhead::Always => 1,
            TakeAhead::JustInTime => self.estimates.by(Instant::now() + self.round_trip.lead()),
        };
        may_wait.saturating_sub(slots.queued())
    }

    /// Waits until a take is due for the next estimate.
    async fn next_due(&self) {
        let lead = self.round_trip.lead();
        match self.estimates.first_after(Instant::now() + lead) {
            Some(at) => sleep_until(at - lead).await,
            None => std::future::pending().await,
        }
    }
}
