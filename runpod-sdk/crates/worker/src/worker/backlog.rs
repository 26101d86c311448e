//! When a worker stops taking or counts as stuck, and what its automatic checks look at.

use std::path::PathBuf;
use std::time::Duration;

use super::Worker;

impl<S> Worker<S> {
    /// How many results may wait for delivery before no more jobs are taken. Default 16; 0 counts as 1. Overridden
    /// by `RUNPOD_WORKER_HELD_RESULTS`.
    pub fn held_results(mut self, results: usize) -> Self {
        self.options.held_results = results.max(1);
        self
    }

    /// How many bytes the results that wait for delivery may have before no more jobs are taken. Default 64 MiB; 0
    /// counts as 1. Overridden by `RUNPOD_WORKER_HELD_BYTES`.
    pub fn held_bytes(mut self, bytes: usize) -> Self {
        self.options.held_bytes = bytes.max(1);
        self
    }

    /// For how long the control loop may give no sign of life before the heartbeat stops vouching for this worker,
    /// so that the platform gives its jobs to others. Default 60 s. Overridden by `RUNPOD_WORKER_STUCK_AFTER`.
    pub fn stuck_after(mut self, silence: Duration) -> Self {
        self.options.stuck_after = silence;
        self
    }

    /// The paths whose file systems the [automatic](crate::fitness#automatic-checks) check `_disk_check` looks at.
    /// Default `/`. Overridden by `RUNPOD_WORKER_DISK_PATHS`, which separates them by commas.
    pub fn disk_check_paths<P: Into<PathBuf>>(mut self, paths: impl IntoIterator<Item = P>) -> Self {
        self.options.disk_check_paths = paths.into_iter().map(Into::into).collect();
        self
    }

    /// What the [automatic](crate::fitness#automatic-checks) check `_network_check` connects to, as `host:port`, if
    /// the platform does not answer. Default `8.8.8.8:53`. Overridden by `RUNPOD_WORKER_NETWORK_TARGETS`, which
    /// separates them by commas.
    pub fn network_check_targets<T: Into<String>>(mut self, targets: impl IntoIterator<Item = T>) -> Self {
        self.options.network_check_targets = targets.into_iter().map(Into::into).collect();
        self
    }
}
