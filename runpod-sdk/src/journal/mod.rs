//! Results and starts of jobs on disk, so that they outlive the process.
//!
//! ```text
//!  DIR/v1/results/KEY@OWNER    a result that waits for delivery: written whole, then renamed into place
//!        /started/KEY@OWNER    the job's handler runs, or ran when its process died
//!        /workers/OWNER        locked and touched while the process lives
//!        /writing, /unreadable what is not yet, and what is no longer, a result
//! ```
//!
//! KEY stands for a job, OWNER for one life of one process. Several workers may share a directory: a file
//! belongs to the owner in its name, and whoever renames it to its own has taken it over, which only one can.
//!
//! - [`Journal`]: where the journal is, and its limits.
//! - [`Keeper`]: what the runtime asks; keeps the disk away from the control loop.
//! - `store`: the same, blocking, over a [`disk`] that tests replace.

mod claims;
mod disk;
mod entry;
mod health;
mod keeper;
mod kept;
mod name;
mod owners;
mod settings;
mod store;
#[cfg(test)]
mod tests;

pub(crate) use keeper::{Begin, Keeper, Leftover};
pub use settings::Journal;
pub(crate) use settings::override_from;
