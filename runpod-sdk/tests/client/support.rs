//! A platform in real time with a worker inside the test.

use std::sync::Arc;

use runpod_sdk::client::{EndpointClient, JobHandle};
use runpod_sdk::local::{EndpointSettings, LocalPlatform};
use serde_json::{Value, json};

/// The endpoint every test uses.
pub(crate) const EP: &str = "ep";

pub(crate) struct Rig {
    pub(crate) platform: LocalPlatform,
    pub(crate) client: EndpointClient,
}

impl Rig {
    pub(crate) async fn new() -> Self {
        Self::with(EndpointSettings::default()).await
    }

    pub(crate) async fn with(settings: EndpointSettings) -> Self {
        let platform = LocalPlatform::builder()
            .endpoint_with(EP, settings)
            .start()
            .await
            .unwrap();
        let client = client_at(&platform.client_base_url());
        Self { platform, client }
    }

    /// A job that a worker has taken, and its id.
    pub(crate) async fn running(&self) -> (Worker, JobHandle, String) {
        let worker = self.worker();
        let job = self.client.run(&1).await.unwrap();
        let (id, _) = worker.take().await;
        (worker, job, id)
    }

    pub(crate) fn worker(&self) -> Worker {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .no_proxy()
            .tls_certs_only([])
            .build()
            .unwrap();
        Worker {
            base: Arc::from(format!("{}/{EP}", self.platform.client_base_url())),
            http,
        }
    }
}

pub(crate) fn client_at(base_url: &str) -> EndpointClient {
    EndpointClient::builder(EP)
        .base_url(base_url)
        .api_key("test-key")
        .build()
        .unwrap()
}

/// The other side of the platform: takes a job, says something about it.
#[derive(Clone)]
pub(crate) struct Worker {
    base: Arc<str>,
    http: reqwest::Client,
}

impl Worker {
    /// Waits for a job and gives its id and input.
    pub(crate) async fn take(&self) -> (String, Value) {
        let job = self.take_whole().await;
        (job["id"].as_str().unwrap().to_owned(), job["input"].clone())
    }

    /// Waits for a job and gives everything the worker is told.
    pub(crate) async fn take_whole(&self) -> Value {
        let answer = self
            .http
            .get(format!("{}/job-take/w1", self.base))
            .send()
            .await
            .unwrap();
        serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
    }

    pub(crate) async fn done(&self, job: &str, body: Value) {
        self.post("job-done", job, &body.to_string()).await;
    }

    pub(crate) async fn progress(&self, job: &str, update: Value) {
        self.done(job, json!({"status": "IN_PROGRESS", "output": update}))
            .await;
    }

    pub(crate) async fn chunk(&self, job: &str, chunk: Value) {
        self.chunk_text(job, &json!({"output": chunk}).to_string()).await;
    }

    /// Posts a chunk's body as it is.
    pub(crate) async fn chunk_text(&self, job: &str, body: &str) {
        self.post("job-stream", job, body).await;
    }

    async fn post(&self, channel: &str, job: &str, body: &str) {
        let url = format!("{}/{channel}/w1/{job}", self.base);
        let answer = self.http.post(url).body(body.to_owned()).send().await.unwrap();
        assert_eq!(answer.status(), 200);
    }
}
