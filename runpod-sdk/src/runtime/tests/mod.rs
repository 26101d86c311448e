//! The runtime on a platform in memory and a paused clock.

mod delivery;
mod heartbeat;
mod journal;
mod shutdown;
mod simulation;
mod stopping;
mod support;
mod taking;
