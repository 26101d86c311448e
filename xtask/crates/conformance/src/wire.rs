//! Plain HTTP towards the platform: for what stands in for a worker or a client.

use anyhow::{Context as _, bail};
use runpod_sdk::client::EndpointClient;
use serde_json::Value;

use crate::limit;

/// One endpoint, called without any library of RunPod's or ours in between.
#[derive(Debug, Clone)]
pub(crate) struct Wire {
    http: reqwest::Client,
    base: String,
    key: &'static str,
}

impl Wire {
    pub(crate) fn new(base: &str, endpoint: &str, key: &'static str) -> anyhow::Result<Self> {
        // Building one sets up what every HTTP client of this program needs.
        EndpointClient::builder(endpoint).api_key(key).build()?;
        let http = reqwest::Client::builder()
            .no_proxy()
            .tls_certs_only([])
            .timeout(limit::STEP)
            .build()
            .context("no HTTP client")?;
        Ok(Self {
            http,
            base: format!("{base}/{endpoint}"),
            key,
        })
    }

    /// The answer, or `None` for 204.
    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<Option<Value>> {
        self.send(path, self.http.get(format!("{}/{path}", self.base)))
            .await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Option<Value>> {
        let request = self
            .http
            .post(format!("{}/{path}", self.base))
            .body(body.to_string());
        self.send(path, request).await
    }

    async fn send(&self, path: &str, request: reqwest::RequestBuilder) -> anyhow::Result<Option<Value>> {
        let answer = request
            .header("authorization", self.key)
            .send()
            .await
            .with_context(|| format!("no answer from {path}"))?;
        let status = answer.status();
        let body = answer
            .bytes()
            .await
            .with_context(|| format!("half an answer from {path}"))?;
        if !status.is_success() {
            bail!(
                "{path} was answered with {status}: {}",
                String::from_utf8_lossy(&body)
            );
        }
        if body.is_empty() {
            return Ok(None);
        }
        serde_json::from_slice(&body)
            .map(Some)
            .with_context(|| format!("{path} was not answered with JSON"))
    }
}
