//! Where and when something was measured.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::SystemTime;

use serde::Serialize;

use crate::cargo;

/// What figures depend on beside the code.
#[derive(Debug, Serialize)]
pub(super) struct Setting {
    date: String,
    /// With a `+` if there were changes that were not committed.
    commit: Option<String>,
    rustc: Option<String>,
    cpu: Option<String>,
    cores: usize,
    memory: Option<String>,
    kernel: Option<String>,
    /// Of the last minute, before anything was measured: well below the number of cores, or others had the machine.
    load: Option<f64>,
}

impl Setting {
    pub(super) fn here_and_now() -> Self {
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
            load: file("/proc/loadavg")
                .split(' ')
                .next()
                .and_then(|load| load.parse().ok()),
        }
    }

    /// One line for people.
    pub(super) fn summary(&self) -> String {
        let unknown = || "unknown".to_owned();
        format!(
            "{} cores, {}; load {}; {}; commit {}",
            self.cores,
            self.cpu.clone().unwrap_or_else(unknown),
            self.load.map_or_else(unknown, |load| load.to_string()),
            self.rustc.clone().unwrap_or_else(unknown),
            self.commit.clone().unwrap_or_else(unknown),
        )
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
    fn a_value_is_found_by_its_key() {
        let text = "processor\t: 0\nmodel name\t: A CPU: fast\nmodel name\t: A CPU: fast\n";
        assert_eq!(value_in(text, "model name").as_deref(), Some("A CPU: fast"));
        assert_eq!(value_in(text, "model"), None);
    }
}
