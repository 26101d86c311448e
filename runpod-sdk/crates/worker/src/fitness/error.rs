//! Why one of the built-in checks failed.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::gib;

/// What is wrong with this machine. Each message says what to do about it.
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
        /// Bytes that can be had.
        available: u64,
        /// Bytes that are needed.
        needed: u64,
        /// What sets the limit: the host, or a control group.
        bound_by: String,
    },
    /// Not enough space is left on a file system.
    #[error("{}: {found} free, {needed} needed; {remedy}", .path.display())]
    Disk {
        /// A path on that file system.
        path: PathBuf,
        /// What is free.
        found: String,
        /// What is needed.
        needed: String,
        /// What to do.
        remedy: &'static str,
    },
    /// Nothing could be reached.
    #[error("nothing reached within {limit:?} each: {}; check the pod's egress rules", .tried.join("; "))]
    Network {
        /// Each address with what became of it.
        tried: Vec<String>,
        /// How long each had.
        limit: Duration,
    },
    /// There is no GPU, and there should be.
    #[error(
        "no GPU seen ({why}); choose an endpoint with GPUs, and an image with NVIDIA's container runtime"
    )]
    NoGpu {
        /// What the driver's library said.
        why: String,
    },
    /// A GPU, or its driver, is not as it should be.
    #[error("{0}")]
    Gpu(String),
    /// Something that must be known for the check cannot be read.
    #[error("{what} can't be read: {source}")]
    Unreadable {
        /// What.
        what: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}
