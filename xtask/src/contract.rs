//! `cargo xtask contract`: does a WebUI answer as the mock's table says it should?

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use mock_webui::contract::{self, Suite};

use crate::screen::Screen;

/// Run one table of requests against a WebUI and list what it answers differently.
///
/// The table is what a real 1.10.1 answered; the mock answers all of it alike, which is one of its tests. Random
/// seeds, times, picture data and the model's name are masked. The requests render small pictures and leave the
/// server's settings as they find them.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// The WebUI, with its path if it has one. Without it, the mock is asked.
    #[arg(long, value_name = "URL")]
    webui: Option<String>,

    /// Credentials of a WebUI started with --api-auth.
    #[arg(
        long,
        value_name = "USER:PASSWORD",
        env = "SD_WORKER_WEBUI_AUTH",
        hide_env_values = true
    )]
    auth: Option<String>,

    /// Only the cases whose name contains this text.
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,

    /// The longest wait for one answer. The first render may have to load the model.
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = humantime::parse_duration)]
    timeout: Duration,

    /// Write the report to this file: JSON if its name ends in .json, else Markdown.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  cargo xtask contract
  cargo xtask contract --webui http://127.0.0.1:7861 --report contract.md";

pub(crate) fn run(options: &Options, screen: Screen) -> anyhow::Result<()> {
    tokio::runtime::Runtime::new()
        .context("the runtime can't be started")?
        .block_on(compare(options, screen))
}

async fn compare(options: &Options, screen: Screen) -> anyhow::Result<()> {
    let mut how = contract::Options::default().timeout(options.timeout);
    if let Some(auth) = &options.auth {
        let (user, password) = auth
            .split_once(':')
            .context("--auth: write USER:PASSWORD, with a colon between them")?;
        how = how.credentials(user, password);
    }
    let mut suite = Suite::builtin();
    if let Some(text) = &options.only {
        suite = suite.only(|case| case.name.contains(text.as_str()));
    }
    if suite.cases().is_empty() {
        bail!("no case of the table has that text in its name");
    }
    // Kept until the last answer is here.
    let (_mock, url) = match &options.webui {
        Some(url) => (None, url.clone()),
        None => {
            let mock = mock_webui::MockWebUi::start().await;
            let url = mock.url().to_owned();
            (Some(mock), url)
        }
    };
    screen.stage(
        "contract",
        format_args!("{} cases against {url}", suite.cases().len()),
    );
    let report = contract::run(&url, &suite, &how).await?;
    screen.line(&report);
    if let Some(file) = &options.report {
        let text = if file.extension().is_some_and(|ending| ending == "json") {
            serde_json::to_string_pretty(&report.to_json())?
        } else {
            report.to_markdown()
        };
        std::fs::write(file, text).with_context(|| format!("{} can't be written", file.display()))?;
        screen.stage("written", file.display());
    }
    let different = report.different().count();
    if different > 0 {
        bail!(
            "{different} of {} cases differ; the fields are above",
            report.outcomes.len()
        );
    }
    Ok(())
}
