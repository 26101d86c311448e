//! The local platform as its clients and workers see it: a process to measure, and callers that cost little.
//!
//! The callers send what a client and a worker send, but with the floor's client instead of the SDK's: what they need
//! themselves is in the times that are measured, and on the same machine as the platform.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use hyper::{Method, StatusCode};
use runpod_local_cli::Announcement;
use serde::Deserialize;
use tokio::time::sleep;

use crate::floor::{self, Server};
use crate::process::{Program, Running};

/// The endpoint that is measured.
pub(crate) const ENDPOINT: &str = "bench";
/// How long a platform may take until it listens.
const START_LIMIT: Duration = Duration::from_secs(10);
/// How often is looked whether it does.
const LOOK: Duration = Duration::from_millis(5);

/// `runpod-local` in a process of its own.
#[derive(Debug)]
pub(crate) struct Platform {
    pub(crate) running: Running,
    pub(crate) endpoint: Endpoint,
}

impl Platform {
    /// Starts it as anyone would, on a free port, and waits until it says where it listens.
    pub(crate) async fn start(xtask: PathBuf, logs: &Path) -> anyhow::Result<Self> {
        let arguments = [
            "platform",
            "--listen",
            "127.0.0.1:0",
            "--endpoint",
            ENDPOINT,
            "--json",
        ];
        let program = Program {
            name: "platform",
            file: xtask,
            arguments: arguments.map(str::to_owned).into(),
            slow: false,
        };
        let mut running = program.start_with(std::iter::empty::<(&str, String)>(), logs)?;
        let log = program.log(logs);
        let announcement = running.within(START_LIMIT, announced(&log)).await??;
        let endpoint = Endpoint::new(&announcement.url, &announcement.worker_env)?;
        Ok(Self { running, endpoint })
    }
}

async fn announced(log: &Path) -> anyhow::Result<Announcement> {
    loop {
        let output =
            std::fs::read_to_string(log).with_context(|| format!("cannot read {}", log.display()))?;
        if let Some(announcement) = announcement_in(&output) {
            return Ok(announcement);
        }
        sleep(LOOK).await;
    }
}

/// The line in which a platform says how to reach it, once that is complete.
fn announcement_in(output: &str) -> Option<Announcement> {
    let (said, _) = output.rsplit_once('\n')?;
    said.lines().find_map(|line| serde_json::from_str(line).ok())
}

/// A job request with an input of exactly this size in bytes, at least 12.
pub(crate) fn request(input: usize) -> Bytes {
    let around = r#"{"image":""}"#.len();
    let image = "x".repeat(input.saturating_sub(around));
    Bytes::from(format!(r#"{{"input":{{"image":"{image}"}}}}"#))
}

/// Where an endpoint's clients and workers call.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    base: String,
    take: String,
    done: String,
    ping: String,
    key: String,
    /// How often workers are asked to ping.
    pub(crate) ping_interval: Duration,
}

impl Endpoint {
    /// From the platform's URL and the variables it has for a worker.
    pub(crate) fn new(url: &str, worker_env: &BTreeMap<String, String>) -> anyhow::Result<Self> {
        let variable = |name: &'static str| worker_env.get(name).cloned().context(name);
        let millis = variable("RUNPOD_PING_INTERVAL")?;
        Ok(Self {
            base: format!("{url}/v2/{ENDPOINT}"),
            take: variable("RUNPOD_WEBHOOK_GET_JOB")? + "&job_in_progress=0",
            done: variable("RUNPOD_WEBHOOK_POST_OUTPUT")? + "&isStream=false",
            ping: variable("RUNPOD_WEBHOOK_PING")? + "&runpod_version=bench",
            key: variable("RUNPOD_AI_API_KEY")?,
            ping_interval: Duration::from_millis(millis.parse().context("the ping interval")?),
        })
    }

    pub(crate) async fn client(&self) -> anyhow::Result<Client> {
        let (server, target) = floor::connect(&self.base, &self.key).await?;
        Ok(Client {
            server,
            run: format!("{target}/run"),
            health: format!("{target}/health"),
        })
    }

    pub(crate) async fn worker(&self, id: &str) -> anyhow::Result<Worker> {
        let take = self.take.replace("$ID", id);
        let done = self.done.replace("$RUNPOD_POD_ID", id);
        let (server, take) = floor::connect(&take, &self.key).await?;
        Ok(Worker {
            server,
            take: take.to_owned(),
            done: floor::split(&done)?.1.to_owned(),
        })
    }

    /// One of the channels on which an idle worker asks the same again and again.
    pub(crate) async fn channel(&self, worker: &str, channel: Channel) -> anyhow::Result<Repeated> {
        let url = match channel {
            Channel::Take => self.take.replace("$ID", worker),
            Channel::Stop => self
                .take
                .replace("/job-take/", "/job-stop/")
                .replace("$ID", worker),
            Channel::Ping => self.ping.replace("$RUNPOD_POD_ID", worker),
        };
        let (server, target) = floor::connect(&url, &self.key).await?;
        Ok(Repeated {
            server,
            target: target.to_owned(),
            expected: match channel {
                Channel::Take | Channel::Stop => StatusCode::NO_CONTENT,
                Channel::Ping => StatusCode::OK,
            },
        })
    }
}

/// Submits jobs.
pub(crate) struct Client {
    server: Server,
    run: String,
    health: String,
}

/// What the platform says of itself.
#[derive(Debug, Deserialize)]
pub(crate) struct Health {
    pub(crate) jobs: Jobs,
    pub(crate) workers: Workers,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Jobs {
    #[serde(rename = "inQueue")]
    pub(crate) in_queue: usize,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Workers {
    pub(crate) idle: usize,
}

impl Client {
    pub(crate) async fn submit(&mut self, request: Bytes) -> anyhow::Result<()> {
        let (status, answer) = self
            .server
            .ask(Method::POST, &self.run, request, ["", ""])
            .await?;
        ensure!(
            status == StatusCode::OK,
            "a job was refused with {status}: {}",
            answer.escape_ascii()
        );
        Ok(())
    }

    pub(crate) async fn health(&mut self) -> anyhow::Result<Health> {
        let (_, answer) = self
            .server
            .ask(Method::GET, &self.health, Bytes::new(), ["", ""])
            .await?;
        serde_json::from_slice(&answer).context("not the answer of /health")
    }
}

/// Takes jobs and reports results.
pub(crate) struct Worker {
    server: Server,
    take: String,
    done: String,
}

impl Worker {
    /// The id of the next job. There has to be one before the poll ends.
    pub(crate) async fn take(&mut self) -> anyhow::Result<String> {
        #[derive(Deserialize)]
        struct Job {
            id: String,
        }
        let (status, job) = self
            .server
            .ask(Method::GET, &self.take, Bytes::new(), ["", ""])
            .await?;
        ensure!(status == StatusCode::OK, "a take was answered with {status}");
        let job: Job = serde_json::from_slice(&job).context("not a job")?;
        Ok(job.id)
    }

    pub(crate) async fn done(&mut self, job: &str) -> anyhow::Result<()> {
        let done = self.done.replace("$ID", job);
        let result = Bytes::from_static(br#"{"output":{"ok":true}}"#);
        let (status, _) = self.server.ask(Method::POST, &done, result, ["", ""]).await?;
        ensure!(status == StatusCode::OK, "a result was answered with {status}");
        Ok(())
    }
}

/// What an idle worker asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Channel {
    Take,
    Stop,
    Ping,
}

/// A request that is sent again and again.
pub(crate) struct Repeated {
    server: Server,
    target: String,
    expected: StatusCode,
}

impl Repeated {
    pub(crate) async fn ask(&mut self) -> anyhow::Result<()> {
        let (status, _) = self
            .server
            .ask(Method::GET, &self.target, Bytes::new(), ["", ""])
            .await?;
        ensure!(
            status == self.expected,
            "{} was answered with {status}",
            self.target
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_has_the_size_that_was_asked_for() {
        for size in [12, 13, 1000] {
            let request: BTreeMap<String, Box<serde_json::value::RawValue>> =
                serde_json::from_slice(&request(size)).unwrap();
            assert_eq!(request["input"].get().len(), size);
        }
    }

    #[test]
    fn an_announcement_counts_once_it_is_complete() {
        let line = r#"{"url":"http://h","endpoint":"bench","client_env":{},"worker_env":{}}"#;
        assert!(announcement_in("").is_none());
        assert!(announcement_in(line).is_none(), "there may be more to come");
        let found = announcement_in(&format!("a line of the log\n{line}\n")).unwrap();
        assert_eq!(found.url, "http://h");
    }

    #[tokio::test]
    async fn a_job_goes_from_the_client_to_the_worker_and_an_idle_worker_is_seen() {
        let platform = runpod_sdk::local::LocalPlatform::builder()
            .endpoint(ENDPOINT)
            .start()
            .await
            .unwrap();
        let env = platform.worker_env(ENDPOINT, "any").into_iter().collect();
        let endpoint = Endpoint::new(&platform.url(), &env).unwrap();
        let mut client = endpoint.client().await.unwrap();
        client.submit(request(100)).await.unwrap();
        assert_eq!(client.health().await.unwrap().jobs.in_queue, 1);
        let mut worker = endpoint.worker("w1").await.unwrap();
        let job = worker.take().await.unwrap();
        worker.done(&job).await.unwrap();
        let mut ping = endpoint.channel("w2", Channel::Ping).await.unwrap();
        ping.ask().await.unwrap();
        let health = client.health().await.unwrap();
        assert_eq!((health.jobs.in_queue, health.workers.idle), (0, 2));
        assert_eq!(platform.snapshot(ENDPOINT).unwrap().completed, 1);
        assert!(platform.violations().is_empty());
    }
}
