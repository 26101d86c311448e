//! The errors of the built-in checks.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::gib;

/// A fault of this machine. Each message says what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FitnessError {
    /// Not enough memory is left, on the host or within the container's limit.
    #[error(
        "{} of memory available ({bound_by}), {} needed; use a larger machine, or lower RUNPOD_MIN_MEMORY_GB",
        gib(*.available),
        gib(*.needed)
    )]
    Memory {
        /// The available bytes.
        available: u64,
        /// The required bytes.
        needed: u64,
        /// The source of the limit: the host, or a control group.
        bound_by: String,
    },
    /// Not enough space is left on a file system.
    #[error("{}: {found} free, {needed} needed; {remedy}", .path.display())]
    Disk {
        /// A path on that file system.
        path: PathBuf,
        /// The free space.
        found: String,
        /// The required space.
        needed: String,
        /// What to do.
        remedy: &'static str,
    },
    /// No target could be reached.
    #[error("nothing reached within {limit:?} each: {}; check the pod's egress rules", .tried.join("; "))]
    Network {
        /// Each address with its error.
        tried: Vec<String>,
        /// The time limit of each.
        limit: Duration,
    },
    /// A GPU is required, and there is none.
    #[error(
        "no GPU seen ({why}); choose an endpoint with GPUs, and an image with NVIDIA's container runtime"
    )]
    NoGpu {
        /// What the driver's library said.
        why: String,
    },
    /// A GPU or its driver does not meet the requirements.
    #[error("{0}")]
    Gpu(String),
    /// A value that the check needs cannot be read.
    #[error("{what} can't be read: {source}")]
    Unreadable {
        /// What.
        what: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}
