//! What a worker checks before its first job.

use std::path::PathBuf;
use std::time::Duration;

use super::Worker;
use crate::fitness::{Check, FitnessCheck};

impl<S> Worker<S> {
    /// Checks, before the first job is taken, that this machine is fit for work.
    ///
    /// A check is a closure or one of [`fitness`](crate::fitness). All run at once, and before the
    /// state is loaded; those given first are reported first. If one fails or takes longer than
    /// [`Self::fitness_limit`], the worker reports itself unhealthy and exits with code 1, so that the
    /// platform puts another in its place. Local test runs skip them.
    ///
    /// ```
    /// use runpod_sdk::{JobError, Worker, fitness};
    ///
    /// let worker: Worker = Worker::new(|n: u32| async move { Ok::<_, JobError>(n) })
    ///     .fitness_check("disk", fitness::disk().min_free(20 * fitness::GIB))
    ///     .fitness_check("weights", || async { std::fs::metadata("/models/xl.safetensors") });
    /// ```
    pub fn fitness_check<M, C: Check<M>>(mut self, name: impl Into<String>, check: C) -> Self {
        self.fitness.push(FitnessCheck::new(name, check));
        self
    }

    /// How long one fitness check may take. Default 30 s; [`within`](crate::fitness::within) gives one
    /// check a limit of its own. Overridden by `RUNPOD_WORKER_FITNESS_LIMIT`.
    pub fn fitness_limit(mut self, limit: Duration) -> Self {
        self.options.fitness_limit = limit;
        self
    }

    /// Whether the [automatic checks](crate::fitness#automatic-checks) are made after the worker's
    /// own. Default: only where the platform is another machine. Overridden by
    /// `RUNPOD_WORKER_AUTOMATIC_CHECKS`; `RUNPOD_SKIP_AUTO_SYSTEM_CHECKS=true` turns them off in any case.
    pub fn automatic_checks(mut self, make_them: bool) -> Self {
        self.options.automatic.wanted = Some(make_them);
        self
    }

    /// Directories whose file systems the automatic disk check looks at, instead of `/`. Each must exist.
    /// Overridden by `RUNPOD_WORKER_DISK_PATHS`, a list with commas.
    ///
    /// ```
    /// use runpod_sdk::{JobError, Worker};
    ///
    /// let worker: Worker = Worker::new(|n: u32| async move { Ok::<_, JobError>(n) }).disk_paths(["/", "/runpod-volume"]);
    /// ```
    pub fn disk_paths(mut self, paths: impl IntoIterator<Item = impl Into<PathBuf>>) -> Self {
        self.options.automatic.disk_paths = paths.into_iter().map(Into::into).collect();
        self
    }

    /// What the automatic network check connects to if the platform does not answer, each as `host:port`,
    /// instead of `8.8.8.8:53`. One that answers is enough. Overridden by `RUNPOD_WORKER_NETWORK_TARGETS`, a
    /// list with commas.
    pub fn network_targets(mut self, targets: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.options.automatic.network_targets = targets.into_iter().map(Into::into).collect();
        self
    }
}
