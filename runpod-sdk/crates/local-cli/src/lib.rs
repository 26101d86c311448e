//! `runpod-local`: RunPod on this machine, for any worker.
//!
//! ```text
//!  browser ──▶ console ──┐
//!  client  ──▶ platform ◀┴── worker processes, started, scaled and restarted by the fleet
//! ```
//!
//! The platform is the library [`runpod_local`]. This crate adds what a person wants around it: the worker's processes
//! ([`Options`] says how many and when), a record of everything that happened, and a console that shows the record.

mod announcement;
mod client;
mod command_line;
mod console;
mod fleet;
mod record;
mod screen;
mod serve;
mod stop_signals;

pub use self::announcement::{Announcement, Farewell};
pub use self::command_line::main;
pub use self::fleet::worker_process;
pub use self::serve::{Options, run};
