//! A platform on a clock moved by hand, a worker that speaks the raw protocol, and a raw client.

use std::collections::HashMap;
use std::time::Duration;

use reqwest::{Method, RequestBuilder, StatusCode};
use runpod_sdk::local::{
    Activity, Clock, EndpointSettings, LocalPlatform, LocalPlatformBuilder, ManualClock,
};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

/// The endpoint every test uses.
pub(crate) const EP: &str = "ep";

pub(crate) struct Rig {
    pub(crate) platform: LocalPlatform,
    pub(crate) clock: ManualClock,
    http: reqwest::Client,
}

/// An answer: its status and its body as JSON, `null` if it is empty.
#[derive(Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Value,
}

impl Answer {
    /// The body of a 200.
    #[track_caller]
    pub(crate) fn ok(self) -> Value {
        assert_eq!(self.status, StatusCode::OK, "{}", self.body);
        self.body
    }

    /// The text of an error with this status.
    #[track_caller]
    pub(crate) fn error(self, status: u16) -> String {
        assert_eq!(self.status, status, "{}", self.body);
        self.body["error"].as_str().expect("an error text").to_owned()
    }
}

pub(crate) fn http_client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([])
        .build()
        .unwrap()
}

impl Rig {
    pub(crate) async fn new() -> Self {
        Self::with(EndpointSettings::default()).await
    }

    pub(crate) async fn with(settings: EndpointSettings) -> Self {
        Self::build(LocalPlatform::builder().endpoint_with(EP, settings)).await
    }

    pub(crate) async fn build(builder: LocalPlatformBuilder) -> Self {
        let clock = Clock::manual();
        let platform = builder.clock(clock.clone()).start().await.unwrap();
        Self {
            platform,
            clock,
            http: http_client(),
        }
    }

    pub(crate) fn advance(&self, span: Duration) {
        self.clock.advance(span);
    }

    /// Waits until what the endpoint is busy with is as `wanted`.
    pub(crate) async fn until(&self, wanted: impl FnMut(&Activity) -> bool) -> Activity {
        self.platform.until(EP, wanted).await.unwrap()
    }

    /// Waits until `count` requests are held open.
    pub(crate) async fn holding(&self, count: usize) {
        self.until(|activity| activity.held >= count).await;
    }

    pub(crate) fn worker(&self, id: &str) -> Worker {
        let env = self.platform.worker_env(EP, id).into_iter().collect();
        Worker {
            env,
            http: self.http.clone(),
        }
    }

    /// A request to an operation of the endpoint.
    pub(crate) fn request(&self, method: Method, operation: &str) -> RequestBuilder {
        self.http.request(
            method,
            format!("{}/{EP}/{operation}", self.platform.client_base_url()),
        )
    }

    pub(crate) async fn get(&self, operation: &str) -> Answer {
        send(self.request(Method::GET, operation)).await
    }

    pub(crate) async fn post(&self, operation: &str, body: Value) -> Answer {
        send(self.request(Method::POST, operation).body(body.to_string())).await
    }

    /// A GET in a task of its own, for requests that are held.
    pub(crate) fn getting(&self, operation: &str) -> JoinHandle<Answer> {
        tokio::spawn(send(self.request(Method::GET, operation)))
    }

    /// A POST in a task of its own.
    pub(crate) fn posting(&self, operation: &str, body: &Value) -> JoinHandle<Answer> {
        tokio::spawn(send(self.request(Method::POST, operation).body(body.to_string())))
    }

    /// Queues a job and gives its id.
    pub(crate) async fn run(&self, input: Value) -> String {
        let answer = self.post("run", json!({ "input": input })).await.ok();
        answer["id"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn status(&self, id: &str) -> Value {
        self.get(&format!("status/{id}")).await.ok()
    }

    /// The kinds of the violations so far, in order.
    pub(crate) fn violations(&self) -> Vec<runpod_sdk::local::ViolationKind> {
        self.platform
            .violations()
            .into_iter()
            .map(|violation| violation.kind)
            .collect()
    }
}

pub(crate) async fn send(request: RequestBuilder) -> Answer {
    let response = request.send().await.expect("an answer");
    let status = response.status();
    let body = response.bytes().await.expect("a whole body");
    let body = if body.is_empty() {
        Value::Null
    } else {
        serde_json::from_slice(&body).expect("JSON")
    };
    Answer { status, body }
}

/// A worker that fills in the platform's templates as the Python worker does.
#[derive(Clone)]
pub(crate) struct Worker {
    env: HashMap<String, String>,
    http: reqwest::Client,
}

impl Worker {
    fn url(&self, template: &str, id: &str) -> String {
        self.env[template]
            .replace("$RUNPOD_POD_ID", &self.env["RUNPOD_POD_ID"])
            .replace("$ID", id)
    }

    fn send(&self, method: Method, url: String, body: &str) -> impl Future<Output = Answer> + use<> {
        let request = self
            .http
            .request(method, url)
            .header("authorization", &self.env["RUNPOD_AI_API_KEY"])
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body.to_owned());
        send(request)
    }

    /// Asks for one job; `busy` is what the worker says about itself.
    pub(crate) fn take(&self, busy: bool) -> impl Future<Output = Answer> + use<> {
        let url = self.url("RUNPOD_WEBHOOK_GET_JOB", &self.env["RUNPOD_POD_ID"]);
        self.send(
            Method::GET,
            format!("{url}&job_in_progress={}", u8::from(busy)),
            "",
        )
    }

    pub(crate) fn take_batch(&self, size: usize) -> impl Future<Output = Answer> + use<> {
        let url = self.url("RUNPOD_WEBHOOK_GET_JOB", &self.env["RUNPOD_POD_ID"]);
        let url = url.replace("/job-take/", "/job-take-batch/");
        self.send(
            Method::GET,
            format!("{url}&batch_size={size}&job_in_progress=1"),
            "",
        )
    }

    pub(crate) fn stops(&self) -> impl Future<Output = Answer> + use<> {
        let url = self.url("RUNPOD_WEBHOOK_GET_JOB", &self.env["RUNPOD_POD_ID"]);
        self.send(Method::GET, url.replace("/job-take/", "/job-stop/"), "")
    }

    pub(crate) fn ping(&self, jobs: &[&str]) -> impl Future<Output = Answer> + use<> {
        let url = self.url("RUNPOD_WEBHOOK_PING", "");
        let jobs = if jobs.is_empty() {
            String::new()
        } else {
            format!("&job_id={}", jobs.join("%2C"))
        };
        self.send(Method::GET, format!("{url}{jobs}&runpod_version=1.12.0"), "")
    }

    pub(crate) fn report_unhealthy(&self) -> impl Future<Output = Answer> + use<> {
        let url = self.url("RUNPOD_WEBHOOK_PING", "");
        self.send(
            Method::GET,
            format!("{url}&status=unhealthy&check=gpu&reason=none"),
            "",
        )
    }

    /// Posts a body to the job-done channel.
    pub(crate) fn done(&self, job: &str, body: &Value) -> impl Future<Output = Answer> + use<> {
        let url = self.url("RUNPOD_WEBHOOK_POST_OUTPUT", job);
        self.send(Method::POST, format!("{url}&isStream=false"), &body.to_string())
    }

    pub(crate) fn progress(&self, job: &str, update: &Value) -> impl Future<Output = Answer> + use<> {
        self.done(job, &json!({ "status": "IN_PROGRESS", "output": update }))
    }

    pub(crate) fn chunk(&self, job: &str, chunk: &Value) -> impl Future<Output = Answer> + use<> {
        let url = self.url("RUNPOD_WEBHOOK_POST_STREAM", job);
        self.send(
            Method::POST,
            format!("{url}&isStream=false"),
            &json!({ "output": chunk }).to_string(),
        )
    }

    /// Takes the one job that waits.
    pub(crate) async fn take_now(&self) -> Value {
        self.take(true).await.ok()
    }
}
