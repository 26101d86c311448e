//! The HTTP client of a deployed worker.

use std::sync::Arc;

use crate::error::{Error, StartupError};
use crate::platform::client;
use crate::settings::{Config, WorkerLimits};

/// Makes the HTTP client. The system's certificates are read on a thread for blocking work, while the state loads, and
/// only if a URL needs them.
pub(super) async fn http_client(config: Arc<Config>, limits: WorkerLimits) -> Result<reqwest::Client, Error> {
    if !config.needs_tls() {
        return Ok(client(&config, limits, false)?);
    }
    let made = tokio::task::spawn_blocking(move || client(&config, limits, true)).await;
    match made {
        Ok(client) => Ok(client?),
        Err(panicked) => Err(StartupError::NoThread {
            what: "HTTPS client",
            source: panicked.into(),
        }
        .into()),
    }
}
