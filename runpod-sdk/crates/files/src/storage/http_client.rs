//! What the HTTP clients of downloads and uploads have in common.

use std::time::Duration;

use runpod_protocol::http::causes;

const USER_AGENT: &str = concat!("runpod-sdk-rust/", env!("CARGO_PKG_VERSION"));
/// The time for the look-up of a name and for one connection. Hosts that take longer hardly ever answer at all.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Why there is no HTTP client.
#[derive(Debug, thiserror::Error)]
#[error("{}; if the image has no certificates, install the package ca-certificates", causes(.0))]
pub(super) struct NoClient(#[from] reqwest::Error);

/// A builder of clients that follow no redirect and send no `Referer`.
pub(super) fn builder() -> reqwest::ClientBuilder {
    runpod_protocol::tls::install_provider();
    reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .http1_only()
        .connect_timeout(CONNECT_TIMEOUT)
}
