//! The program that `cargo xtask platform` runs.

use std::process::ExitCode;

use clap::Parser;
use support::screen::Screen;

#[derive(Debug, Parser)]
#[command(name = "cargo xtask platform", bin_name = "cargo xtask platform")]
struct Cli {
    #[command(flatten)]
    options: platform::Options,
}

fn main() -> ExitCode {
    let screen = Screen::of_this_process();
    support::exit_code(platform::run(Cli::parse().options, screen), screen)
}
