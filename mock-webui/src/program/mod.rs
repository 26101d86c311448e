//! The program `mock-webui`: serves, compares a server with recorded answers, lists the faults.

mod contract;
mod output;
mod serve;

use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::FaultKind;

/// The command line.
#[derive(Debug, Parser)]
#[command(
    name = "mock-webui",
    version,
    about = "An imitation of the AUTOMATIC1111 WebUI API with a simulated GPU, for testing clients.",
    long_about = serve::ABOUT,
    after_help = serve::EXAMPLES,
    args_conflicts_with_subcommands = true
)]
struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,

    #[command(flatten)]
    serve: serve::ServeOptions,
}

#[derive(Debug, Subcommand)]
enum Command {
    Contract(contract::ContractCommand),
    /// List the kinds of faults, with their fields, as a Markdown table.
    Faults,
}

/// Runs the program to its end.
pub fn main() -> ExitCode {
    let CommandLine { command, serve } = CommandLine::parse();
    let ended = match command {
        None => run(serve.run()),
        Some(Command::Contract(contract)) => run(contract.run()),
        Some(Command::Faults) => output::print(&FaultKind::table())
            .map(|()| ExitCode::SUCCESS)
            .map_err(Into::into),
    };
    ended.unwrap_or_else(|error| {
        // Without a standard error there is nowhere left to report to.
        let _ = writeln!(std::io::stderr(), "Error: {error:?}");
        ExitCode::FAILURE
    })
}

fn run(work: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| anyhow::anyhow!("the runtime cannot be started: {error}"))?
        .block_on(work)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn the_help_lists_every_profile() {
        let help = CommandLine::command().render_long_help().to_string();
        for profile in crate::Profile::ALL {
            assert!(help.contains(profile.name()), "{profile} is missing in {help}");
        }
    }
}
