//! Fitness checks: whether this machine is fit for work, checked once before the first job is taken
//! (`docs/protocol/worker-protocol.md` §14).
//!
//! A check is a closure, or a built-in one:
//!
//! ```
//! use runpod_sdk::fitness::{self, GIB};
//! use runpod_sdk::{JobError, Worker};
//!
//! let worker: Worker = Worker::new(|n: u32| async move { Ok::<_, JobError>(n) })
//!     .fitness_check("memory", fitness::memory().min_available(8 * GIB))
//!     .fitness_check("volume", fitness::disk().path("/runpod-volume").min_free(20 * GIB))
//!     .fitness_check("weights", || async { std::fs::metadata("/models/xl.safetensors") });
//! ```
//!
//! All checks run concurrently. Each may take 30 s, or the limit of [`within`]. They are evaluated in the order in which
//! they were added: the first that failed is reported, and the worker exits with code 1. A check that needs the outcome
//! of another belongs into the same closure.
//!
//! # Automatic checks
//!
//! After the worker's own, a deployed worker makes the checks that Python's makes, under their names:
//!
//! | check | passes when | set by |
//! |---|---|---|
//! | `_gpu_health_check` (feature `gpu`) | every GPU that the driver lists can be read; no GPU is fine | `RUNPOD_SKIP_GPU_CHECK=true` leaves it out |
//! | `_memory_check` | [`memory`]: 4 GiB are available, or half of a smaller machine | `RUNPOD_MIN_MEMORY_GB` |
//! | `_disk_check` | [`disk`]: 10 % of `/` are free | `RUNPOD_MIN_DISK_PERCENT` |
//! | `_network_check` | [`network`]: the platform, or else `8.8.8.8:53`, accepts a connection | `RUNPOD_NETWORK_CHECK_TIMEOUT`, `RUNPOD_WORKER_NETWORK_TARGETS` |
//! | `_cuda_version_check` (feature `gpu`) | the driver supports CUDA 11.8, or there is no GPU | `RUNPOD_MIN_CUDA_VERSION` |
//!
//! They are on if the platform is another machine, and off if it is this one, such as a laptop or a test.
//! [`Worker::automatic_checks`] and `RUNPOD_WORKER_AUTOMATIC_CHECKS` override that.
//! `RUNPOD_SKIP_AUTO_SYSTEM_CHECKS=true` turns them off as in Python. A variable that cannot be read is named in a
//! warning, and its default holds.
//!
//! The memory and disk checks take well under a millisecond. The network check runs beside the start and the
//! first take, which proves the same. If it fails while no job is active, the worker is unfit as by any other check.
//!
//! A worker that answers HTTP requests itself (feature `http-modes`) makes them, too, before it is ready: on a
//! pod, unless its heartbeat goes to this machine. It does not ask the platform for jobs, so its network
//! check is made only if it has a target: the host of the heartbeat, or targets of its own.
//!
//! The GPU checks only read from the driver: no memory is allocated on a GPU and nothing is computed there. A worker
//! whose backend computes can test that in a check of its own.
//!
//! [`Worker::automatic_checks`]: crate::Worker::automatic_checks

mod automatic;
mod check;
mod disk;
mod error;
#[cfg(feature = "gpu")]
mod gpu;
mod memory;
mod network;
mod run;
mod settings;

pub(crate) use automatic::{Automatic, automatic};
pub(crate) use check::FitnessCheck;
#[doc(hidden)]
pub use check::{BuiltIn, Limited, Work};
pub use check::{Check, Within, within};
pub use disk::{Disk, disk};
pub use error::FitnessError;
#[cfg(feature = "gpu")]
#[cfg_attr(docsrs, doc(cfg(feature = "gpu")))]
pub use gpu::{Gpu, GpuFacts, gpu, gpus};
pub use memory::{Memory, memory};
pub use network::{Network, network};
pub(crate) use run::{Unfit, run, run_one};
pub(crate) use settings::CheckEnvironment;

/// Bytes in a gibibyte.
pub const GIB: u64 = 1 << 30;

/// Formats bytes for people: `7.5 GiB`.
#[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
fn gib(bytes: u64) -> String {
    format!("{:.1} GiB", bytes as f64 / GIB as f64)
}
