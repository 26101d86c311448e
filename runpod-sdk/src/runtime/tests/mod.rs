//! The runtime on a platform in memory and a paused clock.

mod adapting;
mod ahead;
mod delivery;
mod events;
mod heartbeat;
mod hooks;
mod intake;
mod journal;
mod ledger;
mod limits;
mod log_lines;
mod log_tail;
mod shutdown;
mod simulation;
mod stopping;
mod streaming;
mod support;
mod taking;
