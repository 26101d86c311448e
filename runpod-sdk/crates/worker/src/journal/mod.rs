//! The journal: results and starts of jobs on disk, so that they outlive the process.
//!
//! ```text
//!  DIR/v1/ENDPOINT/results/KEY@OWNER    a result that waits for delivery, renamed into place after it was written
//!                          KEY@delivered a result that was delivered after its process had died
//!                 /started/KEY@OWNER    the mark of a handler that runs, or ran when its process died
//!                 /workers/OWNER        locked and touched while the process lives
//!                 /writing, /unreadable results that are being written, and files that hold no result
//! ```
//!
//! ENDPOINT is the endpoint of the jobs: only its workers can deliver their results. KEY stands for a job, OWNER for
//! one run of one process. Several workers may share a directory. A file belongs to the owner in its name. A process
//! takes a file over by renaming it to its own name, which only one process can do.
//!
//! A result that is delivered after its process has died may come too late: the platform may have queued the job again
//! and ignore the result. Therefore the result is kept for a while, and answers the job if it is handed out again.
//!
//! - [`Journal`](crate::settings::Journal): where the journal is, and its limits.
//! - [`JournalHandle`]: the runtime's interface; it keeps disk access off the control loop.
//! - `store`: the blocking operations, over a [`disk`] that tests replace.
//!
//! # A disk that hangs
//!
//! A network volume may stop answering while its server is away, and calls to it then block for as long. They run on
//! the journal's own threads (`blocking_pool`), and a caller waits for one at most 10 s. After that no further call is
//! made until the blocked one has returned (`health`). A disk that hangs thus delays the jobs that are about to begin
//! by 10 s, once, and later jobs not at all.

mod blocking_pool;
mod claims;
mod disk;
mod format;
mod handle;
mod health;
mod liveness;
mod name;
mod open;
mod pending;
mod store;
#[cfg(test)]
pub(crate) mod tests;

#[cfg(test)]
pub(crate) use blocking_pool::BlockingPool;
pub(crate) use claims::Claim;
pub(crate) use handle::{JournalHandle, Leftover, StartDecision};
pub(crate) use pending::PendingResult;
