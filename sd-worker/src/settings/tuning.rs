//! Times and limits that are constants of a deployed worker.

use std::time::Duration;

/// Values that are no options: no situation is known in which a user has to set one of them.
///
/// [`Default`] has the values of the program. Tests of the whole program shorten them.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Tuning {
    /// The time between two readiness probes.
    pub probe_interval: Duration,
    /// How long one readiness probe may take.
    pub probe_timeout: Duration,
    /// How long the WebUI's list of checkpoints may fail with a status of 5xx before a small render counts as the sign that
    /// it is ready.
    pub other_sign_after: Duration,
    /// How long a connection to the WebUI is kept while nothing is sent.
    pub pool_idle: Duration,
    /// How long an answer that has begun may stand still before its connection counts as lost.
    pub answer_idle: Duration,
    /// The wait before the first retry of a render. Each further wait is twice as long.
    pub retry_wait: Duration,
    /// A render that is shorter than this ends without a progress probe.
    pub brief_render: Duration,
    /// How long a render may take to stop after an interrupt, before the WebUI counts as stuck.
    pub interrupt_patience: Duration,
    /// How long the WebUI may take to end after SIGTERM, before SIGKILL.
    pub stop_grace: Duration,
    /// How many times the WebUI is started again within `restart_window`, before the worker asks to be replaced.
    pub restarts: u32,
    /// Restarts longer ago than this do not count.
    pub restart_window: Duration,
    /// The largest preview in a progress update, in bytes of base64.
    pub preview_limit: usize,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            // The API is found at most this much too late, and five small requests a second cost a WebUI nothing.
            probe_interval: Duration::from_millis(200),
            // A WebUI that loads its modules accepts a connection long before it answers.
            probe_timeout: Duration::from_mins(2),
            // A proxy answers 5xx while the WebUI starts; some builds of Forge do so for ever.
            other_sign_after: Duration::from_secs(30),
            // The WebUI closes an idle connection after 30 s; a request that crosses the close is lost.
            pool_idle: Duration::from_secs(20),
            // On one pod an answer comes at once, as it is already in the WebUI's memory.
            answer_idle: Duration::from_mins(1),
            // Ten retries then take 102 s, the time of a restart.
            retry_wait: Duration::from_millis(100),
            // Nobody can see and interrupt a render this short, and a probe would add much to its time.
            brief_render: Duration::from_millis(50),
            // An interrupt takes effect at the next step, and few steps take longer.
            interrupt_patience: Duration::from_secs(30),
            // The platform's own grace has to suffice for the worker and the WebUI.
            stop_grace: Duration::from_secs(5),
            // A host on which the WebUI dies more often has a fault that another host may not have.
            restarts: 3,
            restart_window: Duration::from_mins(10),
            // Each update carries the whole preview. A larger one costs more than a glance at it is worth.
            preview_limit: 200_000,
        }
    }
}
