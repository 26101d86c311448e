//! The commands that are programs of their own: cargo builds and runs them.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use anyhow::Context as _;
use support::cargo;

/// What a program is given, unread.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Arguments {
    /// Options of the command; --help lists them.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "OPTIONS")]
    arguments: Vec<String>,
}

impl Arguments {
    /// Whether they ask for something that is not measured, and that an unoptimised build does as well.
    fn measure_nothing(&self) -> bool {
        let quick = ["-h", "--help", "--size"];
        self.arguments
            .iter()
            .any(|argument| quick.contains(&argument.as_str()))
    }
}

/// A program of this workspace.
#[derive(Debug)]
pub(crate) struct Program {
    package: &'static str,
    command: Option<&'static str>,
    optimised: bool,
}

impl Program {
    /// The program of a package.
    pub(crate) fn new(package: &'static str) -> Self {
        Self {
            package,
            command: None,
            optimised: false,
        }
    }

    /// One of the program's own commands.
    pub(crate) fn command(self, command: &'static str) -> Self {
        Self {
            command: Some(command),
            ..self
        }
    }

    /// Built as for a release, because it measures.
    pub(crate) fn optimised(self) -> Self {
        Self {
            optimised: true,
            ..self
        }
    }

    /// The cargo command that builds and runs it, in the folder in which this command was called.
    fn cargo(&self, arguments: &Arguments) -> anyhow::Result<Command> {
        let folder = std::env::current_dir().context("there is no current folder")?;
        let mut command = cargo::cargo(["run", "--package", self.package]);
        command
            .arg("--manifest-path")
            .arg(cargo::root().join("Cargo.toml"))
            .current_dir(folder)
            .stdin(Stdio::inherit());
        if self.optimised && !arguments.measure_nothing() {
            command.arg("--release");
        }
        command.arg("--").args(self.command).args(&arguments.arguments);
        Ok(command)
    }
}

/// Replaces this process by cargo, and cargo replaces itself by the program: its exit code and the signals for it are
/// passed on by nothing in between. Returns only when that fails.
pub(crate) fn turn_into(program: &Program, arguments: &Arguments) -> anyhow::Result<()> {
    let mut command = program.cargo(arguments)?;
    // Cargo's own lines, which go there too, say what is built but not how long it takes.
    let _ = writeln!(
        std::io::stderr(),
        "Building the command; the first time takes a few minutes."
    );
    let failed = command.exec();
    Err(failed).with_context(|| format!("cannot run `{}`", cargo::shown(&command)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(program: &Program, arguments: &[&str]) -> String {
        let arguments = Arguments {
            arguments: arguments.iter().map(|&argument| argument.to_owned()).collect(),
        };
        let manifest = cargo::root().join("Cargo.toml");
        cargo::shown(&program.cargo(&arguments).unwrap()).replace(manifest.to_str().unwrap(), "[manifest]")
    }

    #[test]
    fn a_program_gets_its_arguments_unread() {
        assert_eq!(
            shown(&Program::new("demo"), &["--steps", "3", "--help"]),
            "cargo run --package demo --manifest-path [manifest] -- --steps 3 --help"
        );
        assert_eq!(
            shown(&Program::new("mock-webui").command("contract"), &[]),
            "cargo run --package mock-webui --manifest-path [manifest] -- contract"
        );
    }

    #[test]
    fn what_measures_is_optimised_unless_it_only_explains_itself() {
        let bench = Program::new("bench").optimised();
        assert!(shown(&bench, &["--quick"]).contains(" --release -- --quick"));
        assert!(!shown(&bench, &["--help"]).contains("--release"));
    }
}
