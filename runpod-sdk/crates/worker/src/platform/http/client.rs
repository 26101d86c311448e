//! The HTTP client of a worker.

use std::time::Duration;

use http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Client, redirect};
use runpod_protocol::http::causes;
use secrecy::ExposeSecret;

use super::redirects::may_follow;
use crate::settings::{Config, WorkerLimits};

/// The HTTP client of one thread. Without TLS the system's certificates are not even looked at.
pub(crate) fn client(config: &Config, limits: WorkerLimits, tls: bool) -> Result<Client, NoClient> {
    let mut headers = HeaderMap::new();
    if let Some(key) = &config.api_key {
        let mut key = HeaderValue::from_str(key.expose_secret()).map_err(|_| NoClient::Key)?;
        key.set_sensitive(true);
        headers.insert(AUTHORIZATION, key);
    }
    runpod_protocol::tls::install_provider();
    let mut builder = Client::builder()
        .default_headers(headers)
        .user_agent(user_agent(config.user_agent_integration.as_deref()))
        .no_proxy()
        // The address of a post names the worker and the job.
        .referer(false)
        .redirect(redirect::Policy::custom(|attempt| {
            if may_follow(attempt.previous(), attempt.url()) {
                attempt.follow()
            } else {
                attempt.stop()
            }
        }))
        .http1_only()
        .connect_timeout(limits.connect)
        .tcp_keepalive(Duration::from_secs(30));
    if !tls {
        builder = builder.tls_certs_only([]);
    }
    builder.build().map_err(NoClient::Tls)
}

/// The reason for which no HTTP client can be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NoClient {
    /// The key cannot be sent.
    #[error("RUNPOD_AI_API_KEY holds a character that can't stand in a header")]
    Key,
    /// The system's certificates cannot be used.
    #[error("no HTTPS client: {}; if the image has no certificates, install the package ca-certificates", causes(.0))]
    Tls(#[source] reqwest::Error),
}

fn user_agent(integration: Option<&str>) -> String {
    let mut agent = format!(
        "RunPod-Rust-SDK/{} ({}; {}) Language/Rust {}",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::OS,
        std::env::consts::ARCH,
        env!("CARGO_PKG_RUST_VERSION"),
    );
    if let Some(integration) = integration.filter(|text| text.chars().all(|c| c.is_ascii_graphic())) {
        agent.push_str(" Integration/");
        agent.push_str(integration);
    }
    agent
}
