//! The runtime on a platform in memory and a paused clock.

mod adapting;
mod ahead;
mod backpressure;
mod delivery;
mod events;
mod heartbeat;
mod hooks;
mod intake;
mod journal;
mod ledger;
mod limits;
mod lines;
mod log_tail;
mod returned;
mod shutdown;
mod simulation;
mod stopping;
mod streaming;
mod support;
mod taking;
