//! `cargo xtask demo`: the example event travels the whole way and back, through real processes.

mod command;
mod event;
mod failure;
mod job;
mod log_line;
mod observer;
mod output;
mod pictures;
mod report;
mod stack;
mod steps;
mod timeline;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use support::screen::Screen;

#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask demo",
    bin_name = "cargo xtask demo",
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
    Platform(Box<runpod_local_cli::Options>),
    #[command(hide = true, name = runpod_local_cli::worker_process::NAME)]
    WorkerProcess {
        #[arg(last = true, required = true)]
        command: Vec<OsString>,
    },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let screen = Screen::of_this_process();
    let done = match cli.part {
        None => command::run(&cli.options, screen),
        Some(Part::Platform(options)) => runpod_local_cli::run(*options),
        Some(Part::WorkerProcess { command }) => runpod_local_cli::worker_process::run(&command),
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
        assert!(help.starts_with("Watch one request travel"), "{help}");
    }
}
