//! A job on the terminal: its progress while it runs, then its end.

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;

use anyhow::Context as _;
use runpod_client::{JobReport, JobStatus};
use serde_json::{Map, Value, json};

use super::{Target, pictures};
use crate::screen;

/// Characters of the bar.
const BAR: usize = 30;

/// One line on standard error that is written over; nothing where nothing can be.
#[derive(Debug)]
pub(super) struct Progress {
    terminal: bool,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self {
            terminal: std::io::stderr().is_terminal(),
        }
    }

    pub(super) fn show(&mut self, report: &JobReport) {
        if self.terminal {
            // A terminal that is gone has no use for it.
            let _ = write!(std::io::stderr(), "\r\x1b[2K{}", line(report));
        }
    }

    pub(super) fn clear(&mut self) {
        if self.terminal {
            let _ = write!(std::io::stderr(), "\r\x1b[2K");
        }
    }
}

fn line(report: &JobReport) -> String {
    let update = report.output::<Value>().unwrap_or_default();
    let percent = update
        .get("percent")
        .or(update.get("progress"))
        .and_then(Value::as_f64);
    match (&report.status, percent) {
        (JobStatus::InProgress, Some(percent)) => {
            let phase = update.get("phase").and_then(Value::as_str).unwrap_or_default();
            format!("[{}] {percent:>3.0} %  {}", bar(percent), printable(phase))
        }
        (status, _) => status.to_string(),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "0 to 30 after the clamp"
)]
fn bar(percent: f64) -> String {
    let full = (percent.clamp(0.0, 100.0) / 100.0 * BAR as f64) as usize;
    format!("{}{}", "=".repeat(full), " ".repeat(BAR - full))
}

fn printable(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).collect()
}

/// Prints a job: the whole object with `--json`, else its output or its error.
pub(super) fn report(report: &JobReport, target: &Target, save: Option<&Path>) -> anyhow::Result<()> {
    if let Some(folder) = save {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let mut output: Value = report
        .raw_output()
        .and_then(|output| serde_json::from_slice(output).ok())
        .unwrap_or_default();
    if !target.json || save.is_some() {
        pictures::replace(&mut output, save.map(|folder| (folder, report.id.as_str())))?;
    }
    if target.json {
        screen::line(object(report, output));
        return Ok(());
    }
    screen::note(&format!("{} {}", report.id, report.status));
    if let Some(failure) = report.failure().filter(|_| report.status.is_final()) {
        screen::note(&printable(failure.message.as_deref().unwrap_or(&failure.text)));
        if let Some(hint) = &failure.hint {
            screen::note(&format!("what helps: {}", printable(hint)));
        }
    }
    if report.raw_output().is_some() {
        screen::line(format_args!("{output:#}"));
    }
    Ok(())
}

fn object(report: &JobReport, output: Value) -> Value {
    let milliseconds = |span: Option<std::time::Duration>| span.map(|span| json!(span.as_millis()));
    let fields = [
        ("id", Some(json!(report.id.as_str()))),
        ("status", Some(json!(report.status.as_str()))),
        ("delayTime", milliseconds(report.delay)),
        ("executionTime", milliseconds(report.execution)),
        ("retries", (report.retries > 0).then(|| json!(report.retries))),
        ("workerId", report.worker_id.as_ref().map(|id| json!(id))),
        ("output", report.raw_output().map(|_| output)),
        ("error", report.error().map(|error| json!(error))),
    ];
    let present = fields
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(present.collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_long_as_the_work_is_done() {
        assert_eq!(bar(0.0).trim(), "");
        assert_eq!(bar(50.0).trim().len(), BAR / 2);
        assert_eq!(bar(400.0), "=".repeat(BAR));
    }

    #[test]
    fn a_workers_words_cannot_move_the_cursor() {
        assert_eq!(printable("a\u{1b}[2Jb\n"), "a[2Jb");
    }
}
