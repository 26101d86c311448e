//! A program under test, and what the kernel says about it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::process::{Child, Command};

use crate::fakes::Fakes;

/// Lines of a log that are shown of a program that failed.
const TAIL: usize = 10;

/// A program that does a worker's work.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    pub(crate) name: &'static str,
    pub(crate) file: PathBuf,
    pub(crate) arguments: Vec<String>,
    /// It does about one job a second, and measurements have to fit that.
    pub(crate) slow: bool,
}

/// A program that runs. Killed when dropped.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    id: u32,
    name: &'static str,
    log: PathBuf,
    /// Just before it was started.
    pub(crate) started: Instant,
}

impl Program {
    /// Starts it with the environment that the fakes give it and nothing else. Its output goes to a file.
    pub(crate) fn start(&self, fakes: &Fakes, logs: &Path) -> anyhow::Result<Running> {
        self.start_with(fakes.environment(), logs)
    }

    /// The file its output goes to.
    pub(crate) fn log(&self, logs: &Path) -> PathBuf {
        logs.join(format!("{}.log", self.name))
    }

    /// Starts it with these variables and nothing else. Its output goes to a file.
    pub(crate) fn start_with(
        &self,
        environment: impl IntoIterator<Item = (impl AsRef<std::ffi::OsStr>, String)>,
        logs: &Path,
    ) -> anyhow::Result<Running> {
        let log = self.log(logs);
        let output = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let errors = output.try_clone().context("cannot share a file")?;
        let mut command = Command::new(&self.file);
        command
            .args(&self.arguments)
            .env_clear()
            .envs(environment)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .kill_on_drop(true);
        let started = Instant::now();
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {} ({})", self.name, self.file.display()))?;
        let id = child.id().context("it ended at once")?;
        Ok(Running {
            child,
            id,
            name: self.name,
            log,
            started,
        })
    }
}

impl Running {
    /// Does something that needs the program, for at most `limit`.
    pub(crate) async fn within<T>(
        &mut self,
        limit: Duration,
        work: impl Future<Output = T>,
    ) -> anyhow::Result<T> {
        let why = tokio::select! {
            biased;
            done = work => return Ok(done),
            status = self.child.wait() => match status {
                Ok(status) => format!("it ended ({status})"),
                Err(error) => error.to_string(),
            },
            () = tokio::time::sleep(limit) => format!("nothing within {}", humantime::format_duration(limit)),
        };
        anyhow::bail!(
            "{}: {why}; its log, {}, ends with:\n{}",
            self.name,
            self.log.display(),
            tail(&self.log)
        )
    }

    /// SIGKILL, and the wait for its end.
    pub(crate) async fn kill(mut self) -> anyhow::Result<()> {
        self.child
            .kill()
            .await
            .with_context(|| format!("cannot end {}", self.name))
    }

    /// Memory that is in use now, in bytes.
    pub(crate) fn memory(&self) -> anyhow::Result<u64> {
        self.status("VmRSS")
    }

    /// The most memory that was ever in use, in bytes.
    pub(crate) fn peak_memory(&self) -> anyhow::Result<u64> {
        self.status("VmHWM")
    }

    fn status(&self, key: &str) -> anyhow::Result<u64> {
        let text = self.kernel_file("status")?;
        memory_in(&text, key).with_context(|| format!("no {key} of {}", self.name))
    }

    /// CPU time used since the start, in user code and in the kernel.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        let ticks =
            ticks_in(&self.kernel_file("stat")?).with_context(|| format!("no times of {}", self.name))?;
        let per_second = rustix::param::clock_ticks_per_second().max(1);
        Ok(Duration::from_millis(ticks * 1000 / per_second))
    }

    fn kernel_file(&self, name: &str) -> anyhow::Result<String> {
        let path = format!("/proc/{}/{name}", self.id);
        std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))
    }
}

/// A line such as `VmRSS:     3344 kB` of `/proc/PID/status`, in bytes.
fn memory_in(status: &str, key: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    Some(kib << 10)
}

/// User and system time in `/proc/PID/stat`, in clock ticks.
fn ticks_in(stat: &str) -> Option<u64> {
    // The second field is the program's name in parentheses, and may hold both blanks and parentheses.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_found_by_its_key() {
        let status = "Name:\tsd-worker\nVmHWM:\t   33344 kB\nVmRSS:\t    3344 kB\nThreads:\t3\n";
        assert_eq!(memory_in(status, "VmRSS"), Some(3344 << 10));
        assert_eq!(memory_in(status, "VmHWM"), Some(33344 << 10));
        assert_eq!(memory_in(status, "Vm"), None);
        assert_eq!(memory_in(status, "Threads"), None, "not a size");
    }

    #[test]
    fn times_are_found_behind_a_name_of_any_kind() {
        let stat = "4242 (a) b (c) S 1 4242 4242 0 -1 4194560 1057 0 0 0 17 25 0 0 20 0 4 0 81920 1 2";
        assert_eq!(ticks_in(stat), Some(42));
        assert_eq!(ticks_in("4242 (a) S 1"), None);
    }

    #[test]
    fn this_process_has_memory() {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let (now, peak) = (
            memory_in(&status, "VmRSS").unwrap(),
            memory_in(&status, "VmHWM").unwrap(),
        );
        assert!(now > 0 && peak >= now);
    }
}
