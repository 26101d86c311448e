//! The project's own commands. `cargo xtask --help` lists them.
//!
//! Those that need the SDK are programs of their own under `xtask/crates`, so that this one starts without compiling it.

mod ci;
mod console_test;
mod deny;
mod images;
mod lean;
mod new_worker;
mod programs;
mod release;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use support::screen::Screen;

use programs::{Arguments, Program};

/// The project's own commands.
///
/// New here? `cargo xtask demo` shows one request travelling through every part of the workspace,
/// and `cargo xtask test` runs every test.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  cargo xtask demo                                 the example request, with a mock WebUI
  cargo xtask demo --webui http://127.0.0.1:7860   the same against a real WebUI
  cargo xtask new-worker my-worker --path ..       a worker of your own, ready to build
  cargo xtask test -p sd-worker                    the tests of one crate
  cargo xtask console-test                         the console of runpod-local in a browser
  cargo xtask conformance                          the platform and the worker beside RunPod's own
  cargo xtask contract                             the mock, or a real WebUI, beside recorded answers
  cargo xtask bench                                how fast and how lean sd-worker is
  cargo xtask layers                               which imports lead upwards
  cargo xtask deny                                 what dependencies may be: licences, sources, bans
  cargo xtask images                               whether the images can be built
  cargo xtask release 0.2.0                        a release: version, changelog, tag
  cargo xtask ci                                   everything CI checks, before you push";

#[derive(Debug, Subcommand)]
enum Command {
    /// Watch one request travel through every part: client, platform, sd-worker, WebUI, and back
    Demo(Arguments),
    NewWorker(new_worker::Options),
    Test(test::Options),
    ConsoleTest(console_test::Options),
    /// Check the platform with RunPod's published clients, and our worker beside the published one
    Conformance(Arguments),
    /// Compare a WebUI, or the mock, with recorded answers
    Contract(Arguments),
    /// Measure sd-worker and the local platform: throughput, latency, start, memory, CPU
    Bench(Arguments),
    /// Check that the modules of each crate import only from below
    Layers(Arguments),
    Deny(deny::Options),
    Images(images::Options),
    Release(release::Options),
    Ci(ci::Options),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let screen = Screen::of_this_process();
    let done = match cli.command {
        Command::Demo(arguments) => programs::turn_into(&Program::new("demo"), &arguments),
        Command::NewWorker(options) => new_worker::run(&options, screen),
        Command::Test(options) => test::run(&options, screen),
        Command::ConsoleTest(options) => console_test::run(&options, screen),
        Command::Conformance(arguments) => programs::turn_into(&Program::new("conformance"), &arguments),
        Command::Contract(arguments) => {
            programs::turn_into(&Program::new("mock-webui").command("contract"), &arguments)
        }
        Command::Bench(arguments) => programs::turn_into(&Program::new("bench").optimised(), &arguments),
        Command::Layers(arguments) => programs::turn_into(&Program::new("layers"), &arguments),
        Command::Release(options) => release::run(&options, screen),
        Command::Deny(options) => deny::run(&options, screen),
        Command::Images(options) => images::run(&options, screen),
        Command::Ci(options) => ci::run(&options, screen),
    };
    support::exit_code(done, screen)
}
