//! Decides when to take jobs and how many: pauses between takes, jobs taken ahead, adaptive concurrency.

mod ahead;
mod load_meter;
mod round_trip;
mod take_pace;

pub(super) use ahead::{Ahead, TakeRoom};
pub(super) use load_meter::{LoadMeter, RunningGuard, adapt};
pub(super) use take_pace::TakePace;
