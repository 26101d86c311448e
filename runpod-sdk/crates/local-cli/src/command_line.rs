//! The command line, and the exit code.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;

use crate::client::{self, ClientCommand};
use crate::screen;
use crate::serve::{self, Options};

#[derive(Debug, Parser)]
#[command(
    name = "runpod-local",
    version,
    args_conflicts_with_subcommands = true,
    disable_help_subcommand = true
)]
struct Cli {
    #[command(flatten)]
    options: Options,

    #[command(subcommand)]
    part: Option<Part>,
}

// No doc comment: clap would show it as what the command does.
#[derive(Debug, Subcommand)]
enum Part {
    #[command(flatten)]
    Client(ClientCommand),
    /// Print a script that completes this command's options in a shell
    Completions { shell: Shell },
    // What the command starts again as a process of its own.
    #[command(hide = true, name = crate::fleet::worker_process::NAME)]
    WorkerProcess {
        #[arg(last = true, required = true)]
        command: Vec<OsString>,
    },
}

/// Reads the command line, does what it says, and gives the exit code: 0, or 1 for a failure, or 2 for a bad command line.
/// The commands of a client have some more; their help lists them.
pub fn main() -> ExitCode {
    let done = match Cli::parse() {
        Cli {
            part: Some(Part::WorkerProcess { command }),
            ..
        } => crate::fleet::worker_process::run(&command),
        Cli {
            part: Some(Part::Client(command)),
            ..
        } => return client::run(command),
        Cli {
            part: Some(Part::Completions { shell }),
            ..
        } => {
            let mut completed = Cli::command();
            clap_complete::generate(shell, &mut completed, "runpod-local", &mut std::io::stdout());
            Ok(())
        }
        Cli { options, .. } => serve::run(options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            screen::complain(&error);
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_is_as_it_was() {
        insta::assert_snapshot!(Cli::command().term_width(110).render_long_help());
    }

    #[test]
    fn what_comes_after_two_dashes_is_the_workers_command() {
        let cli = Cli::parse_from(["runpod-local", "--workers-max", "3", "--", "python", "-u", "--x"]);
        assert_eq!(cli.options.command(), ["python", "-u", "--x"]);
    }
}
