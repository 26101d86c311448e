//! A stage for the worker: a platform before it, a WebUI behind it.

pub(crate) mod owned;
mod process;
mod raw;
mod s3;
mod tap;
pub(crate) mod wire;

use std::time::Duration;

use runpod_sdk::client::{EndpointClient, JobHandle, JobReport};
use runpod_sdk::local::{EndpointSettings, LocalPlatform};
use serde_json::Value;
use serde_json::value::RawValue;

pub(crate) use owned::OwnedWebUi;
pub(crate) use process::{Program, program};
pub(crate) use raw::{RawWebUi, Reply, aside};
pub(crate) use s3::{S3, Uploads};
pub(crate) use tap::Tap;

/// The event of the reference flow.
pub(crate) const EXAMPLE: &str = r#"{"prompt": "a photograph of an astronaut riding a horse", "negative_prompt": "text, watermark, blurry, low quality", "steps": 25, "cfg_scale": 7, "width": 512, "height": 512, "sampler_name": "DPM++ 2M Karras"}"#;

const ENDPOINT: &str = "sd";
const MIB: usize = 1 << 20;
/// A worker that is not heard of for so long is given up. It pings every second.
const SILENCE: Duration = Duration::from_secs(5);

/// Everything is done by then, or never.
const PATIENCE: Duration = Duration::from_mins(1);

/// Waits for something that must happen.
pub(crate) async fn soon<F: Future>(what: F) -> F::Output {
    tokio::time::timeout(PATIENCE, what)
        .await
        .expect("it did not happen in time")
}

/// A platform with a worker on it.
pub(crate) struct Stage {
    pub(crate) platform: LocalPlatform,
    pub(crate) worker: Program,
    pub(crate) client: EndpointClient,
}

impl Stage {
    /// Starts a worker with default options for the WebUI at `url`.
    pub(crate) async fn new(url: &str) -> Self {
        Self::with(url, &[]).await
    }

    /// Starts a worker with some variables set. `TUNING` holds fields of its `Tuning`.
    pub(crate) async fn with(url: &str, variables: &[(&str, &str)]) -> Self {
        let settings = EndpointSettings::default()
            .result_limit(64 * MIB)
            .run_limit(64 * MIB)
            .ping_window(SILENCE);
        let platform = LocalPlatform::builder()
            .endpoint_with(ENDPOINT, settings)
            .record_calls(true)
            .start()
            .await
            .unwrap();
        let client = EndpointClient::builder(ENDPOINT)
            .base_url(platform.client_base_url())
            .api_key("any")
            .build()
            .unwrap();
        Self {
            worker: start(&platform, url, "worker-1", variables),
            platform,
            client,
        }
    }

    /// One more worker on the same platform.
    pub(crate) fn another(&self, url: &str, name: &str) -> Program {
        start(&self.platform, url, name, &[])
    }

    /// Submits a job with this text as its input.
    pub(crate) async fn submit(&self, input: &str) -> JobHandle {
        let input: Box<RawValue> = serde_json::from_str(input).unwrap();
        soon(self.client.run(&input)).await.unwrap()
    }

    /// Submits a job and waits for its end.
    pub(crate) async fn run(&self, input: &str) -> JobReport {
        let job = self.submit(input).await;
        soon(job.wait()).await.unwrap()
    }

    /// Submits a job that must complete, and returns its output as it came.
    pub(crate) async fn complete(&self, input: &str) -> Vec<u8> {
        let report = self.run(input).await;
        assert_eq!(report.status.as_str(), "COMPLETED", "{:?}", report.error());
        report.raw_output().unwrap().to_vec()
    }

    /// Submits a job that must fail, and returns its error.
    pub(crate) async fn fail(&self, input: &str) -> Value {
        let report = self.run(input).await;
        assert_eq!(report.status.as_str(), "FAILED");
        error_of(&report)
    }
}

/// The worker with fields of its `Tuning` set: `retry_wait=3ms,restarts=2`. An example of this package, because the
/// program itself has no option for them.
fn tuned(tuning: &str) -> tokio::process::Command {
    let worker = std::path::Path::new(env!("CARGO_BIN_EXE_sd-worker"));
    let mut command = tokio::process::Command::new(worker.parent().unwrap().join("examples/tuned"));
    command
        .env_clear()
        .stdin(std::process::Stdio::null())
        .env("TUNING", tuning);
    command
}

fn start(platform: &LocalPlatform, url: &str, name: &str, variables: &[(&str, &str)]) -> Program {
    // Renders of tests are short, and what interrupts them is quick.
    let mut tuning = "brief_render=0s".to_owned();
    for (_, more) in variables.iter().filter(|(name, _)| *name == "TUNING") {
        tuning.push(',');
        tuning.push_str(more);
    }
    let mut worker = tuned(&tuning);
    worker
        .envs(platform.worker_env(ENDPOINT, name))
        .env("RUNPOD_PING_INTERVAL", "1000")
        .env("SD_WORKER_WEBUI_URL", url)
        .envs(variables.iter().copied().filter(|(name, _)| *name != "TUNING"));
    Program::start(worker)
}

/// Waits until a client is shown an update of the running job that is as `wanted`. What is told of a render the worker
/// has seen.
pub(crate) async fn told(job: &JobHandle, wanted: impl Fn(&Value) -> bool) -> Value {
    soon(async {
        loop {
            let update: Value = job.status().await.unwrap().output().unwrap_or_default();
            if wanted(&update) {
                return update;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
}

/// The object inside the error's text.
pub(crate) fn error_of(report: &JobReport) -> Value {
    serde_json::from_str(report.error().unwrap()).unwrap()
}

/// The parts of an error that a program looks at.
pub(crate) fn verdict(error: &Value) -> [&str; 3] {
    [
        error["code"].as_str().unwrap(),
        error["class"].as_str().unwrap(),
        if error["retryable"] == true {
            "retryable"
        } else {
            "final"
        },
    ]
}

/// What is there at a URL.
pub(crate) async fn get(url: &str) -> Vec<u8> {
    // A client can't be built without a provider, though nothing here speaks TLS.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let answer = soon(reqwest::get(url)).await.unwrap();
    assert!(answer.status().is_success(), "{}", answer.status());
    soon(answer.bytes()).await.unwrap().to_vec()
}

/// Sends the WebUI a request that is none of the worker's.
pub(crate) async fn post(webui: &mock_webui::MockWebUi, route: &str) {
    // A client can't be built without a provider, though nothing here speaks TLS.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let request = reqwest::Client::new().post(format!("{}{route}", webui.url()));
    assert_eq!(soon(request.send()).await.unwrap().status(), 200);
}

/// A picture of 64 × 64 as base64.
pub(crate) fn png_64() -> String {
    let png = include_bytes!("../../../../tests/fixtures/webui/v1.10.1/txt2img-minimal.png");
    base64::Engine::encode(&base64::engine::general_purpose::STANDARD, png)
}
