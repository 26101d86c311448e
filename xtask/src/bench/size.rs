//! `cargo xtask bench --size`: what a worker costs before it has done anything, beside the published Python SDK.
//!
//! Ours is the example `hello` as a project of its own: the SDK with its default features, as a user depends on it. (Built
//! as an example, cargo would give it the features of the tests, too.)

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use serde::Serialize;

use super::machine::Setting;
use super::python;
use crate::cargo::{cargo, root};
use crate::screen::Screen;

const MANIFEST: &str = r#"[package]
name = "hello"
version = "0.1.0"
edition = "2024"
publish = false

[workspace]

[dependencies]
runpod-sdk = { path = "SDK" }
serde = { version = "1", features = ["derive"] }

[profile.release]
lto = "fat"
codegen-units = 1
strip = "symbols"
"#;
const PROGRAM: &str = include_str!("../../../runpod-sdk/examples/hello.rs");

/// The system whose dependencies are counted.
const TARGET: &str = "x86_64-unknown-linux-gnu";
const MOST_BYTES: u64 = 5_000_000;
const MOST_CRATES: usize = 120;

/// What one side costs.
#[derive(Debug, Clone, Copy, Serialize)]
struct Cost {
    /// Size of what has to be in the image: the program, or the installed packages.
    bytes: u64,
    /// Crates in the program, or packages in the environment.
    packages: usize,
    /// From nothing but downloaded sources to a program; or from nothing to an installed package.
    #[serde(serialize_with = "seconds")]
    build: Duration,
}

fn seconds<S: serde::Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64())
}

#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    setting: Setting,
    ours: Cost,
    python: Cost,
}

pub(super) fn run(json: Option<&Path>, check: bool, screen: Screen) -> anyhow::Result<()> {
    let folder = root().join("target").join("bench");
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let setting = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("no runtime")?
        .block_on(Setting::here_and_now());
    let ours = hello(&folder.join("size"), screen)?;
    let python = python_sdk(&folder.join("size-python"), screen)?;

    screen.line(format_args!("\n{}\n", screen.dim(setting.summary())));
    screen.line(table(ours, python, screen));
    if let Some(file) = json {
        let report = Report {
            setting,
            ours,
            python,
        };
        let text = serde_json::to_string_pretty(&report).context("cannot write the report")?;
        std::fs::write(file, text + "\n").with_context(|| format!("cannot write {}", file.display()))?;
    }
    let missed = usize::from(ours.bytes >= MOST_BYTES) + usize::from(ours.packages > MOST_CRATES);
    ensure!(!check || missed == 0, "{missed} of 2 targets missed");
    Ok(())
}

fn table(ours: Cost, python: Cost, screen: Screen) -> String {
    let verdict = |met: bool| {
        if met {
            screen.good("ok")
        } else {
            screen.odd("MISS")
        }
    };
    let row = |name: &str, ours: String, python: String, target: &str, verdict: &str| {
        format!("{name:<26}{ours:>12}{python:>14}  {target:<8} {verdict}")
            .trim_end()
            .to_owned()
    };
    [
        row("", "hello".to_owned(), "Python SDK".to_owned(), "target", ""),
        row(
            "program, or packages",
            megabytes(ours.bytes),
            megabytes(python.bytes),
            "< 5 MB",
            &verdict(ours.bytes < MOST_BYTES),
        ),
        row(
            "crates, or packages",
            ours.packages.to_string(),
            python.packages.to_string(),
            "≤ 120",
            &verdict(ours.packages <= MOST_CRATES),
        ),
        row(
            "build, or installation",
            format!("{:.0} s", ours.build.as_secs_f64()),
            format!("{:.0} s", python.build.as_secs_f64()),
            "–",
            "",
        ),
    ]
    .join("\n")
}

/// Decimal megabytes, as the target has them.
#[expect(clippy::cast_precision_loss, reason = "a figure of three digits")]
fn megabytes(bytes: u64) -> String {
    format!("{:.2} MB", bytes as f64 / 1e6)
}

/// Builds the smallest worker from nothing.
fn hello(folder: &Path, screen: Screen) -> anyhow::Result<Cost> {
    screen.stage("build", "hello with default features, release, fat LTO, stripped");
    start_afresh(folder)?;
    let source = folder.join("src");
    std::fs::create_dir_all(&source).with_context(|| format!("cannot make {}", source.display()))?;
    let sdk = root().join("runpod-sdk");
    std::fs::write(
        folder.join("Cargo.toml"),
        MANIFEST.replace("SDK", &sdk.to_string_lossy()),
    )?;
    std::fs::write(source.join("main.rs"), PROGRAM)?;
    std::fs::copy(root().join("Cargo.lock"), folder.join("Cargo.lock"))?;
    let here = |arguments: &[&str]| {
        let mut command = cargo(arguments);
        command.current_dir(folder).env_remove("CARGO_TARGET_DIR");
        command
    };
    // Downloading is not building.
    output(&mut here(&["fetch"]))?;
    let began = Instant::now();
    output(&mut here(&["build", "--release", "--locked"]))?;
    let build = began.elapsed();
    let tree = output(&mut here(&[
        "tree",
        "--locked",
        "--edges=normal",
        "--prefix=none",
        "--target",
        TARGET,
        "--format={p}",
    ]))?;
    let program = folder.join("target").join("release").join("hello");
    let bytes = std::fs::metadata(&program)
        .with_context(|| format!("cannot read {}", program.display()))?
        .len();
    Ok(Cost {
        bytes,
        packages: crates(&tree),
        build,
    })
}

/// How many crates a dependency tree names, each once, and without the program itself.
fn crates(tree: &str) -> usize {
    let names: std::collections::BTreeSet<&str> = tree
        .lines()
        .map(|line| line.trim_end_matches(" (*)"))
        .filter(|line| !line.is_empty() && !line.starts_with("hello "))
        .collect();
    names.len()
}

/// Installs the published package from nothing.
fn python_sdk(folder: &Path, screen: Screen) -> anyhow::Result<Cost> {
    screen.stage(
        "install",
        format_args!("{} into an environment of its own", python::PACKAGE),
    );
    start_afresh(folder)?;
    let began = Instant::now();
    python::install(folder)?;
    let build = began.elapsed();
    let python = folder.join("bin").join("python");
    let listed = output(Command::new(&python).args([
        "-c",
        "import importlib.metadata as m; print(len({d.metadata['Name'].lower() for d in m.distributions()} - {'pip', 'setuptools'}))",
    ]))?;
    let packages = listed
        .trim()
        .parse()
        .with_context(|| format!("{} listed no packages: {listed}", python.display()))?;
    Ok(Cost {
        bytes: size_of_folder(&folder.join("lib"))?,
        packages,
        build,
    })
}

fn start_afresh(folder: &Path) -> anyhow::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot empty {}", folder.display()))
        }
        _ => Ok(()),
    }
}

/// Bytes of all files below a folder. Links are not followed.
fn size_of_folder(folder: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        let facts = entry.metadata()?;
        bytes += if facts.is_dir() {
            size_of_folder(&entry.path())?
        } else {
            facts.len()
        };
    }
    Ok(bytes)
}

/// Runs a command to its end; what it says of its work goes to the terminal.
fn output(command: &mut Command) -> anyhow::Result<String> {
    let ran = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot run {command:?}"))?;
    if !ran.status.success() {
        bail!("{command:?} failed ({})", ran.status);
    }
    Ok(String::from_utf8_lossy(&ran.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_counts_once_and_the_program_not_at_all() {
        let tree =
            "hello v0.1.0 (/x)\nserde v1.0.0\ntokio v1.0.0\nserde v1.0.0 (*)\nsyn v2.0.0 \nsyn v3.0.0\n";
        assert_eq!(crates(tree), 4);
    }

    #[test]
    fn the_table_says_what_is_missed() {
        let ours = Cost {
            bytes: 5_000_000,
            packages: 120,
            build: Duration::from_secs(61),
        };
        let python = Cost {
            bytes: 200_000_000,
            packages: 101,
            build: Duration::from_secs(20),
        };
        insta::assert_snapshot!(table(ours, python, Screen::plain()));
    }
}
