//! The rows of a WebUI that the worker owns: how soon the next good picture comes after something went wrong.
//!
//! The WebUI is the mock as a program, started by sd-worker; the platform is the local one. So the times are the
//! worker's own: a real WebUI takes its model's loading on top.

use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use runpod_sdk::client::{EndpointClient, JobHandle};
use runpod_sdk::local::LocalPlatform;
use serde_json::{Value, json};
use support::cargo;
use tokio::time::sleep;

use super::{Bench, START_LIMIT, line, millis};
use crate::figures::{Line, Samples, Target, Unit};
use crate::process::Running;

const ENDPOINT: &str = "bench";
const LIMIT: Duration = Duration::from_mins(1);
/// How long the model of the slow start takes.
const MODEL: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(2);

/// A platform, a worker, and the worker's WebUI.
struct Owned {
    client: EndpointClient,
    running: Running,
    webui: String,
    http: reqwest::Client,
    /// Its work goes on until it is dropped.
    _platform: LocalPlatform,
}

impl Bench {
    pub(super) async fn healing(&self) -> anyhow::Result<Vec<Line>> {
        let mock = cargo::build_release("mock-webui")?;
        let names = [
            "cancel to idle GPU",
            "WebUI killed, to the next picture",
            "out of memory, to the next picture",
            "slow model, from loaded to first picture",
        ];
        let mut samples: [Samples; 4] = Default::default();
        let rounds = self.rounds(5);
        for round in 0..rounds {
            self.show_round(round, rounds, "a WebUI that falls ill");
            let times = [
                self.cancelled(&mock).await.context("cancel")?,
                self.killed(&mock).await.context("kill")?,
                self.out_of_memory(&mock).await.context("out of memory")?,
                self.slow_model(&mock).await.context("slow model")?,
            ];
            for (samples, time) in samples.iter_mut().zip(times) {
                samples.ours.push(millis(time));
            }
        }
        let lines = names.into_iter().zip(samples);
        Ok(lines
            .map(|(name, samples)| line(name, Unit::Millis, samples, Target::Nothing))
            .collect())
    }

    /// From the client's cancel to a WebUI that renders nothing; steps take 20 ms.
    async fn cancelled(&self, mock: &Path) -> anyhow::Result<Duration> {
        let owned = self.owned(mock, "--step-ms 20", &[]).await?;
        let job = owned.submit(100_000).await?;
        owned.until(|gpu| gpu["sampling_step"].as_u64() > Some(1)).await?;
        let began = Instant::now();
        job.cancel().await?;
        owned.until(|gpu| gpu["job"] == "").await?;
        let took = began.elapsed();
        owned.end().await?;
        Ok(took)
    }

    /// From the WebUI's end between two jobs to the end of a job that was submitted at once. No SIGKILL: the
    /// process ends itself at once, as `server-kill` asks.
    async fn killed(&self, mock: &Path) -> anyhow::Result<Duration> {
        let owned = self.owned(mock, "--api-server-stop", &[]).await?;
        owned.complete().await?;
        let began = Instant::now();
        // It ends without an answer.
        let _ = owned.post("/sdapi/v1/server-kill", &Value::Null).await;
        owned.complete().await?;
        let took = began.elapsed();
        owned.end().await?;
        Ok(took)
    }

    /// From the submission of the job that fails to the end of the next.
    async fn out_of_memory(&self, mock: &Path) -> anyhow::Result<Duration> {
        let owned = self.owned(mock, "", &[]).await?;
        owned.complete().await?;
        owned
            .post(
                "/__mock/faults",
                &json!({ "kind": "out-of-memory", "until": "unload" }),
            )
            .await?;
        let began = Instant::now();
        let failed = owned.submit(1).await?.wait().await?;
        ensure!(failed.status.as_str() == "FAILED", "it did not run out of memory");
        owned.complete().await?;
        let took = began.elapsed();
        owned.end().await?;
        Ok(took)
    }

    /// From the moment that the model is loaded to the end of a job that waited, with a warm-up in between.
    async fn slow_model(&self, mock: &Path) -> anyhow::Result<Duration> {
        let began = Instant::now();
        let options = format!("--model-after {}ms", MODEL.as_millis());
        let owned = self.owned(mock, &options, &[("SD_WORKER_WARM_UP", "on")]).await?;
        owned.complete().await?;
        let took = began.elapsed().saturating_sub(MODEL);
        owned.end().await?;
        Ok(took)
    }

    async fn owned(&self, mock: &Path, options: &str, more: &[(&str, &str)]) -> anyhow::Result<Owned> {
        let platform = LocalPlatform::builder().endpoint(ENDPOINT).start().await?;
        let client = EndpointClient::builder(ENDPOINT)
            .base_url(platform.client_base_url())
            .api_key("any")
            .build()?;
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let webui = format!("http://{address}");
        let mut environment = platform.worker_env(ENDPOINT, "worker-1");
        let command = format!("{} --listen {address} {options}", mock.display());
        environment.push(("SD_WORKER_WEBUI_COMMAND".to_owned(), command));
        environment.push(("SD_WORKER_WEBUI_URL".to_owned(), webui.clone()));
        environment.extend(
            more.iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        );
        let running = self.ours.start_with(environment, &self.logs)?;
        let owned = Owned {
            client,
            running,
            webui,
            http: reqwest::Client::new(),
            _platform: platform,
        };
        Ok(owned)
    }
}

impl Owned {
    async fn submit(&self, steps: u32) -> anyhow::Result<JobHandle> {
        let request = json!({ "prompt": "x", "steps": steps, "width": 64, "height": 64 });
        Ok(self.client.run(&request).await?)
    }

    async fn complete(&self) -> anyhow::Result<()> {
        let job = self.submit(1).await?;
        let report = tokio::time::timeout(LIMIT, job.wait())
            .await
            .context("no picture")??;
        ensure!(
            report.status.as_str() == "COMPLETED",
            "no picture: {:?}",
            report.error()
        );
        Ok(())
    }

    /// Waits until the mock's card is like this.
    async fn until(&self, is_so: impl Fn(&Value) -> bool) -> anyhow::Result<()> {
        let waiting = async {
            loop {
                let answer = self.http.get(format!("{}/__mock/gpu", self.webui)).send().await;
                if let Ok(answer) = answer
                    && let Ok(bytes) = answer.bytes().await
                    && serde_json::from_slice(&bytes).is_ok_and(|gpu| is_so(&gpu))
                {
                    return;
                }
                sleep(LOOK).await;
            }
        };
        tokio::time::timeout(START_LIMIT, waiting)
            .await
            .context("the card never was so")
    }

    async fn post(&self, route: &str, body: &Value) -> anyhow::Result<()> {
        let request = self
            .http
            .post(format!("{}{route}", self.webui))
            .body(body.to_string());
        request.send().await?.error_for_status()?;
        Ok(())
    }

    /// The worker's guard ends the WebUI with it.
    async fn end(self) -> anyhow::Result<()> {
        self.running.kill().await
    }
}
