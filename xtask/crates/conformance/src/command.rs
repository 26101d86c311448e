//! The command: what it is given, and the run of the cases.

use std::path::PathBuf;
use std::pin::pin;
use std::time::Instant;

use anyhow::{Context as _, bail};
use support::cargo::root;
use support::screen::Screen;
use support::signals;
use tokio_util::sync::CancellationToken;

use crate::clients::table::ClientCase;
use crate::report::Steps;
use crate::workers::table::Run;
use crate::{clients, docs, report, setup, volume, workers};

/// Check the platform with RunPod's published clients, and our worker beside the published one.
///
/// Needs python3 and node with npm. The published packages are installed under `target/conformance/` the first time.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Also write what was seen, case by case, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Write docs/conformance.md from the tables, and run nothing.
    #[arg(long)]
    write_docs: bool,
}

pub(crate) fn run(options: &Options, screen: Screen) -> anyhow::Result<()> {
    let (cases, runs) = (clients::table::clients()?, workers::table::workers()?);
    if options.write_docs {
        let page = root().join(docs::PAGE);
        return std::fs::write(&page, docs::page(&cases, &runs))
            .with_context(|| format!("cannot write {}", page.display()));
    }
    let runtime = tokio::runtime::Runtime::new().context("no runtime")?;
    runtime.block_on(async {
        let interrupted = signals::listen()?;
        let stop = CancellationToken::new();
        let mut check = pin!(check(options, &cases, &runs, stop.clone(), screen));
        tokio::select! {
            outcome = &mut check => outcome,
            interrupted = interrupted => {
                stop.cancel();
                // Only until the workers have been stopped; what it says of that is of no use.
                let _ = check.await;
                Err(interrupted.into())
            }
        }
    })
}

async fn check(
    options: &Options,
    cases: &[ClientCase],
    runs: &[Run],
    stop: CancellationToken,
    screen: Screen,
) -> anyhow::Result<()> {
    let begun = Instant::now();
    screen.heading("RunPod's published clients and worker against the local platform\n");
    let kit = tokio::select! {
        kit = setup::ready(screen, stop.clone()) => kit?,
        () = stop.cancelled() => bail!("stopped"),
    };
    let steps = Steps::new(clients::CLIENTS.len() + workers::SIDES.len() * runs.len(), screen);
    // The clients mostly sleep between their polls, which leaves the processor to the workers.
    let (of_clients, of_workers) = tokio::join!(
        clients::run(&kit, cases, &steps),
        workers::run(&kit, runs, &steps)
    );
    drop(steps);
    let mut rows = of_clients?;
    rows.extend(of_workers?);
    rows.extend(volume::run(&kit).await);
    rows.sort_by(|a, b| (a.subject, &a.case).cmp(&(b.subject, &b.case)));
    report::print(&rows, screen);
    if let Some(file) = &options.json {
        std::fs::write(file, serde_json::to_string_pretty(&rows)?)
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    let (passed, failed) = report::tally(&rows);
    screen.line(format_args!("\nin {} s", begun.elapsed().as_secs()));
    screen.line(format_args!("{passed} passed, {failed} failed"));
    if failed > 0 {
        bail!("{failed} cases are not as the tables say; the differences are above");
    }
    Ok(())
}
