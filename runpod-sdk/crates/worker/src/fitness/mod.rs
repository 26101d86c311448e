//! Is this machine fit for work? Asked once, before the first job is taken
//! (`docs/protocol/worker-protocol.md` §14).
//!
//! A check is a closure, or one of those here:
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
//! All checks run at once and each has a limit of its own ([`Worker::fitness_limit`], [`within`]).
//! They are looked at in the order in which they were given; the first that failed is the one that
//! is reported, and the worker exits with code 1. What needs the outcome of another check belongs
//! into the same check.
//!
//! # Automatic checks
//!
//! After the worker's own, a deployed worker makes the checks that Python's makes, under their names:
//!
//! | check | passes when | set by |
//! |---|---|---|
//! | `_gpu_health_check` (feature `gpu`) | every GPU that the driver lists can be read; no GPU is fine | `RUNPOD_SKIP_GPU_CHECK=true` leaves it out |
//! | `_memory_check` | [`memory`]: 4 GiB are available, or half of a smaller machine | `RUNPOD_MIN_MEMORY_GB` |
//! | `_disk_check` | [`disk`]: 10 % of `/` are free | `RUNPOD_MIN_DISK_PERCENT`, [`Worker::disk_check_paths`] |
//! | `_network_check` | [`network`]: the platform, or else `8.8.8.8:53`, takes a connection | `RUNPOD_NETWORK_CHECK_TIMEOUT`, [`Worker::network_check_targets`] |
//! | `_cuda_version_check` (feature `gpu`) | the driver knows CUDA 11.8, or there is no GPU | `RUNPOD_MIN_CUDA_VERSION` |
//!
//! They are on where the platform is another machine, and off where it is this one: a laptop or a test
//! has no duty to be fit. [`Worker::automatic_checks`] and `RUNPOD_WORKER_AUTOMATIC_CHECKS` say
//! otherwise; `RUNPOD_SKIP_AUTO_SYSTEM_CHECKS=true` turns them off as in Python. A variable that
//! cannot be read is named in a warning and its default holds.
//!
//! Memory and disk cost well under a millisecond. The network check runs beside the start and the
//! first take, never before it: the take proves the same. Should it fail while no job is held, the
//! worker is unfit as by any other check.
//!
//! A worker that answers HTTP requests itself (feature `http-modes`) makes them, too, before it is ready: on a
//! pod, unless its heartbeat goes to this machine. It does not ask the platform for jobs, so its network
//! check is made only where there is something to reach: the host of the heartbeat, or targets of its own.
//!
//! What a driver library cannot tell is not checked: no memory is allocated on a GPU and nothing is
//! computed there. A worker whose backend computes knows better; let it say so in a check of its own.
//!
//! [`Worker::fitness_limit`]: crate::Worker::fitness_limit
//! [`Worker::automatic_checks`]: crate::Worker::automatic_checks
//! [`Worker::disk_check_paths`]: crate::Worker::disk_check_paths
//! [`Worker::network_check_targets`]: crate::Worker::network_check_targets

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

/// Bytes for people: `7.5 GiB`.
#[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
fn gib(bytes: u64) -> String {
    format!("{:.1} GiB", bytes as f64 / GIB as f64)
}
