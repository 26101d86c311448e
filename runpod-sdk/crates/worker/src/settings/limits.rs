//! Limits that no user has to set. Tests shorten them.

use std::time::Duration;

/// What holds in every worker, each with its reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// How long one long poll may stay open: the platform answers within 90 s
    /// (`docs/protocol/worker-protocol.md` §5).
    pub(crate) poll: Duration,
    /// How long any other request may take, its body included (§4).
    pub(crate) request: Duration,
    /// How long a connection may take to be made: three lost packets.
    pub(crate) connect: Duration,
    /// How long a result waits for a progress update that is on its way, so that it cannot arrive before it.
    pub(crate) progress: Duration,
    /// The longest pause between two posts of one result: an outage ends unnoticed for no longer than that.
    pub(crate) delivery_longest_wait: Duration,
    /// Silence of the control loop after which the heartbeat stops vouching for the worker. The loop gives a sign of
    /// life every 5 s; the platform waits for about as long before it gives a silent worker's jobs to others.
    pub(crate) stuck_after: Duration,
    /// Undelivered results that keep the worker from taking more jobs.
    pub(crate) undelivered_results: usize,
    /// The same in bytes: three results of the largest size that the platform takes.
    pub(crate) undelivered_bytes: usize,
    /// How long one fitness check may take, unless [`within`](crate::fitness::within) gives it a limit of its own.
    pub(crate) fitness: Duration,
    /// Largest body of a request that the worker answers itself. RunPod's load balancer passes on 30 MB; a little
    /// more, so that the worker is not the one to refuse.
    #[cfg(feature = "http-modes")]
    pub(crate) http_body: usize,
}

impl Default for Limits {
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
        let limits = Limits::default();
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
