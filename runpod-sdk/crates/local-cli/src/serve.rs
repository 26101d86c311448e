//! The command without a subcommand: platform, workers and console until a signal.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use runpod_local::{Fault, LocalPlatform};
use tokio_util::sync::CancellationToken;

use crate::announcement::{Announcement, Farewell};
use crate::console::{self, About};
use crate::fleet::{EnvRule, Fleet, Gpus, ScaleBy, WorkerPlan};
use crate::record::Record;
use crate::screen;
use crate::stop_signals::StopSignals;

/// RunPod on this machine: the platform, worker processes in front of it, and a console in the browser.
///
/// It speaks both of RunPod's APIs over HTTP: the one workers take jobs from, and the one clients submit jobs to.
/// With a COMMAND it starts that as RunPod starts a worker, restarts it when it ends, and scales it by the queue.
/// Everything is kept in memory. At the end it prints what workers did against the protocol.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// Address to listen on; port 0 takes a free one. One that other machines can reach needs --api-key.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,

    /// Id of the endpoint: any name made of letters, digits, `-`, `_` and `.`.
    #[arg(long, value_name = "ID", default_value = "local")]
    endpoint: String,

    /// Key that workers and clients must send. Without one, any key will do.
    #[arg(long, value_name = "KEY", env = "RUNPOD_API_KEY", hide_env_values = true)]
    api_key: Option<String>,

    /// Print one JSON object instead of the text, for scripts: `url`, `endpoint`, `client_env`, `worker_env`; at
    /// the end another one: `violations`.
    #[arg(long)]
    json: bool,

    /// Open the console in the browser.
    #[arg(long)]
    open: bool,

    /// Workers that always run. With 0 the first job starts one.
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "Workers")]
    workers_min: usize,

    /// Most workers that run at once. Default: --workers-min, but at least 1.
    #[arg(long, value_name = "N", help_heading = "Workers")]
    workers_max: Option<usize>,

    /// When to start another worker, in RunPod's two ways: `delay:TIME`, when a job has waited that long; `requests:N`, one
    /// for every N jobs that wait or run.
    #[arg(
        long,
        value_name = "RULE",
        default_value = "delay:4s",
        help_heading = "Workers"
    )]
    scale_by: ScaleBy,

    /// How long a worker above --workers-min may be idle before it is drained.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = humantime::parse_duration, help_heading = "Workers")]
    idle_timeout: Duration,

    /// Start new code as soon as it is there: when PATH changes, the workers are replaced, and their jobs are queued again.
    /// Without PATH: the program, and every file among its arguments.
    #[arg(long, value_name = "PATH", num_args = 0..=1, require_equals = true, default_missing_value = "", help_heading = "Workers")]
    restart_on_change: Vec<OsString>,

    /// GPUs, divided among the workers by `CUDA_VISIBLE_DEVICES`: `all`, or a list such as `0,1`. Where that variable is set
    /// for this command, the numbers count its devices.
    #[arg(long, value_name = "LIST", help_heading = "Workers")]
    gpus: Option<Gpus>,

    /// A variable for the workers: NAME=VALUE, or NAME to pass on that of this command. They get the usual ones, such as
    /// `PATH`, `HOME`, `CUDA_…` and `SD_WORKER_…`, without it; keys and tokens never.
    #[arg(long, value_name = "NAME[=VALUE]", help_heading = "Workers")]
    env: Vec<EnvRule>,

    /// A fault from the start: `refuse-result:500*3`, `refuse-result:413,1000000`, `lose-result*1`, `delay-progress:2s`,
    /// `slow-network:200ms`, `deliver-twice:running*1`, `deliver-twice:done*1`; `*N` says how often. @FILE names a file with
    /// one a line.
    #[arg(long, value_name = "FAULT", help_heading = "Faults")]
    fault: Vec<String>,

    /// What a worker costs per second, for the console's sums.
    #[arg(long, value_name = "PRICE", help_heading = "Console")]
    price: Option<f64>,

    /// JSON Schema of the input, for the console's form: a file. sd-worker is asked for its own.
    #[arg(long, value_name = "FILE", help_heading = "Console")]
    schema: Option<PathBuf>,

    /// The worker's command and its arguments. Without it the command prints how to point a worker at the platform.
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

const EXAMPLES: &str = "\
Examples:
  runpod-local --open -- ./target/release/sd-worker
  runpod-local --workers-min 0 --workers-max 3 --scale-by requests:2 -- python handler.py
  runpod-local --restart-on-change -- python handler.py
  runpod-local --listen 127.0.0.1:0 --json
  runpod-local --listen 0.0.0.0:8080 --api-key \"$(openssl rand -hex 16)\"";

impl Options {
    /// The worker's command and its arguments.
    pub fn command(&self) -> &[OsString] {
        &self.command
    }

    fn workers_max(&self) -> usize {
        self.workers_max.unwrap_or(1).max(self.workers_min).max(1)
    }

    fn plan(&self) -> WorkerPlan {
        WorkerPlan {
            command: self.command.clone(),
            min: self.workers_min,
            max: self.workers_max(),
            scale_by: self.scale_by,
            idle_timeout: self.idle_timeout,
            watched: self.restart_on_change.iter().map(PathBuf::from).collect(),
            gpus: self.gpus.clone(),
            env: self.env.clone(),
        }
    }

    /// How many workers of what, in words.
    fn workers_in_words(&self) -> Option<String> {
        let words: Vec<_> = self.command.iter().map(|word| word.to_string_lossy()).collect();
        let (min, max) = (self.workers_min, self.workers_max());
        let count = if min == max {
            min.to_string()
        } else {
            format!("{min} to {max}")
        };
        (!words.is_empty()).then(|| format!("{count} of `{}`", words.join(" ")))
    }
}

/// Runs until a signal.
pub fn run(options: Options) -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(screen::colours())
        .with_max_level(tracing_subscriber::filter::LevelFilter::INFO)
        .init();
    let runtime = tokio::runtime::Runtime::new().context("no runtime")?;
    runtime.block_on(serve(options))
}

async fn serve(options: Options) -> anyhow::Result<()> {
    // Before the announcement: its reader may send a signal at once.
    let mut signals = StopSignals::listen()?;
    let closing = CancellationToken::new();
    let (orders, inbox) = tokio::sync::mpsc::channel(16);
    let about = About {
        endpoint: options.endpoint.clone(),
        price: options.price,
        schema: console::schema(options.schema.as_deref(), &options.command).await?,
        command: options.workers_in_words(),
    };
    let faults = faults(&options.fault)?;
    // The record's clock and the platform's begin together.
    let record = Arc::new(Record::new(&options.endpoint));
    let mut builder = LocalPlatform::builder()
        .endpoint(&options.endpoint)
        .listen(options.listen)
        .observe(record.observer())
        .pages(console::pages(
            Arc::clone(&record),
            about,
            orders,
            closing.clone(),
        ));
    if let Some(key) = &options.api_key {
        builder = builder.api_key(key);
    }
    let platform = builder.start().await.context("the platform did not start")?;
    for fault in faults {
        platform.inject(&options.endpoint, fault);
    }
    let announcement = Announcement::of(&platform, &options.endpoint);
    if options.json {
        screen::line(serde_json::to_string(&announcement)?);
    } else {
        screen::line(announcement.text(options.workers_in_words().as_deref()));
    }
    if options.open {
        open(&announcement.url);
    }
    let platform = Arc::new(platform);
    let fleet = Fleet::new(options.plan(), Arc::clone(&platform), record, inbox)?;
    // A signal is how this command ends.
    fleet.run(&mut signals).await;
    closing.cancel();
    let violations = platform.violations();
    if let Some(platform) = Arc::into_inner(platform) {
        platform.shutdown().await;
    }
    let farewell = Farewell::of(&violations);
    if options.json {
        screen::line(serde_json::to_string(&farewell)?);
    } else {
        screen::line(farewell.text());
    }
    Ok(())
}

/// The faults that the command line names, and those in the files that it names.
fn faults(named: &[String]) -> anyhow::Result<Vec<Fault>> {
    let mut faults = Vec::new();
    for name in named {
        match name.strip_prefix('@') {
            Some(file) => {
                let text =
                    std::fs::read_to_string(file).with_context(|| format!("--fault: cannot read {file}"))?;
                let lines = text.lines().map(str::trim);
                let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
                faults.extend(lines.map(str::parse).collect::<Result<Vec<Fault>, _>>()?);
            }
            None => faults.push(name.parse()?),
        }
    }
    Ok(faults)
}

/// Opens a page in the person's browser. A machine without one is no error: the address is on the screen.
fn open(url: &str) {
    let program = if cfg!(target_os = "macos") {
        "open"
    } else {
        "xdg-open"
    };
    let started = std::process::Command::new(program)
        .arg(url)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    if let Err(problem) = started {
        tracing::warn!(program, %problem, "cannot open the browser");
    }
}
