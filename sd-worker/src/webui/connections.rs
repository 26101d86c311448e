//! The connections to the WebUI.
//!
//! Two servers break a request that follows another one on a kept connection (`docs/protocol/webui-api.md` §1 and §12):
//! uvicorn up to 0.27.0.post1 does not stop the keep-alive timer of the answer before, and closes the connection 30 s
//! later in the middle of a render; Forge closes it after an unexpected 500 without saying so. So only the short requests
//! beside a render share connections. The row `between-requests` of the bench shows what that costs: 0.29 ms, where it
//! was 0.13 ms with kept connections.

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use reqwest::{Client, ClientBuilder};

/// The connection that carries a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Connection {
    /// One that carries nothing else.
    Own,
    /// One that is kept for the next short request.
    Shared,
}

/// The clients for both kinds of connection.
#[derive(Debug)]
pub(super) struct Connections {
    own: Client,
    shared: Client,
    trust: SharedTrust,
}

/// Whether kept connections may be used: not until each of those that a failure may have spoilt is too old to be kept.
#[derive(Debug)]
struct SharedTrust {
    pool_idle: Duration,
    failed_at: Mutex<Option<Instant>>,
}

impl Connections {
    /// `builder` makes the builder of a client. Idle connections are kept for `pool_idle`.
    pub(super) fn new(builder: impl Fn() -> ClientBuilder, pool_idle: Duration) -> reqwest::Result<Self> {
        Ok(Self {
            own: builder().pool_max_idle_per_host(0).build()?,
            shared: builder().pool_idle_timeout(pool_idle).build()?,
            trust: SharedTrust {
                pool_idle,
                failed_at: Mutex::default(),
            },
        })
    }

    pub(super) fn client(&self, connection: Connection) -> &Client {
        match connection {
            Connection::Shared if self.trust.holds(Instant::now()) => &self.shared,
            _ => &self.own,
        }
    }

    /// An answer with a status of 500 or more has come: its connection may close at any moment.
    pub(super) fn note_failure(&self) {
        self.trust.note_failure(Instant::now());
    }
}

impl SharedTrust {
    fn note_failure(&self, now: Instant) {
        *self.failed_at.lock() = Some(now);
    }

    fn holds(&self, now: Instant) -> bool {
        self.failed_at
            .lock()
            .is_none_or(|failed| now.duration_since(failed) > self.pool_idle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_failure_no_kept_connection_is_used_until_all_of_them_are_gone() {
        let trust = SharedTrust {
            pool_idle: Duration::from_secs(20),
            failed_at: Mutex::default(),
        };
        let now = Instant::now();
        assert!(trust.holds(now));
        trust.note_failure(now);
        assert!(!trust.holds(now + Duration::from_secs(20)));
        assert!(trust.holds(now + Duration::from_secs(21)));
    }
}
