//! Room for the next take: free slots, and the jobs that may be fetched before one is free.

use tokio::time::{Instant, sleep_until};

use super::round_trip::RoundTrip;
use super::slots::{Slot, Slots};
use crate::context::CompletionEstimates;
use crate::settings::TakeAhead;

/// What a worker goes by when it takes jobs ahead.
#[derive(Debug)]
pub(crate) struct Ahead {
    mode: TakeAhead,
    pub(super) estimates: CompletionEstimates,
    pub(super) round_trip: RoundTrip,
}

/// What one take may ask for.
#[derive(Debug)]
pub(super) struct Room {
    pub(super) slots: Vec<Slot>,
    /// So many jobs more, which will wait here for a slot.
    ahead: usize,
}

impl Room {
    pub(super) fn jobs(&self) -> usize {
        self.slots.len() + self.ahead
    }
}

impl Ahead {
    pub(crate) fn new(mode: TakeAhead) -> Self {
        Self {
            mode,
            estimates: CompletionEstimates::default(),
            round_trip: RoundTrip::new(),
        }
    }

    /// Waits until there is room for a job.
    pub(super) async fn room(&self, slots: &Slots) -> Room {
        loop {
            // Made before looking, so that no change is missed.
            let estimate = self.estimates.changed();
            let begun = slots.queue_changed();
            let ahead = self.now(slots);
            if ahead > 0 {
                let slots = slots.free_now();
                return Room { slots, ahead };
            }
            tokio::select! {
                biased;
                free = slots.all_free() => return Room { slots: free, ahead: self.now(slots) },
                () = estimate, if self.mode == TakeAhead::JustInTime => {}
                () = begun, if self.mode != TakeAhead::Off => {}
                () = self.next_due(), if self.mode == TakeAhead::JustInTime => {}
            }
        }
    }

    /// How many jobs may be fetched for which no slot is free. Those that wait here already count,
    /// whether or not they were asked for.
    fn now(&self, slots: &Slots) -> usize {
        let may_wait = match self.mode {
            TakeAhead::Off => 0,
            TakeAhead::Always => 1,
            TakeAhead::JustInTime => self.estimates.by(Instant::now() + self.round_trip.lead()),
        };
        may_wait.saturating_sub(slots.queued())
    }

    /// Waits until the next estimate comes so near that a take for it is due.
    async fn next_due(&self) {
        let lead = self.round_trip.lead();
        match self.estimates.first_after(Instant::now() + lead) {
            Some(at) => sleep_until(at - lead).await,
            None => std::future::pending().await,
        }
    }
}
