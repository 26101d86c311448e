//! Serving until a signal or the death of the imitated process.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use futures_util::future::select_all;

use super::output::print;
use crate::{MockWebUi, MockWebUiBuilder, Model, Profile, Scenario};

/// The first lines of the help.
pub(super) const ABOUT: &str = "\
An imitation of the AUTOMATIC1111 WebUI API with a simulated GPU, for testing clients.

Prints one line with its URL once the port is open, then serves until SIGINT or SIGTERM and exits with 0. \
When the imitated process dies, by a fault or by server-kill, it exits with 137 or what --death-code says.";

/// What to serve, and how.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(super) struct ServeOptions {
    /// Address to listen on; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:3000")]
    listen: SocketAddr,

    /// Duration of one sampling step in milliseconds; 0 renders as fast as the machine goes.
    #[arg(long, value_name = "MS", default_value_t = 0)]
    step_ms: u64,

    #[arg(long, value_name = "VERSION", default_value_t, help = format!("Version to imitate: {}", Profile::list()))]
    profile: Profile,

    /// Ask for these credentials, as --api-auth does; may be given several times.
    #[arg(long, value_name = "USER:PASSWORD", value_parser = credentials)]
    auth: Vec<(String, String)>,

    /// Serve under this path, as --subpath does.
    #[arg(long, value_name = "PATH", default_value = "")]
    prefix: String,

    /// Checkpoint on the imitated disk; may be given several times, the first is loaded.
    #[arg(long, value_name = "NAME")]
    model: Vec<String>,

    /// Start without any checkpoint.
    #[arg(long, conflicts_with = "model")]
    no_model: bool,

    /// `ControlNet` model; with at least one, the extension is installed.
    #[arg(long, value_name = "NAME")]
    controlnet_model: Vec<String>,

    /// Have sd-worker's extension for batches of different jobs.
    #[arg(long)]
    batch_extension: bool,

    /// How long a step of a batch of 1, 2, 4, 8 … pictures takes, by that of one: 1,1.1,1.58,2.9.
    #[arg(long, value_name = "FACTORS", value_delimiter = ',', value_parser = factor)]
    batch_costs: Vec<f64>,

    /// Refuse connections for this long after the start, such as 3s or 500ms.
    #[arg(long, value_name = "TIME", default_value = "0s")]
    ready_after: humantime::Duration,

    /// Load the model for this long once the port is open: lists answer, generations wait.
    #[arg(long, value_name = "TIME", default_value = "0s")]
    model_after: humantime::Duration,

    /// Serve the web page as well, as without --nowebui.
    #[arg(long)]
    web_page: bool,

    /// Have a complete settings file, so that overrides of a request do not stay.
    #[arg(long)]
    settings_file: bool,

    /// Have the routes server-kill, server-restart and server-stop.
    #[arg(long)]
    api_server_stop: bool,

    /// Work on this many requests at once and let others wait; the real server has 40 threads.
    #[arg(long, value_name = "COUNT")]
    threads: Option<usize>,

    /// Break on purpose, as this file says; its format is in docs/mock-webui.md.
    #[arg(long, value_name = "FILE")]
    scenario: Option<PathBuf>,

    /// Run this many servers with a card each, on this port and the following ones.
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    gpus: u16,

    /// Save pictures of requests with `save_images` here, as the original does.
    #[arg(long, value_name = "DIRECTORY")]
    save_to: Option<PathBuf>,

    /// Do not end on SIGTERM, as a server that hangs.
    #[arg(long)]
    ignore_sigterm: bool,

    /// Exit with this code when the imitated process dies; 137 is what a shell shows for one that was killed.
    #[arg(long, value_name = "CODE", default_value_t = KILLED)]
    death_code: u8,

    /// Make random seeds repeatable.
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
}

/// The last lines of the help.
pub(super) const EXAMPLES: &str = "\
Examples:
  mock-webui                                     on port 3000, renders at once
  mock-webui --listen 127.0.0.1:0 --step-ms 40   on a free port, one second for 25 steps
  mock-webui --profile 1.9.3 --auth me:secret    the version that refuses \"DPM++ 2M Karras\"
  mock-webui --ready-after 3s --model-after 5s   a slow start
  mock-webui faults                              the kinds of faults
  mock-webui contract --webui http://HOST:7861   compare a real WebUI with recorded answers

Then:
  curl -s http://127.0.0.1:3000/sdapi/v1/sd-models
  curl -s http://127.0.0.1:3000/sdapi/v1/txt2img -d '{\"prompt\": \"a cat\", \"steps\": 20}'
  curl -s http://127.0.0.1:3000/__mock/faults -d '{\"kind\": \"status\", \"status\": 503, \"times\": 2}'";

/// What a shell reports for a process that was killed, by the out-of-memory killer for one.
const KILLED: u8 = 137;

fn credentials(text: &str) -> Result<(String, String), String> {
    text.split_once(':')
        .map(|(user, password)| (user.to_owned(), password.to_owned()))
        .ok_or_else(|| "credentials have the form USER:PASSWORD".to_owned())
}

fn factor(text: &str) -> Result<f64, String> {
    let factor: Option<f64> = text.trim().parse().ok();
    factor
        .filter(|factor| factor.is_finite() && *factor > 0.0)
        .ok_or_else(|| "a factor is a number above 0".to_owned())
}

impl ServeOptions {
    fn builder(&self) -> anyhow::Result<MockWebUiBuilder> {
        let mut builder = MockWebUi::builder()
            .listen(self.listen)
            .profile(self.profile)
            .step_time(Duration::from_millis(self.step_ms))
            .prefix(&self.prefix)
            .opens_after(self.ready_after.into())
            .model_loads_in(self.model_after.into())
            .web_page(self.web_page)
            .settings_file(self.settings_file)
            .stop_routes(self.api_server_stop)
            .controlnet_models(self.controlnet_model.clone())
            .error_log(true)
            .recording(false);
        if self.batch_extension {
            builder = builder.batch_extension(1);
        }
        builder = builder.batch_costs(self.batch_costs.iter().copied());
        if let Some(threads) = self.threads {
            builder = builder.worker_threads(threads);
        }
        if let Some(seed) = self.seed {
            builder = builder.random_from(seed);
        }
        for (user, password) in &self.auth {
            builder = builder.credentials(user, password);
        }
        if self.no_model || !self.model.is_empty() {
            builder = builder.models(self.model.iter().map(Model::new));
        }
        if let Some(directory) = &self.save_to {
            builder = builder.save_to(directory);
        }
        if let Some(file) = &self.scenario {
            builder = builder.scenario(Scenario::from_file(file)?);
        }
        Ok(builder)
    }

    /// Serves until a signal, or until one of the imitated processes dies.
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let builder = self.builder()?;
        // Before the line that says we listen: its reader may send a signal at once.
        let stop = stop_signal(self.ignore_sigterm).context("cannot listen for signals")?;
        let servers = builder.start_many(self.gpus).await?;
        let deaths = select_all(servers.iter().map(|server| Box::pin(server.death())));
        tokio::select! {
            biased;
            () = stop => {
                // As the real server, which finishes the requests that it has.
                for server in &servers {
                    server.gpu().idle().await;
                }
                Ok(ExitCode::SUCCESS)
            }
            _ = deaths => Ok(ExitCode::from(self.death_code)),
            result = announce(&servers) => result,
        }
    }
}

/// Says on standard output where the servers can be called, one line each, as soon as they can. Never
/// completes otherwise.
async fn announce(servers: &[MockWebUi]) -> anyhow::Result<ExitCode> {
    for server in servers {
        server.listening().await;
        print(&format!("mock-webui listening on {}\n", server.url()))
            .context("cannot write to standard output")?;
    }
    std::future::pending().await
}

/// Completes on SIGINT and, unless it is ignored, on SIGTERM.
fn stop_signal(ignore_sigterm: bool) -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        let terminated = async {
            loop {
                terminate.recv().await;
                if !ignore_sigterm {
                    return;
                }
            }
        };
        tokio::select! {
            _ = interrupt.recv() => {}
            () = terminated => {}
        }
    })
}
