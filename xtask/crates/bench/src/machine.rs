//! Where and when something was measured.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use serde::Serialize;
use support::cargo;

/// How long is looked at what the machine does, before it is measured.
const LOOK: Duration = Duration::from_secs(1);
/// A machine with nothing to do uses less, in percent.
const BUSY: f64 = 10.0;

/// What figures depend on beside the code.
#[derive(Debug, Serialize)]
pub(crate) struct Setting {
    date: String,
    /// With a `+` if there were changes that were not committed.
    commit: Option<String>,
    rustc: Option<String>,
    cpu: Option<String>,
    cores: usize,
    memory: Option<String>,
    kernel: Option<String>,
    /// The share of the machine that was in use just before anything was measured, in percent.
    in_use: Option<f64>,
}

impl Setting {
    pub(crate) async fn here_and_now() -> Self {
        let file = |path| std::fs::read_to_string(path).unwrap_or_default();
        Self {
            date: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
            commit: commit(cargo::root()),
            rustc: said("rustc", &["--version"], cargo::root()),
            cpu: value_in(&file("/proc/cpuinfo"), "model name"),
            cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            memory: value_in(&file("/proc/meminfo"), "MemTotal"),
            kernel: Some(file("/proc/sys/kernel/osrelease").trim().to_owned())
                .filter(|text| !text.is_empty()),
            in_use: in_use().await,
        }
    }

    /// One line for people.
    pub(crate) fn summary(&self) -> String {
        let unknown = || "unknown".to_owned();
        format!(
            "{} cores, {}, {} in use; {}; commit {}",
            self.cores,
            self.cpu.clone().unwrap_or_else(unknown),
            self.in_use.map_or_else(unknown, |share| format!("{share:.0} %")),
            self.rustc.clone().unwrap_or_else(unknown),
            self.commit.clone().unwrap_or_else(unknown),
        )
    }

    /// Whether others kept the machine so busy that the figures say little.
    pub(crate) fn was_busy(&self) -> bool {
        self.in_use.is_some_and(|share| share > BUSY)
    }
}

fn commit(folder: &Path) -> Option<String> {
    let commit = said("git", &["rev-parse", "--short=12", "HEAD"], folder)?;
    let changed = said("git", &["status", "--porcelain"], folder).is_some();
    Some(if changed { format!("{commit}+") } else { commit })
}

/// What a program prints, if it prints anything.
fn said(program: &str, arguments: &[&str], folder: &Path) -> Option<String> {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

async fn in_use() -> Option<f64> {
    let now = || times_in(&std::fs::read_to_string("/proc/stat").ok()?);
    let (idle, all) = now()?;
    tokio::time::sleep(LOOK).await;
    let (idle_then, all_then) = now()?;
    let (idle, all) = (idle_then.checked_sub(idle)?, all_then.checked_sub(all)?);
    #[expect(clippy::cast_precision_loss, reason = "a few hundred ticks")]
    (all > 0).then(|| 100.0 - 100.0 * idle as f64 / all as f64)
}

/// In the first line of `/proc/stat`: the time in which nothing was done, and all the time, of all cores together.
fn times_in(stat: &str) -> Option<(u64, u64)> {
    let fields = stat.lines().next()?.strip_prefix("cpu ")?;
    // The last two, of guests, are part of the first two.
    let times: Option<Vec<u64>> = fields
        .split_whitespace()
        .take(8)
        .map(|time| time.parse().ok())
        .collect();
    let times = times?;
    // Waiting for a disk is doing nothing, too.
    let idle = times.get(3)? + times.get(4)?;
    Some((idle, times.iter().sum()))
}

/// A value in the kernel's `key : value` form.
fn value_in(text: &str, key: &str) -> Option<String> {
    let (_, value) = text
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.trim() == key)?;
    Some(value.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_time_is_told_from_the_rest() {
        let stat = "cpu  10 1 5 80 4 0 0 0 10 1\ncpu0 5 0 2 40 2 0 0 0 5 0\n";
        assert_eq!(times_in(stat), Some((84, 100)));
        assert_eq!(times_in("cpu  10 1"), None);
        assert_eq!(times_in("intr 7"), None);
    }

    #[test]
    fn a_value_is_found_by_its_key() {
        let text = "processor\t: 0\nmodel name\t: A CPU: fast\nmodel name\t: A CPU: fast\n";
        assert_eq!(value_in(text, "model name").as_deref(), Some("A CPU: fast"));
        assert_eq!(value_in(text, "model"), None);
    }
}
