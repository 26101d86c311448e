//! `cargo xtask platform`: RunPod's platform on this machine, for a person or a script.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;

use anyhow::Context as _;
use runpod_sdk::local::{LocalPlatform, Violation};
use serde::{Deserialize, Serialize};
use support::screen::Screen;
use support::signals;

/// Run RunPod's platform on this machine until Ctrl-C.
///
/// It speaks both of RunPod's APIs over HTTP: the one workers take jobs from, and the one clients submit jobs to.
/// It keeps everything in memory. At the start it prints how to point a worker and a client at it; at the end, what
/// workers did against the protocol.
#[derive(Debug, clap::Args)]
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
}

const EXAMPLES: &str = "\
Examples:
  cargo xtask platform
  cargo xtask platform --listen 127.0.0.1:0 --json
  cargo xtask platform --listen 0.0.0.0:8080 --api-key \"$(openssl rand -hex 16)\"";

/// The id a worker gets when it is started by hand.
const WORKER_ID: &str = "worker-1";
/// What a client sends where any key will do.
const ANY_KEY: &str = "local-key";

/// How to reach a platform that has started.
#[derive(Debug, Serialize, Deserialize)]
pub struct Announcement {
    /// Where it listens.
    pub url: String,
    /// The id of its endpoint.
    pub endpoint: String,
    /// The variables of a client.
    pub client_env: BTreeMap<String, String>,
    /// The variables of a worker, as RunPod sets them.
    pub worker_env: BTreeMap<String, String>,
}

/// What a platform says before it ends.
#[derive(Debug, Serialize, Deserialize)]
pub struct Farewell {
    /// What workers did against the protocol.
    pub violations: Vec<String>,
}

/// Runs the platform until a signal.
pub fn run(options: Options, screen: Screen) -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(screen.colours())
        .with_max_level(tracing_subscriber::filter::LevelFilter::INFO)
        .init();
    let runtime = tokio::runtime::Runtime::new().context("no runtime")?;
    runtime.block_on(serve(options, screen))
}

async fn serve(options: Options, screen: Screen) -> anyhow::Result<()> {
    // Before the announcement: its reader may send a signal at once.
    let stopped = signals::listen()?;
    let mut builder = LocalPlatform::builder()
        .endpoint(&options.endpoint)
        .listen(options.listen);
    if let Some(key) = &options.api_key {
        builder = builder.api_key(key);
    }
    let platform = builder.start().await.context("the platform did not start")?;
    let announcement = Announcement::of(&platform, &options);
    if options.json {
        screen.line(serde_json::to_string(&announcement)?);
    } else {
        screen.line(announcement.text());
    }
    // A signal is how this command ends.
    stopped.await;
    let violations = platform.violations();
    platform.shutdown().await;
    if options.json {
        screen.line(serde_json::to_string(&Farewell::of(&violations))?);
    } else {
        screen.line(Farewell::of(&violations).text());
    }
    Ok(())
}

impl Announcement {
    fn of(platform: &LocalPlatform, options: &Options) -> Self {
        let key = options.api_key.as_deref().unwrap_or(ANY_KEY);
        let client_env = [
            ("RUNPOD_API_KEY", key.to_owned()),
            ("RUNPOD_ENDPOINT_BASE_URL", platform.client_base_url()),
        ];
        Self {
            url: platform.url(),
            endpoint: options.endpoint.clone(),
            client_env: client_env.map(|(name, value)| (name.to_owned(), value)).into(),
            worker_env: platform
                .worker_env(&options.endpoint, WORKER_ID)
                .into_iter()
                .collect(),
        }
    }

    fn text(&self) -> String {
        let Self {
            url,
            endpoint,
            client_env,
            worker_env,
        } = self;
        let mut text = format!(
            "The platform listens on {url}, endpoint `{endpoint}`.\n\
             \n\
             A worker takes jobs from it with these variables, which RunPod sets on its pods. Give every further\n\
             worker a RUNPOD_POD_ID of its own.\n\
             \n"
        );
        exports(&mut text, worker_env);
        text.push_str("\n  cargo run -p sd-worker\n\nA client submits jobs to it with these:\n\n");
        exports(&mut text, client_env);
        let _ = write!(
            text,
            "\n  curl -s \"$RUNPOD_ENDPOINT_BASE_URL/{endpoint}/runsync\" \\\n    \
             -H \"Authorization: Bearer $RUNPOD_API_KEY\" -H 'Content-Type: application/json' \\\n    \
             -d '{{\"input\": {{\"prompt\": \"a cat\", \"steps\": 20}}}}'\n\
             \n\
             Ctrl-C stops it."
        );
        text
    }
}

/// Lines for a shell; the values hold `$`, so they are quoted.
fn exports(text: &mut String, variables: &BTreeMap<String, String>) {
    for (name, value) in variables {
        let _ = writeln!(text, "  export {name}='{}'", value.replace('\'', r"'\''"));
    }
}

impl Farewell {
    fn of(violations: &[Violation]) -> Self {
        Self {
            violations: violations.iter().map(ToString::to_string).collect(),
        }
    }

    fn text(&self) -> String {
        if self.violations.is_empty() {
            return "No worker did anything against the protocol.".to_owned();
        }
        format!(
            "What workers did against the protocol:\n  {}",
            self.violations.join("\n  ")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_can_be_pasted_into_a_shell() {
        let variables = |pairs: &[(&str, &str)]| {
            pairs
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect()
        };
        let announcement = Announcement {
            url: "http://127.0.0.1:8080".to_owned(),
            endpoint: "local".to_owned(),
            client_env: variables(&[
                ("RUNPOD_API_KEY", "it's"),
                ("RUNPOD_ENDPOINT_BASE_URL", "http://127.0.0.1:8080/v2"),
            ]),
            worker_env: variables(&[(
                "RUNPOD_WEBHOOK_GET_JOB",
                "http://127.0.0.1:8080/v2/local/job-take/$ID",
            )]),
        };
        insta::assert_snapshot!(announcement.text());
    }

    #[test]
    fn a_platform_that_saw_nothing_wrong_says_so() {
        assert_eq!(
            Farewell::of(&[]).text(),
            "No worker did anything against the protocol."
        );
    }
}
