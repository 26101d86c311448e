//! The WebUI as a process of ours: started, listened to, ended, and always reaped.
//!
//! It gets a process group of its own, so that whatever it starts ends with it, and so that Ctrl-C reaches
//! the worker alone. A thread waits for it, which is how its death is noticed at once. Deciding whether it is
//! started again is the business of [`crate::health`].

mod command;
mod guard;
mod haste;
mod line;
mod log;
mod memory;

use std::io;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::sync::watch;
use tracing::{debug, info, warn};

pub use command::CommandLine;
use guard::Guard;
pub(crate) use guard::run_if_asked;
use line::Cleaner;
pub(crate) use log::LogTail;

/// How long the last lines of a dead process are waited for. Something that left its group may hold the
/// pipe open for ever.
const LAST_LINES: Duration = Duration::from_millis(500);

/// The WebUI's process. Cheap to clone; all clones are the same one.
#[derive(Debug, Clone)]
pub(crate) struct Process {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    command: CommandLine,
    directory: Option<PathBuf>,
    stop_grace: Duration,
    cleaner: Cleaner,
    tail: LogTail,
    life: watch::Sender<Life>,
    running: Mutex<Running>,
    reaped: Condvar,
}

#[derive(Debug, Default)]
struct Running {
    /// The process group, which has the id of the process that leads it. Nothing is sent to it once that
    /// one was reaped: the id may be somebody else's then.
    group: Option<Pid>,
    guard: Option<Guard>,
    starts: u64,
    /// The worker goes away: nothing is started any more.
    closed: bool,
    /// It was told to end, and has its grace.
    ending: bool,
    /// Whoever stops the worker does not want to wait: there is no grace any more.
    hurried: bool,
}

/// What became of the process that was started last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Life {
    NeverStarted,
    Running { start: u64 },
    Ended(End),
}

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct End {
    /// Which start it was, from 1.
    pub(crate) start: u64,
    /// `with exit code 3`, `by signal 9`.
    pub(crate) how: String,
    pub(crate) ran: Duration,
}

/// Why there is no process.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CannotStart {
    #[error("'{program}' can't be started: {reason}")]
    NotStarted { program: String, reason: io::Error },
    #[error("the worker is ending")]
    Closed,
}

impl Process {
    /// A process that is not started yet. `secrets` are kept out of its log, beside what the environment
    /// calls secret.
    pub(crate) fn new(
        command: CommandLine,
        directory: Option<PathBuf>,
        stop_grace: Duration,
        secrets: impl IntoIterator<Item = String>,
    ) -> Self {
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        let inner = Inner {
            cleaner: Cleaner::new(variables, secrets),
            command,
            directory,
            stop_grace,
            tail: LogTail::default(),
            life: watch::Sender::new(Life::NeverStarted),
            running: Mutex::default(),
            reaped: Condvar::new(),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Starts it, unless it runs, and returns which start this is.
    pub(crate) fn start(&self) -> Result<u64, CannotStart> {
        let inner = &self.inner;
        let mut running = inner.lock();
        if running.closed {
            return Err(CannotStart::Closed);
        }
        if running.group.is_some() {
            return Ok(running.starts);
        }
        if running.guard.is_none() {
            match Guard::start() {
                Ok(guard) => running.guard = Some(guard),
                Err(error) => warn!(%error, "if this worker is killed, the WebUI will stay: no guard"),
            }
        }
        let not_started = |reason| CannotStart::NotStarted {
            program: inner.command.program().to_owned(),
            reason,
        };
        let mut child = inner
            .command
            .command(inner.directory.as_ref())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(not_started)?;
        let group = Pid::from_child(&child);
        running.group = Some(group);
        running.ending = false;
        running.watch(Some(group));
        running.starts += 1;
        let start = running.starts;
        inner.life.send_replace(Life::Running { start });
        info!(
            pid = child.id(),
            program = inner.command.program(),
            "the WebUI was started"
        );

        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let (reading, read) = channel::<()>();
        let streams = stdout
            .map(|stream| Box::new(stream) as Box<dyn io::Read + Send>)
            .into_iter()
            .chain(stderr.map(|stream| Box::new(stream) as Box<dyn io::Read + Send>));
        for stream in streams {
            let (inner, reading) = (inner.clone(), reading.clone());
            thread::spawn(move || {
                log::forward(stream, &inner.cleaner, &inner.tail);
                drop(reading);
            });
        }
        let inner = inner.clone();
        thread::spawn(move || inner.reap(child, group, start, &read));
        Ok(start)
    }

    /// From the second time on that this worker is told to stop, the WebUI gets no time to end.
    pub(crate) fn hurry_on_second_signal(&self) {
        let inner = self.inner.clone();
        if let Err(error) = haste::on_second_signal(move || inner.hurry()) {
            warn!(%error, "a second signal will not end the WebUI any sooner");
        }
    }

    /// Ends it: SIGTERM to the group, and SIGKILL when the grace is over. Returns when it is reaped.
    pub(crate) async fn stop(&self) {
        let mut life = self.inner.life.subscribe();
        let is_over = |life: &Life| !matches!(life, Life::Running { .. });
        let grace = self.inner.tell_to_end();
        if tokio::time::timeout(grace, life.wait_for(is_over)).await.is_err() {
            warn!(?grace, "the WebUI does not end; killing it");
            self.inner.signal(Signal::KILL);
            // The sender lives in `self`, so the channel cannot be closed.
            let _ = life.wait_for(is_over).await;
        }
    }

    /// Ends it for good, blocking this thread until it is reaped.
    pub(crate) fn close(&self) {
        let inner = &self.inner;
        inner.lock().closed = true;
        let grace = inner.tell_to_end();
        if !inner.is_reaped_within(grace) {
            warn!(?grace, "the WebUI does not end; killing it");
            inner.signal(Signal::KILL);
            inner.is_reaped_within(Duration::MAX);
        }
        let guard = inner.lock().guard.take();
        drop(guard);
    }

    /// Waits until the process that was started as number `start` has ended, and tells how.
    pub(crate) async fn ended(&self, start: u64) -> End {
        let mut life = self.inner.life.subscribe();
        let found = life
            .wait_for(|life| matches!(life, Life::Ended(end) if end.start >= start))
            .await
            .map(|life| life.clone());
        match found {
            Ok(Life::Ended(end)) => end,
            // The sender lives in `self`, so the channel cannot be closed.
            _ => std::future::pending().await,
        }
    }

    pub(crate) fn life(&self) -> Life {
        self.inner.life.borrow().clone()
    }

    /// The last lines that it wrote.
    pub(crate) fn tail(&self) -> &LogTail {
        &self.inner.tail
    }

    /// Bytes of memory in use by it and by what it has started. `None` if it does not run.
    pub(crate) fn resident(&self) -> Option<u64> {
        let group = self.inner.lock().group?;
        Some(memory::resident(group.as_raw_nonzero().get()))
    }
}

impl Inner {
    /// Waits for the end of the process, in a thread of its own.
    fn reap(&self, mut child: Child, group: Pid, start: u64, read: &Receiver<()>) {
        let began = Instant::now();
        // The dead process is left unreaped for now: that keeps its id, and with it the group's, its own.
        while let Err(rustix::io::Errno::INTR) =
            waitid(WaitId::Pid(group), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)
        {}
        let ran = began.elapsed();
        let status = {
            let mut running = self.lock();
            // What it has started would keep the port and the GPU's memory.
            let _ = kill_process_group(group, Signal::KILL);
            let status = child.wait();
            running.group = None;
            running.ending = false;
            running.watch(None);
            status
        };
        self.reaped.notify_all();
        // Both readers end, and nothing is ever sent: an error, sooner or later.
        let _ = read.recv_timeout(LAST_LINES);
        let how = status.map_or_else(|error| error.to_string(), describe);
        info!(how, ?ran, "the WebUI's process has ended");
        self.life.send_replace(Life::Ended(End { start, how, ran }));
    }

    /// Sends SIGTERM, and says how long to wait for the end.
    fn tell_to_end(&self) -> Duration {
        let mut running = self.lock();
        running.ending = running.group.is_some();
        running.signal(Signal::TERM);
        if running.hurried {
            Duration::ZERO
        } else {
            self.stop_grace
        }
    }

    fn hurry(&self) {
        let mut running = self.lock();
        running.hurried = true;
        if running.ending && running.group.is_some() {
            info!("told to stop once more; killing the WebUI");
            running.signal(Signal::KILL);
        }
    }

    fn signal(&self, signal: Signal) {
        self.lock().signal(signal);
    }

    fn is_reaped_within(&self, limit: Duration) -> bool {
        let running = self.lock();
        let is_there = |running: &mut Running| running.group.is_some();
        let (running, _) = self
            .reaped
            .wait_timeout_while(running, limit, is_there)
            .unwrap_or_else(PoisonError::into_inner);
        running.group.is_none()
    }

    fn lock(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running {
    fn signal(&self, signal: Signal) {
        if let Some(group) = self.group
            && let Err(error) = kill_process_group(group, signal)
        {
            debug!(%error, ?signal, "the WebUI got no signal");
        }
    }

    fn watch(&mut self, group: Option<Pid>) {
        if let Some(Err(error)) = self.guard.as_mut().map(|guard| guard.watch(group)) {
            warn!(%error, "the WebUI's guard has gone");
            self.guard = None;
        }
    }
}

fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("with exit code {code}"),
        (None, Some(signal)) => format!("by signal {signal}"),
        (None, None) => status.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, grace: Duration) -> Process {
        let command = format!("sh -c '{script}'").parse().unwrap();
        Process::new(command, None, grace, [])
    }

    async fn soon<F: Future>(what: F) -> F::Output {
        tokio::time::timeout(Duration::from_secs(30), what).await.unwrap()
    }

    #[tokio::test]
    async fn an_end_is_told_with_its_code_and_the_last_lines() {
        let process = shell("echo one; echo two >&2; exit 3", Duration::from_secs(5));
        let start = process.start().unwrap();
        let end = soon(process.ended(start)).await;
        assert_eq!(end.how, "with exit code 3");
        let mut lines = process.tail().lines();
        lines.sort();
        assert_eq!(lines, ["one", "two"]);
        assert_eq!(process.resident(), None);
    }

    #[tokio::test]
    async fn what_ignores_sigterm_is_killed_after_the_grace() {
        let process = shell(
            "trap \"\" TERM; echo up; while :; do sleep 1; done",
            Duration::from_millis(50),
        );
        let start = process.start().unwrap();
        soon(async {
            while process.tail().lines().is_empty() {
                tokio::task::yield_now().await;
            }
        })
        .await;
        soon(process.stop()).await;
        assert_eq!(soon(process.ended(start)).await.how, "by signal 9");
    }

    /// A process that has said that it ignores SIGTERM.
    async fn deaf() -> Process {
        let process = shell(
            "trap \"\" TERM; echo up; while :; do sleep 1; done",
            Duration::from_mins(10),
        );
        process.start().unwrap();
        soon(async {
            while process.tail().lines().is_empty() {
                tokio::task::yield_now().await;
            }
        })
        .await;
        process
    }

    #[tokio::test]
    async fn haste_ends_a_grace_that_has_begun_and_one_that_has_not() {
        let process = deaf().await;
        let stopping = process.clone();
        let stopped = tokio::spawn(async move { stopping.stop().await });
        soon(async {
            while !process.inner.lock().ending {
                tokio::task::yield_now().await;
            }
        })
        .await;
        process.inner.hurry();
        soon(stopped).await.unwrap();
        assert_eq!(soon(process.ended(1)).await.how, "by signal 9");

        let process = deaf().await;
        process.inner.hurry();
        assert!(process.resident().is_some(), "it was not told to end");
        soon(process.stop()).await;
        assert_eq!(soon(process.ended(1)).await.how, "by signal 9");
    }

    #[tokio::test]
    async fn haste_does_not_end_a_process_that_came_after_one_that_was_told_to_end() {
        let process = shell("exec sleep 1000", Duration::from_secs(5));
        // The one before has died by itself.
        soon(process.stop()).await;
        process.start().unwrap();
        process.inner.hurry();
        // With its grace again: SIGKILL would have come before.
        process.inner.lock().hurried = false;
        soon(process.stop()).await;
        assert_eq!(soon(process.ended(1)).await.how, "by signal 15");
    }

    #[tokio::test]
    async fn what_it_has_started_ends_with_it() {
        let process = shell("sleep 1000 & echo $!; exit 0", Duration::from_secs(5));
        let start = process.start().unwrap();
        soon(process.ended(start)).await;
        let child: i32 = process.tail().lines()[0].parse().unwrap();
        let child = Pid::from_raw(child).unwrap();
        // Whoever inherits orphans reaps it, sooner or later.
        soon(async {
            while rustix::process::test_kill_process(child).is_ok()
                && !std::fs::read_to_string(format!("/proc/{}/stat", child.as_raw_nonzero()))
                    .is_ok_and(|stat| stat.contains(") Z "))
            {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }

    #[tokio::test]
    async fn it_can_be_started_again_until_it_is_closed() {
        let process = shell("exec sleep 1000", Duration::from_secs(5));
        assert_eq!(process.start().unwrap(), 1);
        assert_eq!(process.start().unwrap(), 1, "it runs already");
        assert!(process.resident().unwrap() > 0);
        soon(process.stop()).await;
        assert_eq!(process.start().unwrap(), 2);
        process.close();
        assert_eq!(soon(process.ended(2)).await.how, "by signal 15");
        assert!(matches!(process.start(), Err(CannotStart::Closed)));
    }

    #[test]
    fn a_program_that_does_not_exist_is_named() {
        let process = Process::new("no-such-webui".parse().unwrap(), None, Duration::ZERO, []);
        let error = process.start().unwrap_err().to_string();
        assert!(
            error.starts_with("'no-such-webui' can't be started: No such file"),
            "{error}"
        );
    }
}
