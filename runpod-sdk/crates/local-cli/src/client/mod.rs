//! The commands of a client: against the platform on this machine, or an endpoint on RunPod.

mod input;
mod load;
mod logs;
mod pictures;
mod show;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use futures_util::StreamExt as _;
use runpod_client::{EndpointClient, JobHandle, JobReport, JobStatus};
use serde_json::value::RawValue;

use self::input::TestCase;
use self::show::Progress;
use crate::screen;

/// Exit codes: 0 completed, 1 failed, 2 bad command line, 3 cancelled, 4 timed out, 5 the endpoint could not be asked.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum ClientCommand {
    /// Submit a job, show its progress, and print its output
    Submit(Submit),
    /// Show a job as it is now
    Status(OneJob),
    /// Follow a job to its end, and print its output
    Watch(Watch),
    /// Print the chunks of a streaming job as they come, one JSON value a line
    Stream(OneJob),
    /// Take a job out of the queue, or stop it
    Cancel(OneJob),
    /// Queue a failed job again, and follow it
    Retry(Watch),
    /// Run a test case that the console saved, and compare how it ends
    Replay(Replay),
    /// Send many jobs of one input, and report latency, throughput, failures and cost
    Load(Load),
    /// Print a job's log lines (runpod-local alone keeps them)
    Logs(Logs),
}

/// Which endpoint is meant.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Target {
    /// Id of the endpoint
    #[arg(long, value_name = "ID", env = "RUNPOD_ENDPOINT_ID", default_value = "local")]
    endpoint: String,

    /// The URL before the endpoint's id; RunPod's is <https://api.runpod.ai/v2>
    #[arg(
        long,
        value_name = "URL",
        env = "RUNPOD_ENDPOINT_BASE_URL",
        default_value = "http://127.0.0.1:8080/v2"
    )]
    base_url: String,

    /// The API key
    #[arg(
        long,
        value_name = "KEY",
        env = "RUNPOD_API_KEY",
        hide_env_values = true,
        default_value = "local-key"
    )]
    api_key: String,

    /// Print the job as one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct OneJob {
    /// The job's id
    job: String,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Watch {
    /// The job's id
    job: String,
    /// Folder for the pictures of the output, which are shown as their size otherwise
    #[arg(long, value_name = "DIR")]
    save: Option<PathBuf>,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Submit {
    /// The input: JSON, or the name of a file, or `-` for standard input. An object with `input` is a whole request
    input: String,
    /// Print the job's id and do not wait for its end
    #[arg(long)]
    detach: bool,
    /// Folder for the pictures of the output, which are shown as their size otherwise
    #[arg(long, value_name = "DIR")]
    save: Option<PathBuf>,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Replay {
    /// The file: `input`, and with `expect` the `status` and `code` it has to end with
    file: PathBuf,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Logs {
    /// The job's id
    job: String,
    /// Go on until the job has ended
    #[arg(long)]
    follow: bool,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Load {
    /// The input: JSON, or the name of a file, or `-` for standard input. An object with `input` is a whole request
    input: String,
    /// How many jobs
    #[arg(long, value_name = "N", default_value_t = 100)]
    jobs: usize,
    /// How many of them at once
    #[arg(long, value_name = "N", default_value_t = 8)]
    concurrency: usize,
    /// No job is submitted after this time
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = humantime::parse_duration)]
    within: Duration,
    /// What a worker costs per second
    #[arg(long, value_name = "PRICE")]
    price: Option<f64>,
    #[command(flatten)]
    target: Target,
}

/// How a command ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exit {
    Done,
    JobFailed,
    JobCancelled,
    JobTimedOut,
    NoAnswer,
}

impl Exit {
    fn of(status: &JobStatus) -> Self {
        match status {
            JobStatus::Failed => Self::JobFailed,
            JobStatus::Cancelled => Self::JobCancelled,
            JobStatus::TimedOut => Self::JobTimedOut,
            _ => Self::Done,
        }
    }

    fn code(self) -> ExitCode {
        ExitCode::from(match self {
            Self::Done => 0,
            Self::JobFailed => 1,
            Self::JobCancelled => 3,
            Self::JobTimedOut => 4,
            Self::NoAnswer => 5,
        })
    }
}

/// Runs a command and gives its exit code.
pub(crate) fn run(command: ClientCommand) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let done = runtime
        .context("no runtime")
        .and_then(|runtime| runtime.block_on(perform(command)));
    match done {
        Ok(exit) => exit.code(),
        Err(error) => {
            screen::complain(&error);
            Exit::NoAnswer.code()
        }
    }
}

async fn perform(command: ClientCommand) -> anyhow::Result<Exit> {
    match command {
        ClientCommand::Submit(submit) => {
            let request = input::request(&submit.input)?;
            let job = submit.target.client()?.run(&request).await?;
            if submit.detach {
                screen::line(job.id());
                return Ok(Exit::Done);
            }
            follow(&job, submit.save, &submit.target).await
        }
        ClientCommand::Status(OneJob { job, target }) => {
            let report = target.job(job)?.status().await?;
            show::report(&report, &target, None)?;
            Ok(Exit::of(&report.status))
        }
        ClientCommand::Watch(Watch { job, save, target }) => follow(&target.job(job)?, save, &target).await,
        ClientCommand::Stream(OneJob { job, target }) => stream(&target.job(job)?).await,
        ClientCommand::Cancel(OneJob { job, target }) => {
            let report = target.job(job)?.cancel().await?;
            show::report(&report, &target, None)?;
            Ok(Exit::Done)
        }
        ClientCommand::Retry(Watch { job, save, target }) => {
            let job = target.job(job)?;
            job.retry().await?;
            follow(&job, save, &target).await
        }
        ClientCommand::Replay(Replay { file, target }) => {
            let case = TestCase::read(&file)?;
            let job = target.client()?.run(&case.input).await?;
            let report = watched(&job).await?;
            show::report(&report, &target, None)?;
            Ok(match case.differs_from(&report) {
                None => Exit::Done,
                Some(difference) => {
                    screen::note(&difference);
                    Exit::JobFailed
                }
            })
        }
        ClientCommand::Load(load) => {
            let (client, input) = (load.target.client()?, input::request(&load.input)?);
            let plan = load::Plan {
                jobs: load.jobs,
                concurrency: load.concurrency,
                within: load.within,
                price: load.price,
            };
            let report = load::run(&client, &input, plan).await;
            if load.target.json {
                screen::line(serde_json::to_string(&report)?);
            } else {
                screen::line(report.text());
            }
            Ok(if report.all_completed() {
                Exit::Done
            } else {
                Exit::JobFailed
            })
        }
        ClientCommand::Logs(Logs { job, follow, target }) => {
            logs::print(&target.base_url, &target.api_key, &job, follow).await?;
            Ok(Exit::Done)
        }
    }
}

impl Target {
    fn client(&self) -> anyhow::Result<EndpointClient> {
        let client = EndpointClient::builder(&self.endpoint)
            .base_url(&self.base_url)
            .api_key(&self.api_key);
        Ok(client.build()?)
    }

    fn job(&self, id: String) -> anyhow::Result<JobHandle> {
        Ok(self.client()?.handle(id))
    }
}

async fn follow(job: &JobHandle, save: Option<PathBuf>, target: &Target) -> anyhow::Result<Exit> {
    let report = watched(job).await?;
    show::report(&report, target, save.as_deref())?;
    Ok(Exit::of(&report.status))
}

/// Waits for a job's end and shows its progress on the terminal.
async fn watched(job: &JobHandle) -> anyhow::Result<JobReport> {
    let mut progress = Progress::new();
    let report = job.wait_with(|report| progress.show(report)).await;
    progress.clear();
    Ok(report?)
}

async fn stream(job: &JobHandle) -> anyhow::Result<Exit> {
    let chunks = job.stream::<Box<RawValue>>();
    futures_util::pin_mut!(chunks);
    while let Some(chunk) = chunks.next().await {
        match chunk {
            Ok(chunk) => screen::line(chunk.get().replace('\n', " ")),
            Err(runpod_client::ClientError::Job(failure)) => {
                screen::note(&failure.text);
                return Ok(Exit::of(&failure.status));
            }
            Err(problem) => return Err(problem.into()),
        }
    }
    Ok(Exit::Done)
}
