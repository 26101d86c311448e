//! The processes of a demo: starting them in order, noticing when one dies, stopping them.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use runpod_local_cli::{Announcement, Farewell};
use runpod_sdk::client::JobReport;
use support::process::{Fault, Line, Process};

use crate::failure::{Failure, why};
use crate::timeline::Timeline;

/// How long our own servers may take to listen.
const LISTEN_WITHIN: Duration = Duration::from_secs(30);
/// How long after the WebUI's deadline the worker may take to say that it gives up.
const LAST_WORDS_WITHIN: Duration = Duration::from_secs(10);
/// How long after its result a job's timeline may take to be in the worker's log.
const TIMELINE_WITHIN: Duration = Duration::from_secs(10);

/// Everything that runs, in the order in which it was started.
#[derive(Debug)]
pub(crate) struct Stack {
    logs: PathBuf,
    webui: Option<Process>,
    platform: Option<Process>,
    worker: Option<Process>,
}

impl Stack {
    /// Nothing runs yet; logs will be in `logs`.
    pub(crate) fn new(logs: &Path) -> Self {
        Self {
            logs: logs.to_owned(),
            webui: None,
            platform: None,
            worker: None,
        }
    }

    /// Starts the mock of the WebUI and returns its URL.
    pub(crate) async fn start_webui(&mut self, program: &Path, step_ms: u64) -> anyhow::Result<String> {
        let step_ms = step_ms.to_string();
        let arguments = ["--listen", "127.0.0.1:0", "--step-ms", &step_ms];
        let process = Process::start("mock-webui", program, arguments, [], &self.logs)?;
        let process = self.webui.insert(process);
        let url = |line: &Line| {
            let url = line.text.strip_prefix("mock-webui listening on ")?;
            Some(url.to_owned())
        };
        let found = process.line(LISTEN_WITHIN, url).await;
        found.map_err(|fault| did_not_start(process, &fault))
    }

    /// Starts the platform and returns how to reach it.
    pub(crate) async fn start_platform(&mut self) -> anyhow::Result<Announcement> {
        self.start_platform_with(&[]).await
    }

    /// Starts the platform with sd-worker as its own worker, and opens its console in the browser.
    pub(crate) async fn start_console(&mut self, worker: &Path, webui: &str) -> anyhow::Result<Announcement> {
        let worker = worker.to_str().context("the program's path is no text")?;
        let progress = "--progress-interval";
        self.start_platform_with(&["--open", "--", worker, "--webui-url", webui, progress, "200ms"])
            .await
    }

    async fn start_platform_with(&mut self, more: &[&str]) -> anyhow::Result<Announcement> {
        let program = std::env::current_exe().context("cannot find this program's own file")?;
        let own = [
            "platform",
            "--listen",
            "127.0.0.1:0",
            "--endpoint",
            "demo",
            "--json",
        ];
        let arguments = own.iter().chain(more);
        let process = Process::start("platform", &program, arguments, [], &self.logs)?;
        let process = self.platform.insert(process);
        let announcement = |line: &Line| serde_json::from_str(&line.text).ok();
        let found = process.line(LISTEN_WITHIN, announcement).await;
        found.map_err(|fault| did_not_start(process, &fault))
    }

    /// Starts the worker and waits until it takes jobs. Returns how long that took.
    pub(crate) async fn start_worker(
        &mut self,
        program: &Path,
        platform: &Announcement,
        webui: &str,
        ready_within: Duration,
    ) -> anyhow::Result<Duration> {
        let limit = format!("{}ms", ready_within.as_millis().max(1));
        let arguments = [
            "--webui-url",
            webui,
            "--ready-timeout",
            &limit,
            "--progress-interval",
            "200ms",
        ];
        let environment = platform.worker_env.clone();
        let started = Instant::now();
        let process = Process::start("sd-worker", program, arguments, environment, &self.logs)?;
        let process = self.worker.insert(process);
        let ready = |line: &Line| line.text.contains("the WebUI is ready").then_some(line.at);
        let limit = ready_within.saturating_add(LAST_WORDS_WITHIN);
        match process.line(limit, ready).await {
            Ok(at) => Ok(at.duration_since(started)),
            Err(fault) => Err(Failure {
                what: format!("sd-worker did not get ready to work with the WebUI at {webui}"),
                why: why(process, &fault),
                remedy: "start the WebUI with --api, or correct its address; one that is still loading gets \
                         more time with --ready-within"
                    .to_owned(),
                logs: vec![(&*process).into()],
            }
            .into()),
        }
    }

    /// Does something that needs every process, for at most `limit`.
    pub(crate) async fn while_alive<T>(
        &self,
        work: impl Future<Output = anyhow::Result<T>>,
        limit: Duration,
    ) -> anyhow::Result<T> {
        tokio::select! {
            done = tokio::time::timeout(limit, work) => done.unwrap_or_else(|_| Err(self.too_slow(limit).into())),
            failure = died(self.webui.as_ref()) => Err(failure.into()),
            failure = died(self.platform.as_ref()) => Err(failure.into()),
            failure = died(self.worker.as_ref()) => Err(failure.into()),
        }
    }

    fn too_slow(&self, limit: Duration) -> Failure {
        Failure {
            what: "the jobs were not done in time".to_owned(),
            why: Fault::Silent(limit).to_string(),
            remedy: "ask for fewer steps or jobs, or give more time with --done-within".to_owned(),
            logs: self.worker.iter().map(Into::into).collect(),
        }
    }

    /// The demo shows a picture; a job that ended otherwise is its failure.
    pub(crate) fn require_completed(&self, job: &JobReport) -> anyhow::Result<()> {
        let Some(failure) = job.failure() else {
            return Ok(());
        };
        let backend = failure.class.as_deref() == Some("backend");
        let webui = self.webui.as_ref().filter(|_| backend);
        let concerned = webui.into_iter().chain(&self.worker);
        let code = failure
            .code
            .as_ref()
            .map_or_else(String::new, |code| format!(" [{code}]"));
        let failure = Failure {
            what: format!("job {} ended as {}{code}", job.id, job.status),
            why: failure.message.unwrap_or(failure.text),
            remedy: failure
                .hint
                .unwrap_or_else(|| "see the worker's log below".to_owned()),
            logs: concerned.map(Into::into).collect(),
        };
        Err(failure.into())
    }

    /// The worker's own times of a job.
    pub(crate) async fn timeline(&self, job: &str) -> anyhow::Result<Timeline> {
        let worker = self.worker.as_ref().context("no worker was started")?;
        let timeline = worker
            .line(TIMELINE_WITHIN, |line| Timeline::read(&line.text, job))
            .await;
        timeline.map_err(|fault| {
            let failure = Failure {
                what: format!("the worker's log has no timeline of job {job}"),
                why: why(worker, &fault),
                remedy: "this is a mistake in the worker: it logs one for every job it delivers".to_owned(),
                logs: vec![worker.into()],
            };
            failure.into()
        })
    }

    /// Where the logs are, of the processes started so far.
    pub(crate) fn log_files(&self) -> Vec<PathBuf> {
        self.running().map(Process::log_file).collect()
    }

    /// Those that were started, the latest first.
    fn running(&self) -> impl Iterator<Item = &Process> {
        [&self.worker, &self.platform, &self.webui].into_iter().flatten()
    }

    /// Stops everything, each once nothing that needs it runs any more. Returns what the platform has to say about
    /// the worker, if it got to say it.
    pub(crate) async fn stop(&self) -> Option<Vec<String>> {
        for process in self.running() {
            process.stop().await;
        }
        let farewell = |line: &Line| serde_json::from_str::<Farewell>(&line.text).ok();
        let said = self.platform.as_ref()?.line(Duration::ZERO, farewell).await;
        said.ok().map(|farewell| farewell.violations)
    }
}

fn did_not_start(process: &Process, fault: &Fault) -> anyhow::Error {
    let failure = Failure {
        what: format!("{} did not start", process.name()),
        why: why(process, fault),
        remedy: "see its last words below".to_owned(),
        logs: vec![process.into()],
    };
    failure.into()
}

/// Completes only if the process ends.
async fn died(process: Option<&Process>) -> Failure {
    let Some(process) = process else {
        return std::future::pending().await;
    };
    let status = process.ended().await;
    Failure {
        what: format!("{} ended while jobs were to be done", process.name()),
        why: why(process, &Fault::Exited(status)),
        remedy: "see its last words below".to_owned(),
        logs: vec![process.into()],
    }
}
