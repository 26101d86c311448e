//! `mock-webui contract`: compares a server with recorded answers.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};

use super::output::print;
use crate::contract::{self, ContractOptions, ContractReport, Suite};
use crate::{MockWebUi, MockWebUiBuilder, Profile};

/// Run one table of requests against a WebUI and list what it answers differently.
///
/// The table is what a real 1.10.1 answered; the mock answers all of it alike, which is one of its tests. A server of
/// another kind is compared with the mock's profile of that kind. Random seeds, times, picture data and the model's
/// name are masked. The requests render small pictures and leave the server's settings as they find them.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ContractCommand {
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

    /// Replay the recordings of this folder instead of the table.
    #[arg(long, value_name = "FOLDER")]
    recordings: Option<PathBuf>,

    #[arg(long, value_name = "VERSION", default_value_t, help = format!("Version that the mock imitates: {}", Profile::list()))]
    profile: Profile,
}

const EXAMPLES: &str = "\
Examples:
  mock-webui contract
  mock-webui contract --webui http://127.0.0.1:7861 --report contract.md
  mock-webui contract --profile forge --recordings tests/fixtures/webui/forge";

impl ContractCommand {
    /// Runs the suite; the exit code is a failure when an answer differs.
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let (options, mut suite) = (self.options()?, self.suite()?);
        // Kept until the last answer is here.
        let (_mock, url) = match &self.webui {
            Some(url) => (None, url.clone()),
            None => {
                let mock = self.mock().start().await;
                let url = mock.url().to_owned();
                (Some(mock), url)
            }
        };
        if self.webui.is_some() && self.recordings.is_none() {
            let profile = contract::profile_of(&url, &options).await?;
            print(&format!("the server answers like {profile}\n"))?;
            if profile != Profile::V1_10_1 {
                // The table is 1.10.1's. Of other servers the mock knows what they answer.
                let reference = MockWebUi::builder().profile(profile).start().await;
                suite = suite.expecting_answers_of(reference.url(), &options).await?;
            }
        }
        print(&format!(
            "contract: {} cases against {url}\n",
            suite.cases().len()
        ))?;
        let report = contract::run(&url, &suite, &options).await?;
        print(&format!("{report}\n"))?;
        if let Some(file) = &self.report {
            write_report(&report, file)?;
            print(&format!("written: {}\n", file.display()))?;
        }
        Ok(if report.passed() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }

    /// The mock that is asked when no WebUI is given. For recordings it has the checkpoint of the recorded server.
    fn mock(&self) -> MockWebUiBuilder {
        match &self.recordings {
            Some(_) => MockWebUi::recorded(self.profile),
            None => MockWebUi::builder().profile(self.profile),
        }
    }

    fn options(&self) -> anyhow::Result<ContractOptions> {
        let options = ContractOptions::default().timeout(self.timeout);
        let Some(auth) = &self.auth else {
            return Ok(options);
        };
        let (user, password) = auth
            .split_once(':')
            .context("--auth: write USER:PASSWORD, with a colon between them")?;
        Ok(options.credentials(user, password))
    }

    fn suite(&self) -> anyhow::Result<Suite> {
        let mut suite = match &self.recordings {
            Some(folder) => Suite::recorded(folder)?,
            None => Suite::builtin(),
        };
        if let Some(text) = &self.only {
            suite = suite.only(|case| case.name.contains(text.as_str()));
        }
        if suite.cases().is_empty() {
            bail!("no case has that text in its name");
        }
        Ok(suite)
    }
}

fn write_report(report: &ContractReport, file: &std::path::Path) -> anyhow::Result<()> {
    let text = if file.extension().is_some_and(|ending| ending == "json") {
        serde_json::to_string_pretty(&report.to_json())?
    } else {
        report.to_markdown()
    };
    std::fs::write(file, text).with_context(|| format!("{} can't be written", file.display()))
}
