//! Whether the process may open as many files and sockets as a worker needs.

use std::fs::File;
use std::io;

use crate::error::{Error, StartupError};

/// The fewest descriptors that must be free at the start: some 16 for event loops and signals, and as many for the
/// connections of take, stop, results and heartbeat, and their look-ups of names.
const NEEDED: usize = 32;

/// Checks that there are enough. A worker that runs out of them takes jobs and then cannot send the heartbeat that keeps
/// them.
pub(super) fn check() -> Result<(), Error> {
    let opened: io::Result<Vec<File>> = (0..NEEDED).map(|_| File::open("/")).collect();
    match opened {
        Ok(_) => Ok(()),
        Err(source) => Err(StartupError::NoDescriptors {
            needed: NEEDED,
            source,
        }
        .into()),
    }
}
