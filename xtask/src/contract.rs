//! `cargo xtask contract`: another name for `mock-webui contract`.

use crate::cargo;
use crate::screen::Screen;

/// Compare a WebUI with recorded answers: `mock-webui contract`, with its options.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Options {
    /// What `mock-webui contract --help` lists.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "OPTIONS")]
    arguments: Vec<String>,
}

pub(crate) fn run(options: &Options, screen: Screen) -> anyhow::Result<()> {
    let program = ["run", "--quiet", "--package", "mock-webui", "--", "contract"].map(str::to_owned);
    cargo::run(cargo::cargo(program.iter().chain(&options.arguments)), screen)
}
