//! The check of a whole workspace, and what the program prints of it.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, ensure};
use serde::Deserialize;

use crate::findings::{self, Finding};
use crate::source::Source;
use crate::table::Table;

/// Check that the modules of each crate import only from below.
///
/// The order of each crate's modules is in `xtask/layers.toml`. Within a directory, neighbours must not import each
/// other in a circle.
#[derive(Debug, clap::Parser)]
#[command(name = "cargo xtask layers", bin_name = "cargo xtask layers")]
pub(crate) struct Options {
    /// The crates to check; without any, every crate of the workspace.
    crates: Vec<String>,

    /// The workspace to check; by default this one.
    #[arg(long, value_name = "FOLDER")]
    workspace: Option<PathBuf>,

    /// Another table than the workspace's own.
    #[arg(long, value_name = "FILE")]
    table: Option<PathBuf>,
}

impl Options {
    /// The whole of this workspace.
    #[cfg(test)]
    pub(crate) fn everything() -> Self {
        Self {
            crates: Vec::new(),
            workspace: None,
            table: None,
        }
    }
}

/// What the check found in a workspace.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) crates: Vec<Checked>,
    /// Crates of the workspace without an order, and orders without a crate.
    pub(crate) table: Vec<String>,
}

/// What the check found in one crate.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) package: String,
    pub(crate) modules: usize,
    pub(crate) report_only: bool,
    pub(crate) findings: Vec<Finding>,
}

impl Report {
    /// Whether nothing fails the check.
    pub(crate) fn passes(&self) -> bool {
        self.table.is_empty()
            && self
                .crates
                .iter()
                .all(|checked| checked.report_only || checked.findings.is_empty())
    }
}

/// Checks, prints what was found and answers with the exit code.
#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the answer of a program"
)]
pub(crate) fn run(options: &Options) -> ExitCode {
    let report = match check(options) {
        Ok(report) => report,
        Err(error) => {
            eprintln!("error: {error:#}");
            return ExitCode::from(2);
        }
    };
    for fault in &report.table {
        println!("xtask/layers.toml: {fault}");
    }
    for checked in &report.crates {
        for finding in &checked.findings {
            println!("{finding}");
        }
        let Checked { package, modules, .. } = checked;
        let count = checked.findings.len();
        let note = if checked.report_only {
            " (reported only)"
        } else {
            ""
        };
        println!("{package}: {modules} modules, {count} findings{note}");
    }
    if report.passes() {
        ExitCode::SUCCESS
    } else {
        eprintln!("error: imports must lead downwards; mend them, or the order in xtask/layers.toml");
        ExitCode::FAILURE
    }
}

/// Checks a workspace.
pub(crate) fn check(options: &Options) -> anyhow::Result<Report> {
    let workspace = match &options.workspace {
        Some(folder) => folder
            .canonicalize()
            .with_context(|| format!("no folder {}", folder.display()))?,
        None => this_workspace().to_owned(),
    };
    let file = options
        .table
        .clone()
        .unwrap_or_else(|| workspace.join("xtask").join("layers.toml"));
    let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let table: Table = toml::from_str(&text).with_context(|| format!("{} is not a table", file.display()))?;
    let packages = packages(&workspace)?;
    for name in &options.crates {
        ensure!(
            packages.iter().any(|package| package.name == *name),
            "this workspace has no crate {name}"
        );
    }
    let mut report = Report {
        crates: Vec::new(),
        table: Vec::new(),
    };
    for (name, order) in &table.crates {
        if !order.report_only && !packages.iter().any(|package| package.name == *name) {
            report.table.push(format!("the workspace has no crate {name}"));
        }
    }
    for package in &packages {
        if !options.crates.is_empty() && !options.crates.contains(&package.name) {
            continue;
        }
        let Some(order) = table.crates.get(&package.name) else {
            report
                .table
                .push(format!("no order for the crate {}", package.name));
            continue;
        };
        let folder = package.manifest_path.parent().unwrap_or(&workspace);
        let source = Source::read(&package.name, folder, &workspace)?;
        report.crates.push(Checked {
            package: package.name.clone(),
            modules: source.modules.len(),
            report_only: order.report_only,
            findings: findings::of(&source, order),
        });
    }
    Ok(report)
}

fn this_workspace() -> &'static Path {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.ancestors().nth(3).unwrap_or(manifest)
}

#[derive(Debug, Deserialize)]
struct Package {
    name: String,
    manifest_path: PathBuf,
}

/// The crates of a workspace.
fn packages(workspace: &Path) -> anyhow::Result<Vec<Package>> {
    #[derive(Deserialize)]
    struct Metadata {
        packages: Vec<Package>,
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--format-version=1"])
        .current_dir(workspace)
        .output()
        .context("cannot run `cargo metadata`")?;
    ensure!(
        output.status.success(),
        "`cargo metadata` failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Metadata =
        serde_json::from_slice(&output.stdout).context("`cargo metadata` printed something else")?;
    let mut packages = metadata.packages;
    packages.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(packages)
}
