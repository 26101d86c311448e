//! How to reach the server that a suite is run against.

use std::time::Duration;

/// How to reach the server.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ContractOptions {
    /// Credentials for `--api-auth`: user and password. Default: none.
    pub credentials: Option<(String, String)>,
    /// The longest wait for one answer. Default: 120 s, because the first render may load the model.
    pub timeout: Duration,
}

impl Default for ContractOptions {
    fn default() -> Self {
        Self {
            credentials: None,
            timeout: Duration::from_mins(2),
        }
    }
}

impl ContractOptions {
    /// Sends these credentials with every request.
    #[must_use]
    pub fn credentials(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.credentials = Some((user.into(), password.into()));
        self
    }

    /// The longest wait for one answer.
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }
}
