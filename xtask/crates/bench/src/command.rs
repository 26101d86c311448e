//! The command: what it is given, and the run of the rows.

use std::cell::RefCell;
use std::path::PathBuf;

use anyhow::{Context as _, bail, ensure};
use clap::ValueEnum as _;
use serde::Serialize;
use support::cargo;
use support::progress::Progress;
use support::screen::Screen;
use support::signals;

use crate::figures::Line;
use crate::machine::Setting;
use crate::process::Program;
use crate::rows::{Bench, Row};
use crate::{python, size, table};

/// The hidden command that is the floor.
const FLOOR: &str = "floor";
/// The hidden command that is a worker made with the SDK.
const WORKER: &str = "worker";

/// Measure sd-worker and the local platform: throughput, latency, start, memory, CPU.
///
/// Builds sd-worker as it is deployed and runs it against a platform and a WebUI that do as little as possible. In the
/// same run, with the same servers, it measures the floor: a loop of three requests on hyper that passes bytes through
/// and does nothing else a worker has to do. Figures of different machines cannot be compared; the ratio of the two
/// can. The rows of the local platform have limits of their own instead. Nothing leaves this machine.
///
/// Each value is the median of several rounds that alternate between the programs. Leave the machine alone meanwhile:
/// what else runs is measured, too. docs/bench.md says how each row is measured.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the command line"
)]
pub(crate) struct Options {
    /// Measure only this row; may be repeated.
    #[arg(long = "row", value_name = "NAME", value_enum)]
    rows: Vec<Row>,

    /// Fewer jobs and rounds, and 10 idle seconds instead of 60: for a look, not for a record.
    #[arg(long)]
    quick: bool,

    /// Exit with 1 if a target is missed.
    #[arg(long)]
    check: bool,

    /// Write everything to a file as well: machine, compiler, commit, date, medians and the samples behind them.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Measure the published Python worker, too. Installs it into target/bench at the first time.
    #[arg(long)]
    python: bool,

    /// Instead of all this: build the smallest worker from nothing, and show its size, its crates and the build's
    /// time beside an installation of the published Python SDK.
    #[arg(long, conflicts_with_all = ["rows", "quick", "python"])]
    size: bool,
}

const EXAMPLES: &str = "\
Examples:
  cargo xtask bench                            everything; a few minutes, and the builds
  cargo xtask bench --quick                    everything, less exactly
  cargo xtask bench --row first-take           one row
  cargo xtask bench --size                     how large the smallest worker is
  cargo xtask bench --check --json bench.json  for a machine that watches";

pub(crate) fn run(options: &Options, screen: Screen) -> anyhow::Result<()> {
    if options.size {
        return size::run(options.json.as_deref(), options.check, screen);
    }
    ensure!(
        !cfg!(debug_assertions),
        "an unoptimised build slows down what it measures; run it as `cargo xtask bench`"
    );
    let rows = if options.rows.is_empty() {
        Row::value_variants()
    } else {
        &options.rows
    };
    let ours = Program {
        name: "sd-worker",
        file: if rows.iter().any(|row| row.runs_worker()) {
            screen.stage("build", "sd-worker, as it is deployed");
            cargo::build_release("sd-worker")?
        } else {
            // No row starts it.
            PathBuf::new()
        },
        arguments: Vec::new(),
        slow: false,
    };
    let this = std::env::current_exe().context("cannot find this program's own file")?;
    let worker = Program {
        name: "worker",
        file: this.clone(),
        arguments: vec![WORKER.to_owned()],
        slow: false,
    };
    let floor = Program {
        name: "floor",
        file: this,
        arguments: vec![FLOOR.to_owned()],
        slow: false,
    };
    let folder = cargo::root().join("target").join("bench");
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let python = options
        .python
        .then(|| python::program(&folder, screen))
        .transpose()?;
    let bench = Bench {
        ours,
        floor,
        worker,
        python,
        quick: options.quick,
        logs: folder,
        progress: RefCell::new(Progress::new(screen, "measure".to_owned())),
        rows: (0, rows.len()),
    };

    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("no runtime")?;
    let (setting, lines) = runtime.block_on(async {
        let interrupted = signals::listen()?;
        tokio::select! {
            // Dropping a measurement kills its program.
            interrupted = interrupted => Err(interrupted.into()),
            measured = measure(bench, rows) => measured,
        }
    })?;

    screen.line(format_args!("\n{}\n", screen.dim(setting.summary())));
    screen.line(table::render(&lines, screen));
    if options.quick {
        screen.line("A quick look: fewer jobs and rounds, and a shorter idle time, than in a full run.");
    }
    if setting.was_busy() {
        screen.line(screen.odd("The machine was busy before the first row: measure again when it is not."));
    }
    if let Some(file) = &options.json {
        let report = Report {
            setting,
            quick: options.quick,
            rows: &lines,
        };
        let text = serde_json::to_string_pretty(&report).context("cannot write the report")?;
        std::fs::write(file, text + "\n").with_context(|| format!("cannot write {}", file.display()))?;
    }
    let missed = lines.iter().filter(|line| line.is_met() == Some(false)).count();
    if options.check && missed > 0 {
        bail!("{missed} of {} targets missed", lines.len());
    }
    Ok(())
}

#[derive(Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    setting: Setting,
    quick: bool,
    rows: &'a [Line],
}

async fn measure(mut bench: Bench, rows: &[Row]) -> anyhow::Result<(Setting, Vec<Line>)> {
    let setting = Setting::here_and_now().await;
    let mut lines = Vec::new();
    for (done, row) in rows.iter().enumerate() {
        bench.rows.0 = done;
        lines.extend(row.measure(&bench).await?);
    }
    Ok((setting, lines))
}
