//! Results and starts of jobs on disk, so that they outlive the process.
//!
//! ```text
//!  DIR/v1/ENDPOINT/results/KEY@OWNER    a result that waits for delivery: written whole, then renamed into place
//!                          KEY@delivered one that was delivered after its process had died
//!                 /started/KEY@OWNER    the job's handler runs, or ran when its process died
//!                 /workers/OWNER        locked and touched while the process lives
//!                 /writing, /unreadable what is not yet, and what is no longer, a result
//! ```
//!
//! ENDPOINT is the one whose jobs these are: another's workers could not deliver them. KEY stands for a job, OWNER for one life of one process. Several workers may share a directory: a file
//! belongs to the owner in its name, and whoever renames it to its own has taken it over, which only one can.
//!
//! A result that is delivered after its process has died may come too late: the platform has queued the job again, and
//! takes no notice. Therefore it stays for a while, and answers the job should that be handed out.
//!
//! - [`Journal`](crate::settings::Journal): where the journal is, and its limits.
//! - [`Keeper`]: what the runtime asks; keeps the disk away from the control loop.
//! - `store`: the same, blocking, over a [`disk`] that tests replace.
//!
//! # A disk that hangs
//!
//! A network volume may stop answering for as long as its server is away, and calls to it then return no sooner
//! than that. They are made on threads of the journal's own (`hands`), and nobody waits for one for longer than
//! 10 s. From then on nothing more is asked of the disk until that call has returned (`health`), so that a disk that
//! hangs costs each job that was about to begin 10 s, once, and later ones nothing.

mod claims;
mod disk;
mod entry;
mod hands;
mod health;
mod keeper;
mod kept;
mod name;
mod owners;
mod store;
#[cfg(test)]
pub(crate) mod tests;

pub(crate) use claims::Claim;
#[cfg(test)]
pub(crate) use hands::Hands;
pub(crate) use keeper::{Begin, Keeper, Leftover};
