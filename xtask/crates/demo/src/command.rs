//! The command: what it is given, and the run from the builds to the report.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use support::screen::Screen;
use support::{cargo, signals};

use crate::event::{self, Event};
use crate::job::{self, Finished};
use crate::observer::Observer;
use crate::output;
use crate::report::{self, Report};
use crate::stack::Stack;

/// Watch one request travel through every part: client, platform, sd-worker, WebUI, and back.
///
/// Builds sd-worker and a mock of the WebUI, starts them and a local platform as processes of their own, submits the
/// example event, and shows where the time went. The pictures, the results and the processes' logs are in the
/// output folder afterwards. Nothing keeps running.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// A real WebUI to use instead of the mock, such as <http://127.0.0.1:7860>. If it asks for credentials, put them
    /// into `SD_WORKER_WEBUI_AUTH`
    #[arg(long, value_name = "URL", value_parser = webui_url)]
    webui: Option<String>,

    /// What the picture is to show
    #[arg(long, value_name = "TEXT", default_value = event::PROMPT)]
    prompt: String,

    /// Sampling steps
    #[arg(long, value_name = "N", default_value_t = event::STEPS)]
    steps: u32,

    /// How many jobs to submit at once. The worker takes one at a time
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    jobs: u32,

    /// Folder for pictures, results and logs; made if it does not exist
    #[arg(long, value_name = "DIR", default_value = "demo-output")]
    output: PathBuf,

    /// How long the mock's simulated GPU takes for one step, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 100, conflicts_with = "webui")]
    step_ms: u64,

    /// How long the WebUI may take to get ready
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = humantime::parse_duration)]
    ready_within: Duration,

    /// Keep everything up until Ctrl-C, and open the console of runpod-local in the browser
    #[arg(long)]
    console: bool,

    /// Start the programs that lie beside this one, instead of building them
    #[arg(long, hide = true)]
    built: bool,

    /// How long all jobs together may take
    #[arg(long, value_name = "TIME", default_value = "20m", value_parser = humantime::parse_duration)]
    done_within: Duration,
}

/// The worker's own variable for the WebUI's credentials.
const WEBUI_AUTH: &str = "SD_WORKER_WEBUI_AUTH";

const EXAMPLES: &str = "\
Examples:
  cargo xtask demo
  cargo xtask demo --prompt \"a lighthouse in a storm\" --steps 40 --jobs 3
  cargo xtask demo --webui http://127.0.0.1:7860 --ready-within 10m";

/// Reads a URL with its scheme and host, before anything is built for it.
fn webui_url(text: &str) -> Result<String, String> {
    let url = reqwest::Url::parse(text).ok();
    if url.is_some_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host()) {
        return Ok(text.to_owned());
    }
    Err("write the whole URL, such as http://localhost:7860".to_owned())
}

pub(crate) fn run(options: &Options, screen: Screen) -> anyhow::Result<()> {
    screen.heading("One request: client -> platform -> sd-worker -> WebUI, and back\n");
    std::fs::create_dir_all(&options.output).with_context(|| {
        format!(
            "cannot make the folder {}; choose another with --output",
            options.output.display()
        )
    })?;
    let programs = build(options, screen)?;
    let runtime = tokio::runtime::Runtime::new().context("no runtime")?;
    runtime.block_on(async {
        let interrupted = signals::listen()?;
        let mut stack = Stack::new(&options.output);
        if options.console {
            let outcome = tokio::select! {
                outcome = show_console(&mut stack, &programs, options, screen) => outcome,
                // A signal is how it ends.
                _ = interrupted => Ok(()),
            };
            stack.stop().await;
            return outcome;
        }
        let outcome = tokio::select! {
            outcome = perform(&mut stack, &programs, options, screen) => outcome,
            interrupted = interrupted => Err(interrupted.into()),
        };
        let violations = stack.stop().await;
        outcome?.print(violations.as_deref(), screen);
        Ok(())
    })
}

/// What a demo starts.
#[derive(Debug)]
struct Programs {
    worker: PathBuf,
    webui: WebUi,
}

#[derive(Debug)]
enum WebUi {
    /// The mock, at this path.
    Mock(PathBuf),
    /// A running one, at this URL.
    Yours(String),
}

fn build(options: &Options, screen: Screen) -> anyhow::Result<Programs> {
    let begun = Instant::now();
    screen.stage("build", "the programs; the first time takes a few minutes");
    let webui = match &options.webui {
        Some(url) => WebUi::Yours(url.clone()),
        None => WebUi::Mock(program("mock-webui", options.built)?),
    };
    let worker = program("sd-worker", options.built)?;
    screen.stage("", format_args!("done in {}", report::span(begun.elapsed())));
    Ok(Programs { worker, webui })
}

/// A program of this workspace, built if it is not there yet.
fn program(name: &str, built: bool) -> anyhow::Result<PathBuf> {
    if !built {
        return cargo::build_program(name);
    }
    let this = std::env::current_exe().context("cannot find this program's own file")?;
    Ok(this.with_file_name(name))
}

/// Starts or finds the WebUI, and returns its URL.
async fn start_webui(
    stack: &mut Stack,
    programs: &Programs,
    options: &Options,
    screen: Screen,
) -> anyhow::Result<String> {
    let (webui, kind) = match &programs.webui {
        WebUi::Mock(program) => (
            stack.start_webui(program, options.step_ms).await?,
            format!("a mock: {} steps of {} ms", options.steps, options.step_ms),
        ),
        WebUi::Yours(url) => (url.clone(), "yours".to_owned()),
    };
    screen.stage("WebUI", format_args!("{webui}, {kind}"));
    Ok(webui)
}

/// Starts everything with the worker as the platform's own, submits the jobs, and stays until something dies.
async fn show_console(
    stack: &mut Stack,
    programs: &Programs,
    options: &Options,
    screen: Screen,
) -> anyhow::Result<()> {
    let webui = start_webui(stack, programs, options, screen).await?;
    let platform = stack.start_console(&programs.worker, &webui).await?;
    let client = job::client(&platform)?;
    for _ in 0..options.jobs {
        let event = Event::example(&options.prompt, options.steps);
        client
            .run(&event)
            .await
            .context("the platform did not take the job")?;
    }
    screen.stage(
        "console",
        format_args!("{}; Ctrl-C stops everything", platform.url),
    );
    stack.while_alive(std::future::pending(), Duration::MAX).await
}

/// Starts everything and takes the jobs through it.
async fn perform(
    stack: &mut Stack,
    programs: &Programs,
    options: &Options,
    screen: Screen,
) -> anyhow::Result<Report> {
    let webui = start_webui(stack, programs, options, screen).await?;
    let platform = stack.start_platform().await?;
    let note = format_args!("{}, endpoint `{}`", platform.url, platform.endpoint);
    screen.stage("platform", note);
    let ready = stack
        .start_worker(&programs.worker, &platform, &webui, options.ready_within)
        .await?;
    screen.stage("sd-worker", format_args!("ready after {}", report::span(ready)));

    let client = job::client(&platform)?;
    let credentials = std::env::var(WEBUI_AUTH).ok();
    // After the client, which sets up what every HTTP client of this program needs.
    let observer = Observer::start(&webui, options.look_every(), credentials.as_deref())?;
    let event = Event::example(&options.prompt, options.steps);
    let jobs = job::run_all(&client, &event, options.jobs, screen);
    let jobs = stack.while_alive(jobs, options.done_within).await?;
    let mut finished = Vec::new();
    for (number, job) in (1..).zip(jobs) {
        finished.push(finish(stack, &observer, job, &options.output, number).await?);
    }
    Ok(Report {
        ready,
        mock: options.webui.is_none(),
        jobs: finished,
        logs: stack.log_files(),
    })
}

impl Options {
    /// How often the WebUI's progress is looked at: often enough to tell when a render has ended, but a real one has
    /// better things to do than to answer.
    fn look_every(&self) -> Duration {
        Duration::from_millis(if self.webui.is_some() { 200 } else { 20 })
    }
}

/// Puts together what is known about a job that has ended, and writes its files.
async fn finish(
    stack: &Stack,
    observer: &Observer,
    job: Finished,
    output: &Path,
    number: usize,
) -> anyhow::Result<report::Job> {
    stack.require_completed(&job.report)?;
    let timeline = stack.timeline(job.report.id.as_str()).await?;
    let asked = timeline.at("inference_started");
    let rendered = match asked.zip(timeline.at("inference_finished")) {
        Some((asked, answered)) => observer.render_ended(asked, answered).await,
        None => None,
    };
    let files = output::write(&job.report, output, number)?;
    Ok(report::Job {
        finished: job,
        timeline,
        rendered,
        files,
    })
}

#[cfg(test)]
mod tests {
    use super::webui_url;

    #[test]
    fn an_address_of_a_webui_that_is_no_url_is_refused() {
        for good in [
            "http://localhost:7860",
            "https://webui.example/base",
            "http://[::1]:7860",
        ] {
            assert_eq!(webui_url(good).as_deref(), Ok(good));
        }
        for bad in [
            "localhost:7860",
            "127.0.0.1:7860",
            "7860",
            "",
            "ftp://h/",
            "http://",
            "file:///webui",
        ] {
            assert_eq!(
                webui_url(bad),
                Err("write the whole URL, such as http://localhost:7860".to_owned()),
                "{bad}"
            );
        }
    }
}
