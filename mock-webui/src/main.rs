//! The mock as a program: serves until it is told to stop.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use mock_webui::{MockWebUi, Model, Profile};

/// An imitation of the AUTOMATIC1111 WebUI API with a simulated GPU, for testing clients.
///
/// Prints one line with its URL once it can be called, then serves until SIGINT or SIGTERM.
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLES)]
struct Options {
    /// Address to listen on; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:3000")]
    listen: SocketAddr,

    /// Duration of one sampling step in milliseconds; 0 renders as fast as the machine goes.
    #[arg(long, value_name = "MS", default_value_t = 0)]
    step_ms: u64,

    /// Version to imitate: 1.6, 1.8, 1.9.3, 1.10.1 or forge.
    #[arg(long, value_name = "VERSION", default_value_t)]
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
}

const EXAMPLES: &str = "\
Examples:
  mock-webui                                   on port 3000, renders at once
  mock-webui --listen 127.0.0.1:0 --step-ms 40   a free port, one second for 25 steps
  mock-webui --profile 1.9.3 --auth me:secret    the version that refuses \"DPM++ 2M Karras\"

Then:
  curl -s http://127.0.0.1:3000/sdapi/v1/sd-models";

fn credentials(text: &str) -> Result<(String, String), String> {
    text.split_once(':')
        .map(|(user, password)| (user.to_owned(), password.to_owned()))
        .ok_or_else(|| "credentials have the form USER:PASSWORD".to_owned())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let mut builder = MockWebUi::builder()
        .listen(options.listen)
        .profile(options.profile)
        .step_time(Duration::from_millis(options.step_ms))
        .prefix(&options.prefix)
        .recording(false);
    for (user, password) in options.auth {
        builder = builder.credentials(user, password);
    }
    if !options.model.is_empty() {
        builder = builder.models(options.model.into_iter().map(Model::new));
    }
    // Before the line that says we listen: whoever reads it may send a signal at once.
    let stop = stop_signal().context("cannot listen for signals")?;
    let webui = builder.try_start().await?;
    announce(&webui)?;
    stop.await;
    Ok(())
}

/// Says on standard output that the server can be called.
fn announce(webui: &MockWebUi) -> anyhow::Result<()> {
    use std::io::Write;
    let mut output = std::io::stdout().lock();
    writeln!(output, "mock-webui listening on {}", webui.url())?;
    output.flush().context("cannot write to standard output")
}

/// Completes on SIGINT and on SIGTERM.
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}
