//! `cargo xtask conformance`: RunPod's published clients and worker as black boxes against the local platform.
//!
//! The clients show that the platform speaks the endpoint API; the published worker shows that it
//! speaks the worker's API, and, run beside ours through the same cases, that ours is a worker as
//! RunPod knows them. What is expected stands in two tables under `xtask/crates/conformance/`.

mod clients;
mod command;
mod diff;
mod docs;
mod limit;
mod normal;
mod record;
mod report;
mod setup;
mod volume;
mod wire;
mod workers;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use support::screen::Screen;

use crate::workers::ours;

#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask conformance",
    bin_name = "cargo xtask conformance",
    args_conflicts_with_subcommands = true,
    disable_help_subcommand = true
)]
struct Cli {
    #[command(flatten)]
    options: command::Options,

    #[command(subcommand)]
    part: Option<Part>,
}

// What the command starts again as a process of its own.
// No doc comment: clap would show it as what the command does.
#[derive(Debug, Subcommand)]
enum Part {
    #[command(hide = true)]
    Worker(ours::Options),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let screen = Screen::of_this_process();
    let done = match cli.part {
        None => command::run(&cli.options, screen),
        Some(Part::Worker(options)) => match ours::run(&options) {
            Ok(code) => return code,
            Err(error) => Err(error),
        },
    };
    support::exit_code(done, screen)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_help_begins_with_what_the_command_does() {
        let help = Cli::command().render_help().to_string();
        assert!(
            help.starts_with("Check the platform with RunPod's published clients"),
            "{help}"
        );
    }
}
