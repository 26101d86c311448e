//! `cargo xtask test`: every test of the workspace, with one line at the end that counts them.

mod tally;

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use support::cargo::{self, cargo};
use support::screen::Screen;

use tally::Tally;

/// The programs that tests start, beside those cargo builds for them.
const PROGRAMS: [&str; 2] = ["sd-worker", "mock-webui"];
/// Most tests wait for a clock or a socket: one a core leaves it idle for half of the run.
const TESTS_PER_CORE: usize = 2;
/// Says to the tests that the run has built the workspace's programs.
const BUILT: &str = "XTASK_PROGRAMS_ARE_BUILT";

/// Run every test of the workspace, doc tests included.
///
/// Uses cargo-nextest where it is installed, else plain `cargo test`. The last line counts the tests.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// Passed on to `cargo nextest run` or `cargo test`. With any, the doc tests are left out.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENTS")]
    arguments: Vec<String>,
}

const EXAMPLES: &str = "\
Examples:
  cargo xtask test                       everything
  cargo xtask test -p runpod-sdk         one crate
  cargo xtask test deliver               the tests with `deliver` in their names
  cargo xtask test --no-fail-fast        go on after a failure";

pub(crate) fn run(options: &Options, screen: Screen) -> anyhow::Result<()> {
    let whole = !selects_packages(&options.arguments);
    if !whole {
        // First, so that no test's time limit has to cover a build. A run of the whole workspace builds them itself.
        for program in PROGRAMS {
            cargo::build_program(program)?;
        }
    }
    let nextest = cargo::has("nextest");
    let mut tally = Tally::default();
    // Not `--all-targets`: that builds the examples as tests only, and some tests start them.
    let mut tests = if nextest {
        cargo(["nextest", "run", "--no-tests", "pass"])
    } else {
        cargo(["test"])
    };
    if nextest && !limits_threads(&options.arguments) {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        tests.args(["--test-threads", &(TESTS_PER_CORE * cores).to_string()]);
    }
    tests.arg("--all-features");
    if whole {
        tests.arg("--workspace").env(BUILT, "1");
    }
    if options.arguments.is_empty() {
        // One run shows everything that is wrong.
        tests.arg("--no-fail-fast");
    }
    let mut passed = counted(tests.args(&options.arguments), screen, &mut tally)?;
    // `cargo test` has run them already.
    if nextest && options.arguments.is_empty() {
        let mut doc_tests = cargo(["test", "--doc", "--workspace", "--all-features", "--no-fail-fast"]);
        passed &= counted(&mut doc_tests, screen, &mut tally)?;
    }
    screen.line(format_args!("\n{tally}"));
    if !passed {
        bail!("not every test passed; the failures are above");
    }
    Ok(())
}

fn selects_packages(arguments: &[String]) -> bool {
    arguments.iter().any(|argument| {
        argument.starts_with("-p") || argument.starts_with("--package") || argument == "--workspace"
    })
}

fn limits_threads(arguments: &[String]) -> bool {
    arguments
        .iter()
        .any(|argument| argument.starts_with("-j") || argument.starts_with("--test-threads"))
}

/// Runs a command, passes its output on line by line and counts the tests in it.
fn counted(command: &mut Command, screen: Screen, tally: &mut Tally) -> anyhow::Result<bool> {
    let shown = cargo::shown(command);
    screen.heading(format_args!("$ {shown}"));
    if screen.colours() {
        command.env("CARGO_TERM_COLOR", "always");
    }
    // One pipe for both streams keeps their lines in order.
    let (output, input) = std::io::pipe().context("no pipe")?;
    command
        .stdout(input.try_clone().context("no pipe")?)
        .stderr(input);
    let mut child = command.spawn().with_context(|| format!("cannot run `{shown}`"))?;
    // The command still holds the writing ends, and the pipe would never end.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut output = BufReader::new(output);
    let mut line = Vec::new();
    while output
        .read_until(b'\n', &mut line)
        .context("reading the tests' output")?
        > 0
    {
        let mut stdout = std::io::stdout().lock();
        let _ = stdout.write_all(&line).and_then(|()| stdout.flush());
        tally.read(&console::strip_ansi_codes(&String::from_utf8_lossy(&line)));
        line.clear();
    }
    let status = child.wait().with_context(|| format!("waiting for `{shown}`"))?;
    Ok(status.success())
}

impl Options {
    /// Everything, as the README says.
    pub(crate) fn everything() -> Self {
        Self {
            arguments: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_among_the_arguments_narrows_the_run() {
        let given = |argument: &str| selects_packages(&[argument.to_owned()]);
        assert!(given("-psd-worker") && given("--package") && given("-p"));
        assert!(!given("deliver") && !given("--no-fail-fast"));
    }

    #[test]
    fn a_number_of_threads_among_the_arguments_counts() {
        let given = |argument: &str| limits_threads(&[argument.to_owned()]);
        assert!(given("-j1") && given("--test-threads=1") && given("--test-threads"));
        assert!(!given("journal"));
    }

    #[test]
    fn a_test_run_is_counted_and_its_failure_is_not_success() {
        let mut tally = Tally::default();
        let mut command = Command::new("/bin/sh");
        let script =
            "echo 'test result: FAILED. 2 passed; 1 failed; 3 ignored; 0 measured; 0 filtered out'; exit 101";
        command.args(["-c", script]).stdin(Stdio::null());
        assert!(!counted(&mut command, Screen::of_this_process(), &mut tally).unwrap());
        assert_eq!(tally.to_string(), "tests: 2 passed, 1 failed, 3 skipped");
    }
}
