//! The check of the network: whether a target can be reached.

use std::time::Duration;

use tokio::net::TcpStream;
use tracing::{debug, warn};

use super::check::BuiltIn;
use super::{Check, FitnessError, Work};

/// The time limit of the Python worker.
const DEFAULT_LIMIT: Duration = Duration::from_secs(5);
/// The target of the Python worker. Many egress rules block it, so the platform comes first.
const DEFAULT_TARGET: &str = "8.8.8.8:53";

/// Checks that a target can be reached; see [`network`].
#[derive(Debug, Clone)]
pub struct Network {
    targets: Vec<String>,
    limit: Option<Duration>,
}

/// Checks that a connection can be opened: to the platform, which is the host of the take URL, or
/// else to one of the other targets. Without any it is `8.8.8.8:53`. One connection is enough.
///
/// Each target has 5 s, including the look-up of its address.
pub fn network() -> Network {
    Network {
        targets: Vec::new(),
        limit: None,
    }
}

impl Network {
    /// Adds a target, `host:port`, which is tried if the platform and the targets before it do not answer.
    #[must_use]
    pub fn target(mut self, target: impl Into<String>) -> Self {
        self.targets.push(target.into());
        self
    }

    /// The time limit of each target. Default 5 s. Overridden by `RUNPOD_NETWORK_CHECK_TIMEOUT`.
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.limit = Some(limit);
        self
    }

    async fn look(mut self, platform: Option<String>, asked: Option<Duration>) -> Result<(), FitnessError> {
        if self.targets.is_empty() {
            self.targets.push(DEFAULT_TARGET.to_owned());
        }
        let limit = asked.or(self.limit).unwrap_or(DEFAULT_LIMIT);
        let mut tried = Vec::new();
        for target in platform.into_iter().chain(self.targets) {
            let problem = match tokio::time::timeout(limit, TcpStream::connect(&target)).await {
                Ok(Ok(_)) => {
                    if tried.is_empty() {
                        debug!(target, "the network is there");
                    } else {
                        warn!(target, failed = ?tried, "the network is there, but not everything answers");
                    }
                    return Ok(());
                }
                Ok(Err(error)) => error.to_string(),
                Err(_) => "no answer".to_owned(),
            };
            tried.push(format!("{target}: {problem}"));
        }
        Err(FitnessError::Network { tried, limit })
    }
}

impl Check<BuiltIn> for Network {
    fn into_work(self) -> Work {
        Work::built_in(move |environment| self.look(environment.platform.clone(), environment.network_limit))
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// An address that refuses connections.
    async fn closed() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap().to_string()
    }

    #[tokio::test]
    async fn the_platform_is_asked_first_and_is_enough() {
        let platform = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let check = network().target(other.local_addr().unwrap().to_string());
        let address = platform.local_addr().unwrap().to_string();
        check.look(Some(address), None).await.unwrap();
        platform.accept().await.unwrap();
        let connection = tokio::time::timeout(Duration::ZERO, other.accept()).await;
        assert!(connection.is_err(), "the other was not asked");
    }

    #[tokio::test]
    async fn one_blocked_target_does_not_make_a_worker_unfit() {
        let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let check = network()
            .target(closed().await)
            .target(other.local_addr().unwrap().to_string());
        check.look(Some(closed().await), None).await.unwrap();
    }

    #[tokio::test]
    async fn when_nothing_answers_every_target_is_named() {
        let (platform, other) = (closed().await, closed().await);
        let error = network()
            .target(other.clone())
            .look(Some(platform.clone()), None)
            .await
            .unwrap_err()
            .to_string();
        assert!(
            error.contains(&format!("{platform}: Connection refused")),
            "{error}"
        );
        assert!(error.contains(&format!("{other}: Connection refused")), "{error}");
    }

    #[tokio::test]
    async fn a_target_that_is_none_is_named_with_the_reason() {
        let error = network()
            .target("no port")
            .look(None, Some(Duration::from_secs(1)))
            .await
            .unwrap_err();
        assert!(error.to_string().contains("no port: invalid"), "{error}");
    }
}
