//! `cargo xtask console-test`: the console of `runpod-local` in a headless browser.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use support::cargo;
use support::screen::Screen;

/// Test the console of runpod-local in headless Chromium, with sd-worker and a mock WebUI behind it.
///
/// Needs node with npm, and Chromium: /usr/bin/chromium, or where CHROMIUM says. With `UPDATE_DOCS=1` it also makes the
/// picture of the README. Arguments are passed on to `node --test`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENTS")]
    arguments: Vec<String>,
}

/// The tests and the list of the packages they need.
const TESTS: &str = "runpod-sdk/crates/local-cli/tests/browser";
/// A bound on the time of one test file.
const LIMIT: &str = "--test-timeout=240000";

pub(crate) fn run(options: &Options, screen: Screen) -> anyhow::Result<()> {
    let programs = [
        ("SD_WORKER", cargo::build_program("sd-worker")?),
        ("MOCK_WEBUI", cargo::build_program("mock-webui")?),
        (
            "RUNPOD_LOCAL",
            cargo::build_program_of("runpod-local-cli", "runpod-local")?,
        ),
    ];
    let tests = cargo::root().join(TESTS);
    let packages = install(&tests, screen)?;
    let mut node = Command::new("node");
    node.args(["--test", LIMIT])
        .args(&options.arguments)
        .arg("console.test.mjs")
        .current_dir(&tests)
        .envs(programs)
        .env("BROWSER_PACKAGES", packages)
        .env("PICTURES", cargo::root().join("docs/pictures"));
    let status = node
        .status()
        .context("cannot run node; install Node.js 20 or newer")?;
    ensure!(
        status.success(),
        "not every test of the console passed; the failures are above"
    );
    Ok(())
}

impl Options {
    /// Every test.
    pub(crate) fn everything() -> Self {
        Self {
            arguments: Vec::new(),
        }
    }
}

/// Installs the pinned packages, unless they are there already. No browser is downloaded.
fn install(tests: &Path, screen: Screen) -> anyhow::Result<PathBuf> {
    const LOCK: &str = "package-lock.json";
    let folder = cargo::root().join("target").join("browser-test");
    let wanted = std::fs::read(tests.join(LOCK)).with_context(|| format!("cannot read {TESTS}/{LOCK}"))?;
    // Copied last: a set-up that was cut off is begun again.
    let stamp = folder.join("installed.json");
    if std::fs::read(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(folder);
    }
    screen.stage("packages", "installing what drives the browser");
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for file in ["package.json", LOCK] {
        std::fs::copy(tests.join(file), folder.join(file)).with_context(|| format!("cannot copy {file}"))?;
    }
    let status = Command::new("npm")
        .args(["ci", "--no-audit", "--no-fund", "--loglevel=error"])
        .current_dir(&folder)
        .status()
        .context("cannot run npm; it comes with most packages of Node.js")?;
    ensure!(status.success(), "`npm ci` failed in {}", folder.display());
    std::fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))?;
    Ok(folder)
}
