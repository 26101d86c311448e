//! `cargo xtask bench --size`: what a worker costs before it has done anything, beside the published Python SDK.
//!
//! Ours is the example [`hello`](support::hello).

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde::Serialize;
use support::cargo::{output, root};
use support::hello::{Hello, MOST_CRATES};
use support::screen::Screen;

use crate::machine::Setting;
use crate::python;

const MOST_BYTES: u64 = 5_000_000;

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

pub(crate) fn run(json: Option<&Path>, check: bool, screen: Screen) -> anyhow::Result<()> {
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
    let hello = Hello::write(folder)?;
    // Downloading is not building.
    hello.fetch()?;
    let began = Instant::now();
    output(&mut hello.cargo(&["build", "--release", "--locked"]))?;
    let build = began.elapsed();
    let program = folder.join("target").join("release").join("hello");
    let bytes = std::fs::metadata(&program)
        .with_context(|| format!("cannot read {}", program.display()))?
        .len();
    Ok(Cost {
        bytes,
        packages: hello.tree()?.crates(),
        build,
    })
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

#[cfg(test)]
mod tests {
    use super::*;

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
