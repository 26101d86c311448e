//! `cargo xtask bench`: how sd-worker compares with the least that a worker could be, and what the local platform bears.
//!
//! ```text
//!  fakes ── platform ◀── take, done ── ┐
//!    │                                 │ a program in a process of its own:
//!    │                                 │ sd-worker, or the floor, or Python
//!    └───── WebUI    ◀── txt2img ───── ┘
//! ```

mod command;
mod fakes;
mod figures;
mod floor;
mod http;
mod machine;
mod platform;
mod process;
mod python;
mod rows;
mod size;
mod table;
mod worker;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use support::screen::Screen;

#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask bench",
    bin_name = "cargo xtask bench",
    args_conflicts_with_subcommands = true,
    disable_help_subcommand = true
)]
struct Cli {
    #[command(flatten)]
    options: command::Options,

    #[command(subcommand)]
    part: Option<Part>,
}

// What the command starts again as processes of their own.
// No doc comment: clap would show it as what the command does.
#[derive(Debug, Subcommand)]
enum Part {
    /// What sd-worker is compared with.
    #[command(hide = true)]
    Floor,
    /// The worker of the rows that are about the SDK alone.
    #[command(hide = true)]
    Worker(worker::Options),
    #[command(hide = true)]
    Platform(Box<runpod_local_cli::Options>),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let screen = Screen::of_this_process();
    let done = match cli.part {
        None => command::run(&cli.options, screen),
        Some(Part::Floor) => floor::run(),
        Some(Part::Worker(options)) => return worker::run(&options),
        Some(Part::Platform(options)) => runpod_local_cli::run(*options),
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
            help.starts_with("Measure sd-worker and the local platform"),
            "{help}"
        );
    }
}
