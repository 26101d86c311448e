//! The project's own commands. `cargo xtask --help` lists them.

mod bench;
mod cargo;
mod ci;
mod conformance;
mod contract;
mod demo;
mod hello;
mod lean;
mod new_worker;
mod platform;
mod process;
mod screen;
mod signals;
mod test;
mod tree;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use screen::Screen;

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
  cargo xtask platform                             a platform to try a worker of your own on
  cargo xtask test -p sd-worker                    the tests of one crate
  cargo xtask conformance                          the platform and the worker beside RunPod's own
  cargo xtask contract                             the mock, or a real WebUI, beside recorded answers
  cargo xtask bench                                how fast and how lean sd-worker is
  cargo xtask ci                                   everything CI checks, before you push";

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Options),
    NewWorker(new_worker::Options),
    Platform(platform::Options),
    Test(test::Options),
    Conformance(conformance::Options),
    Contract(contract::Options),
    Bench(bench::Options),
    /// What `bench` compares sd-worker with.
    #[command(name = bench::FLOOR, hide = true)]
    BenchFloor,
    /// The worker that `bench` measures where it is about the SDK alone.
    #[command(name = bench::WORKER, hide = true)]
    BenchWorker(bench::WorkerOptions),
    #[command(hide = true)]
    ConformanceWorker(conformance::ours::Options),
    Ci(ci::Options),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let screen = Screen::new();
    let done = match cli.command {
        Command::Demo(options) => demo::run(&options, screen),
        Command::NewWorker(options) => new_worker::run(&options, screen),
        Command::Platform(options) => platform::run(options, screen),
        Command::Test(options) => test::run(&options, screen),
        Command::Conformance(options) => conformance::run(&options, screen),
        Command::Contract(options) => contract::run(&options, screen),
        Command::Bench(options) => bench::run(&options, screen),
        Command::BenchFloor => bench::run_floor(),
        Command::BenchWorker(options) => return bench::run_worker(&options),
        Command::ConformanceWorker(options) => match conformance::ours::run(&options) {
            Ok(code) => return code,
            Err(error) => Err(error),
        },
        Command::Ci(options) => ci::run(&options, screen),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            screen.complain(&error);
            error
                .downcast_ref::<signals::Interrupted>()
                .map_or(ExitCode::FAILURE, |interrupted| {
                    ExitCode::from(interrupted.exit_code())
                })
        }
    }
}
