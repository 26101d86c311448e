//! Limits that no user has to set. Tests shorten them.

use std::time::Duration;

/// The limits of every worker, each with its reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WorkerLimits {
    /// The longest time of a long poll: the platform answers within 90 s
    /// (`docs/protocol/worker-protocol.md` §5).
    pub(crate) poll: Duration,
    /// The longest time of any other request, its body included (§4).
    pub(crate) request: Duration,
    /// The longest time for a connection to be made: three lost packets.
    pub(crate) connect: Duration,
    /// The longest wait of a result for a progress update that is being posted, so that the update cannot arrive after it.
    pub(crate) progress: Duration,
    /// The longest pause between two posts of one result: an outage ends unnoticed for no longer than that.
    pub(crate) delivery_longest_wait: Duration,
    /// The silence of the control loop after which the heartbeat stops. The loop gives a sign of
    /// life every 5 s; the platform waits for about as long before it gives a silent worker's jobs to others.
    pub(crate) stuck_after: Duration,
    /// The number of undelivered results at which the worker takes no more jobs.
    pub(crate) undelivered_results: usize,
    /// The bytes of undelivered results at which the worker takes no more jobs: three results of the largest size that the
    /// platform accepts.
    pub(crate) undelivered_bytes: usize,
    /// The longest time of one fitness check, unless [`within`](crate::fitness::within) gives it a limit of its own.
    pub(crate) fitness: Duration,
    /// Largest body of a request that the worker answers itself. RunPod's load balancer passes on 30 MB; a little
    /// more, so that the worker is not the one to refuse.
    #[cfg(feature = "http-modes")]
    pub(crate) http_body: usize,
}

impl Default for WorkerLimits {
    fn default() -> Self {
        Self {
            poll: Duration::from_secs(90),
            request: Duration::from_mins(10),
            connect: Duration::from_secs(30),
            progress: Duration::from_secs(10),
            delivery_longest_wait: Duration::from_secs(10),
            stuck_after: Duration::from_mins(1),
            undelivered_results: 16,
            undelivered_bytes: 64 << 20,
            fitness: Duration::from_secs(30),
            #[cfg(feature = "http-modes")]
            http_body: 32 << 20,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limits_are_those_of_the_protocol_notes() {
        let limits = WorkerLimits::default();
        let seconds = [
            limits.poll,
            limits.request,
            limits.connect,
            limits.progress,
            limits.delivery_longest_wait,
            limits.stuck_after,
            limits.fitness,
        ]
        .map(|limit| limit.as_secs());
        assert_eq!(seconds, [90, 600, 30, 10, 10, 60, 30]);
        assert_eq!(
            (limits.undelivered_results, limits.undelivered_bytes),
            (16, 67_108_864)
        );
    }
}
