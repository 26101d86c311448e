//! A child process whose output is read, waited for and shown when something goes wrong.

mod log;

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, watch};

pub use self::log::Line;
use self::log::Log;

/// How long a process may take to end after the first SIGTERM.
const FIRST_GRACE: Duration = Duration::from_secs(2);
/// How long it may take after the second, which tells a worker to leave its job.
const SECOND_GRACE: Duration = Duration::from_secs(5);
/// How long the output is read on after the end.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// Lines shown of a process that failed.
const TAIL: usize = 20;

/// A running child. Killed when dropped; [`stop`](Self::stop) is the gentle way.
#[derive(Debug)]
pub struct Process {
    name: &'static str,
    log: Log,
    orders: mpsc::Sender<Order>,
    exit: watch::Receiver<Option<ExitStatus>>,
}

#[derive(Debug)]
enum Order {
    Terminate,
    Kill,
}

/// Why a process did not do what was waited for.
#[derive(Debug)]
pub enum Fault {
    /// It ended.
    Exited(ExitStatus),
    /// It did not do it within this time.
    Silent(Duration),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(status) => write!(f, "it ended ({status})"),
            Self::Silent(limit) => write!(f, "nothing within {}", humantime::format_duration(*limit)),
        }
    }
}

impl Process {
    /// Starts a program. Its output goes to the file `NAME.log` in `logs`.
    ///
    /// It gets a process group of its own, so that Ctrl-C in a terminal reaches only us, who stop
    /// the processes in order. Variables of the platform that are set here do not reach it.
    pub fn start<A, E>(
        name: &'static str,
        program: &Path,
        arguments: A,
        environment: E,
        logs: &Path,
    ) -> anyhow::Result<Self>
    where
        A: IntoIterator<Item: AsRef<OsStr>>,
        E: IntoIterator<Item = (String, String)>,
    {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        for (variable, _) in std::env::vars_os() {
            if variable.to_string_lossy().starts_with("RUNPOD_") {
                command.env_remove(variable);
            }
        }
        command.env_remove("RUST_LOG").envs(environment);
        let mut child = command
            .spawn()
            .with_context(|| format!("cannot start {name} ({})", program.display()))?;
        let log = Log::of(&mut child, logs.join(format!("{name}.log")))?;
        let (orders, inbox) = mpsc::channel(4);
        let (ended, exit) = watch::channel(None);
        tokio::spawn(supervise(child, inbox, ended, log.clone()));
        Ok(Self {
            name,
            log,
            orders,
            exit,
        })
    }

    /// Its name, which is that of its log, too.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The file that has all of its output.
    pub fn log_file(&self) -> PathBuf {
        self.log.file().to_owned()
    }

    /// The last lines it wrote.
    pub fn tail(&self) -> Vec<String> {
        self.log.tail(TAIL)
    }

    /// Waits until the process has written a line in which `find` finds what it looks for.
    /// Lines written earlier count.
    pub async fn line<T>(
        &self,
        limit: Duration,
        mut find: impl FnMut(&Line) -> Option<T>,
    ) -> Result<T, Fault> {
        let mut reader = self.log.reader();
        let found = async {
            while let Some(line) = reader.next().await {
                if let Some(found) = find(&line) {
                    return Ok(found);
                }
            }
            Err(Fault::Exited(self.ended().await))
        };
        tokio::time::timeout(limit, found)
            .await
            .unwrap_or(Err(Fault::Silent(limit)))
    }

    /// Waits for its end. All it wrote is in the log by then.
    pub async fn ended(&self) -> ExitStatus {
        let mut exit = self.exit.clone();
        match exit.wait_for(Option::is_some).await.map(|status| *status) {
            Ok(Some(status)) => status,
            // The supervisor ends only after saying how the process did.
            _ => std::future::pending().await,
        }
    }

    /// SIGTERM, and no waiting.
    pub async fn terminate(&self) {
        // A closed channel means that it has ended already.
        let _ = self.orders.send(Order::Terminate).await;
    }

    /// SIGTERM, SIGTERM again, SIGKILL, with a bounded wait after each. Returns how it ended.
    pub async fn stop(&self) -> ExitStatus {
        for grace in [FIRST_GRACE, SECOND_GRACE] {
            self.terminate().await;
            if let Ok(status) = tokio::time::timeout(grace, self.ended()).await {
                return status;
            }
        }
        let _ = self.orders.send(Order::Kill).await;
        self.ended().await
    }
}

/// Owns the child, so that a signal is sent only while its id is certainly its own.
async fn supervise(
    mut child: Child,
    mut orders: mpsc::Receiver<Order>,
    ended: watch::Sender<Option<ExitStatus>>,
    log: Log,
) {
    let status = loop {
        tokio::select! {
            status = child.wait() => break status,
            order = orders.recv() => match order {
                Some(Order::Terminate) => terminate(&child),
                // The handle is gone: the process goes too.
                Some(Order::Kill) | None => { let _ = child.start_kill(); }
            },
        }
    };
    // A process it left behind may hold the streams open.
    let _ = tokio::time::timeout(LAST_WORDS, log.complete()).await;
    if let Ok(status) = status {
        ended.send_replace(Some(status));
    }
}

fn terminate(child: &Child) {
    let id = child
        .id()
        .and_then(|id| i32::try_from(id).ok())
        .and_then(Pid::from_raw);
    if let Some(id) = id {
        // It fails only for a process that has just ended.
        let _ = kill_process(id, Signal::TERM);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, logs: &Path) -> Process {
        Process::start("shell", Path::new("/bin/sh"), ["-c", script], [], logs).unwrap()
    }

    #[tokio::test]
    async fn a_line_is_found_and_what_was_written_is_in_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let process = shell(
            "echo one; echo two >&2; echo ready at 7; read forever",
            folder.path(),
        );
        let limit = Duration::from_secs(10);
        let found = process
            .line(limit, |line| {
                line.text.strip_prefix("ready at ").map(str::to_owned)
            })
            .await
            .unwrap();
        assert_eq!(found, "7");
        process.ended().await;
        let file = std::fs::read_to_string(process.log_file()).unwrap();
        assert!(file.contains("one\n") && file.contains("two\n"), "{file}");
    }

    #[tokio::test]
    async fn a_process_that_ends_early_is_told_with_its_last_words() {
        let folder = tempfile::tempdir().unwrap();
        let process = shell("echo no disk; exit 3", folder.path());
        let fault = process
            .line(Duration::from_secs(10), |_| None::<()>)
            .await
            .unwrap_err();
        assert_eq!(fault.to_string(), "it ended (exit status: 3)");
        assert_eq!(process.tail(), ["no disk"]);
    }

    #[tokio::test]
    async fn a_process_is_stopped_by_a_signal_it_can_handle() {
        let folder = tempfile::tempdir().unwrap();
        let script = "trap 'echo bye; exit 7' TERM; echo up; while :; do sleep 0.05; done";
        let process = shell(script, folder.path());
        let up = |line: &Line| (line.text == "up").then_some(());
        process.line(Duration::from_secs(10), up).await.unwrap();
        assert_eq!(process.stop().await.code(), Some(7));
        assert_eq!(process.tail(), ["up", "bye"]);
    }
}
