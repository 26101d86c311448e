//! The published clients and the published worker, installed under `target/conformance/`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};
use support::cargo::root;
use support::screen::Screen;
use tokio_util::sync::CancellationToken;

use crate::limit;

/// The oldest Python that the pinned packages run on.
const PYTHON: (u32, u32) = (3, 10);

/// Where everything is, once it is installed.
#[derive(Debug)]
pub(crate) struct Kit {
    /// The interpreter of the environment that has the published packages.
    pub(crate) python: PathBuf,
    pub(crate) node: PathBuf,
    /// The folder that has `node_modules`.
    pub(crate) javascript: PathBuf,
    /// The scripts that drive the published packages.
    pub(crate) scripts: PathBuf,
    /// Where the processes' logs go.
    pub(crate) logs: PathBuf,
    /// Someone asked the command to stop.
    pub(crate) stop: CancellationToken,
}

/// Installs what is missing. A finished set-up is used again until its pins change.
pub(crate) async fn ready(screen: Screen, stop: CancellationToken) -> anyhow::Result<Kit> {
    let python = find_python().await?;
    let node = find("node", "install Node.js 20 or newer")?;
    let npm = find("npm", "install npm; it comes with most packages of Node.js")?;
    let home = root().join("target/conformance");
    let scripts = root().join("xtask/crates/conformance/published");
    let kit = Kit {
        python: home.join("python/bin/python"),
        node,
        javascript: home.join("javascript"),
        scripts,
        logs: home.join("logs"),
        stop,
    };
    fs::create_dir_all(&kit.logs).with_context(|| format!("cannot make {}", kit.logs.display()))?;
    let folder = home.join("python");
    Part {
        name: "python",
        pins: &["requirements.txt"],
        folder: &folder,
    }
    .install(&kit, screen, async |kit| {
        run(Command::new(&python).args(["-m", "venv"]).arg(&folder)).await?;
        let mut pip = Command::new(&kit.python);
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
        pip.args(["--no-deps", "--requirement", "requirements.txt"]);
        run(pip.current_dir(&kit.scripts)).await
    })
    .await?;
    Part {
        name: "javascript",
        pins: &["package.json", "package-lock.json"],
        folder: &kit.javascript,
    }
    .install(&kit, screen, async |kit| {
        for file in ["package.json", "package-lock.json"] {
            fs::copy(kit.scripts.join(file), kit.javascript.join(file))
                .with_context(|| format!("cannot copy {file}"))?;
        }
        let mut install = Command::new(&npm);
        install.args(["ci", "--no-audit", "--no-fund", "--loglevel=error"]);
        run(install.current_dir(&kit.javascript)).await
    })
    .await?;
    Ok(kit)
}

/// Packages of one language, and the files that say which.
struct Part<'a> {
    name: &'static str,
    pins: &'static [&'static str],
    folder: &'a Path,
}

impl Part<'_> {
    async fn install(
        &self,
        kit: &Kit,
        screen: Screen,
        steps: impl AsyncFnOnce(&Kit) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut wanted = String::new();
        for pin in self.pins {
            let file = kit.scripts.join(pin);
            wanted +=
                &fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        }
        // Written last: a set-up that was cut off is begun again.
        let stamp = self.folder.join("installed");
        if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
            screen.stage(self.name, "installed");
            return Ok(());
        }
        screen.stage(self.name, "installing the published packages");
        if self.folder.exists() {
            fs::remove_dir_all(self.folder)
                .with_context(|| format!("cannot remove {}", self.folder.display()))?;
        }
        fs::create_dir_all(self.folder)?;
        steps(kit)
            .await
            .with_context(|| format!("the {} packages cannot be installed", self.name))?;
        fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))
    }
}

/// Runs a command of the set-up to its end.
async fn run(command: &mut Command) -> anyhow::Result<()> {
    let shown = format!("{command:?}");
    let output = limit::output(command, limit::INSTALL).await?;
    if !output.status.success() {
        bail!("{shown} failed ({}):\n{}", output.status, limit::words(&output));
    }
    Ok(())
}

fn find(program: &str, remedy: &str) -> anyhow::Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
        .with_context(|| format!("there is no `{program}` on this machine; {remedy}, then run this again"))
}

async fn find_python() -> anyhow::Result<PathBuf> {
    let (major, minor) = PYTHON;
    let remedy = format!("install Python {major}.{minor} or newer with its venv module");
    let python = find("python3", &remedy)?;
    let mut ask = Command::new(&python);
    ask.args(["-c", "import sys, venv; print(*sys.version_info[:2])"]);
    let output = limit::output(&mut ask, limit::QUESTION).await?;
    let answer = String::from_utf8_lossy(&output.stdout).into_owned();
    let version = answer
        .trim()
        .split_once(' ')
        .and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
    match version {
        Some(version) if version >= PYTHON => Ok(python),
        Some((major, minor)) => bail!("python3 is {major}.{minor}; {remedy}, then run this again"),
        None => bail!(
            "python3 cannot be used; {remedy}, then run this again:\n{}",
            limit::words(&output)
        ),
    }
}
