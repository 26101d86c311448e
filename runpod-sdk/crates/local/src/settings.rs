//! The settings of one endpoint.

use std::time::Duration;

const MIB: usize = 1024 * 1024;

/// How one endpoint of the platform behaves. The defaults are RunPod's, as far as they are known.
///
/// Where RunPod's documents and what was seen on the wire differ, there is a switch
/// (`docs/protocol/endpoint-api.md` §7 and §13).
///
/// ```
/// use std::time::Duration;
/// use runpod_sdk::local::{EndpointSettings, ExecutionEnd};
///
/// let settings = EndpointSettings::default()
///     .execution_timeout(Duration::from_secs(30))
///     .execution_end(ExecutionEnd::TimedOut);
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct EndpointSettings {
    pub(crate) take_hold: Duration,
    pub(crate) busy_take_hold: Duration,
    pub(crate) stop_hold: Duration,
    pub(crate) sync_wait: Duration,
    pub(crate) execution_timeout: Duration,
    pub(crate) ttl: Duration,
    pub(crate) run_retention: Duration,
    pub(crate) ping_window: Option<Duration>,
    pub(crate) retry_limit: u32,
    pub(crate) ttl_end: TtlEnd,
    pub(crate) execution_end: ExecutionEnd,
    pub(crate) run_limit: usize,
    pub(crate) result_limit: usize,
    pub(crate) chunk_limit: usize,
    pub(crate) rate_limits: bool,
    pub(crate) max_jobs: usize,
    pub(crate) max_bytes: usize,
    pub(crate) max_unread_chunks: usize,
}

/// What becomes of a job whose time to live has run out (`docs/protocol/endpoint-api.md` §7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TtlEnd {
    /// It is deleted: every later question about it is answered with 404.
    #[default]
    Deleted,
    /// It ends as `TIMED_OUT` and is kept for the usual retention.
    TimedOut,
}

/// How a job ends that was held longer than its execution timeout (`docs/protocol/endpoint-api.md` §7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExecutionEnd {
    /// As `FAILED`, with the error `executionTimeout exceeded`.
    #[default]
    Failed,
    /// As `TIMED_OUT`, with the same error.
    TimedOut,
}

/// Why a worker's process ended, which decides what its jobs cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JobsOf {
    /// It died: each of its jobs has lost a worker, and fails once it has lost too many.
    Lost,
    /// Another one takes its place on purpose: its jobs are as if no worker had taken them.
    Replaced,
}

impl Default for EndpointSettings {
    fn default() -> Self {
        Self {
            take_hold: Duration::from_secs(20),
            busy_take_hold: Duration::from_secs(1),
            stop_hold: Duration::from_secs(20),
            sync_wait: Duration::from_secs(90),
            execution_timeout: Duration::from_mins(10),
            ttl: Duration::from_hours(24),
            run_retention: Duration::from_mins(30),
            ping_window: Some(Duration::from_secs(40)),
            retry_limit: 1,
            ttl_end: TtlEnd::default(),
            execution_end: ExecutionEnd::default(),
            run_limit: 10 * MIB,
            result_limit: 20 * MIB,
            chunk_limit: 1_000_000,
            rate_limits: false,
            max_jobs: 50_000,
            max_bytes: 2048 * MIB,
            max_unread_chunks: 10_000,
        }
    }
}

impl EndpointSettings {
    /// How long a take with nothing to hand out is held before it is answered with 204. Default 20 s.
    pub fn take_hold(mut self, hold: Duration) -> Self {
        self.take_hold = hold;
        self
    }

    /// How long at most the same is held for a worker that says `job_in_progress=1`. Default 1 s.
    ///
    /// Some workers end a job only together with the poll that they have sent beside it, so a long hold would show in
    /// every job's time. A worker that does not wait for its poll asks again.
    pub fn busy_take_hold(mut self, hold: Duration) -> Self {
        self.busy_take_hold = hold;
        self
    }

    /// How long a worker's poll for jobs to stop is held. Default 20 s.
    pub fn stop_hold(mut self, hold: Duration) -> Self {
        self.stop_hold = hold;
        self
    }

    /// How long `/runsync` and `/status-sync` wait when the request does not say. Default 90 s.
    pub fn sync_wait(mut self, wait: Duration) -> Self {
        self.sync_wait = wait;
        self
    }

    /// How long a worker may hold a job that brings no `policy.executionTimeout`. Default 600 s.
    ///
    /// A job's own value is brought into the documented 5 s to 7 days; this one is taken as it is.
    pub fn execution_timeout(mut self, timeout: Duration) -> Self {
        self.execution_timeout = timeout;
        self
    }

    /// How long a job that brings no `policy.ttl` may live, queue and execution together. Default 24 h.
    ///
    /// A job's own value is brought into the documented 10 s to 7 days; this one is taken as it is.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self
    }

    /// How long a finished `/run` job is kept. Default 30 min.
    pub fn run_retention(mut self, retention: Duration) -> Self {
        self.run_retention = retention;
        self
    }

    /// How long a held job may go without a ping, progress or chunk before it counts as lost.
    ///
    /// Default 40 s. `None` never gives a job up, which suits a worker in a debugger.
    pub fn ping_window(mut self, window: impl Into<Option<Duration>>) -> Self {
        self.ping_window = window.into();
        self
    }

    /// How often a lost job is queued again before it fails. Default 1.
    pub fn retry_limit(mut self, limit: u32) -> Self {
        self.retry_limit = limit;
        self
    }

    /// What becomes of a job past its time to live. Default [`TtlEnd::Deleted`].
    pub fn ttl_end(mut self, end: TtlEnd) -> Self {
        self.ttl_end = end;
        self
    }

    /// How a job past its execution timeout ends. Default [`ExecutionEnd::Failed`].
    pub fn execution_end(mut self, end: ExecutionEnd) -> Self {
        self.execution_end = end;
        self
    }

    /// Largest `/run` body in bytes. Default 10 MiB; above it the answer is 400.
    pub fn run_limit(mut self, bytes: usize) -> Self {
        self.run_limit = bytes;
        self
    }

    /// Largest result a worker may post, in bytes. Default 20 MiB; above it the answer is 400.
    pub fn result_limit(mut self, bytes: usize) -> Self {
        self.result_limit = bytes;
        self
    }

    /// Largest chunk of a stream, in bytes. Default 1 000 000.
    ///
    /// A larger string is split into several chunks, any other larger value is refused with 400.
    pub fn chunk_limit(mut self, bytes: usize) -> Self {
        self.chunk_limit = bytes;
        self
    }

    /// Whether RunPod's documented rate limits are applied (`docs/protocol/endpoint-api.md` §10). Default off.
    pub fn rate_limits(mut self, on: bool) -> Self {
        self.rate_limits = on;
        self
    }

    /// Most jobs kept at once. Default 50 000.
    ///
    /// Past it the oldest finished jobs are forgotten early; when none is finished, a submission is refused with 429.
    pub fn max_jobs(mut self, jobs: usize) -> Self {
        self.max_jobs = jobs;
        self
    }

    /// Most bytes of inputs, outputs and chunks kept at once. Default 2 GiB. Kept to as [`max_jobs`](Self::max_jobs) is.
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Most chunks of one job that wait to be read. Default 10 000; past it the worker's post is answered with 429.
    pub fn max_unread_chunks(mut self, chunks: usize) -> Self {
        self.max_unread_chunks = chunks;
        self
    }
}
