//! The WebUI's process, if the worker starts it: it is started, logged, ended, and always reaped.
//!
//! It gets a process group of its own, so that its children end with it and Ctrl-C reaches the worker alone. A thread
//! waits for it, so its death is noticed at once. The [supervisor](super::Supervisor) decides whether it is started
//! again.

mod guard;
mod line;
mod log;
mod memory;
mod second_signal;
mod spawn;
mod thinner;

use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use runpod_child::{GroupLeader, ProcessGroup, hide_own_environment, reap_orphans};
use tokio::sync::watch;
use tracing::{debug, info, warn};

use self::guard::Guard;
use self::line::Cleaner;

pub(crate) use guard::run_if_asked;
pub(super) use log::LogTail;
pub(crate) use spawn::WebUiProgram;

/// How long the last lines of a dead process are waited for. A child that left the group may hold the pipe open for
/// ever.
const LAST_LINES: Duration = Duration::from_millis(500);

/// The WebUI's process. Its clones are the same process.
#[derive(Debug, Clone)]
pub(crate) struct Process {
    inner: Arc<ProcessShared>,
}

#[derive(Debug)]
struct ProcessShared {
    program: WebUiProgram,
    stop_grace: Duration,
    cleaner: Cleaner,
    tail: LogTail,
    state: watch::Sender<ProcessState>,
    group: Mutex<Group>,
    reaped: Condvar,
}

#[derive(Debug, Default)]
struct Group {
    /// The group's id, which is that of its leader. It is cleared when the leader is reaped, because the system may
    /// then give the id to another process.
    id: Option<ProcessGroup>,
    guard: Option<Guard>,
    starts: u64,
    /// The worker is ending, so nothing is started any more.
    closed: bool,
    /// The process got SIGTERM, and its grace is running.
    ending: bool,
    /// The worker got a second signal to stop, so there is no grace any more.
    without_grace: bool,
}

/// The state of the process that was started last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ProcessState {
    NeverStarted,
    Running { start: u64 },
    Ended(ProcessExit),
}

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProcessExit {
    /// The number of its start, from 1.
    pub(crate) start: u64,
    /// `with exit code 3`, `by signal 9`.
    pub(crate) how: String,
    pub(crate) ran: Duration,
}

/// Why the process cannot be started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CannotStart {
    #[error("'{program}' can't be started: {reason}")]
    NotStarted { program: String, reason: io::Error },
    #[error("the worker is ending")]
    Closed,
}

impl Process {
    /// A process that is not started yet. Its log hides the WebUI's credentials, and the values of variables and of flags of
    /// its command line with secret names.
    pub(crate) fn new(program: WebUiProgram, stop_grace: Duration) -> Self {
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        let inner = ProcessShared {
            cleaner: Cleaner::new(variables, program.secrets()),
            program,
            stop_grace,
            tail: LogTail::default(),
            state: watch::Sender::new(ProcessState::NeverStarted),
            group: Mutex::default(),
            reaped: Condvar::new(),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Starts the process, unless it runs, and returns the number of the start.
    pub(super) fn start(&self) -> Result<u64, CannotStart> {
        let inner = &self.inner;
        let mut group = inner.group.lock();
        if group.closed {
            return Err(CannotStart::Closed);
        }
        if group.id.is_some() {
            return Ok(group.starts);
        }
        if group.starts == 0 {
            prepare(&inner.program);
        }
        if group.guard.is_none() {
            match Guard::start() {
                Ok(guard) => group.guard = Some(guard),
                Err(error) => warn!(%error, "if this worker is killed, the WebUI will stay: no guard"),
            }
        }
        let not_started = |reason| CannotStart::NotStarted {
            program: inner.program.name().to_owned(),
            reason,
        };
        let mut child = inner.program.command().spawn().map_err(not_started)?;
        let id = child.group();
        group.id = Some(id);
        group.ending = false;
        group.guard_against_orphans();
        group.starts += 1;
        let start = group.starts;
        inner.state.send_replace(ProcessState::Running { start });
        info!(
            pid = id.id(),
            program = inner.program.name(),
            "the WebUI was started"
        );

        let (reading, read) = channel::<()>();
        let streams = [
            child
                .stdout()
                .map(|stream| Box::new(stream) as Box<dyn io::Read + Send>),
            child
                .stderr()
                .map(|stream| Box::new(stream) as Box<dyn io::Read + Send>),
        ];
        for stream in streams.into_iter().flatten() {
            let (inner, reading) = (inner.clone(), reading.clone());
            thread::spawn(move || {
                log::forward(stream, &inner.cleaner, &inner.tail);
                drop(reading);
            });
        }
        let inner = inner.clone();
        thread::spawn(move || inner.reap(child, start, &read));
        Ok(start)
    }

    /// Kills the process without a grace when the worker gets its second signal to stop.
    pub(crate) fn kill_on_second_signal(&self) {
        let inner = self.inner.clone();
        if let Err(error) = second_signal::on_second_signal(move || inner.end_grace()) {
            warn!(%error, "a second signal will not end the WebUI any sooner");
        }
    }

    /// Ends the process: SIGTERM to its group, and SIGKILL when the grace is over. Returns when it is reaped.
    pub(super) async fn stop(&self) {
        let mut state = self.inner.state.subscribe();
        let is_over = |state: &ProcessState| !matches!(state, ProcessState::Running { .. });
        let grace = self.inner.terminate();
        if tokio::time::timeout(grace, state.wait_for(is_over))
            .await
            .is_err()
        {
            warn!(?grace, "the WebUI does not end; killing it");
            self.inner.kill();
            // The sender lives in `self`, so the channel cannot be closed.
            let _ = state.wait_for(is_over).await;
        }
    }

    /// Ends the process for good. Blocks this thread until it is reaped.
    pub(crate) fn close(&self) {
        let inner = &self.inner;
        inner.group.lock().closed = true;
        let grace = inner.terminate();
        if !inner.is_reaped_within(grace) {
            warn!(?grace, "the WebUI does not end; killing it");
            inner.kill();
            inner.is_reaped_within(Duration::MAX);
        }
        let guard = inner.group.lock().guard.take();
        drop(guard);
    }

    /// Waits until the process of start number `start` has ended.
    pub(super) async fn ended(&self, start: u64) -> ProcessExit {
        let mut state = self.inner.state.subscribe();
        let found = state
            .wait_for(|state| matches!(state, ProcessState::Ended(exit) if exit.start >= start))
            .await
            .map(|state| state.clone());
        match found {
            Ok(ProcessState::Ended(exit)) => exit,
            // The sender lives in `self`, so the channel cannot be closed.
            _ => std::future::pending().await,
        }
    }

    pub(super) fn state(&self) -> ProcessState {
        self.inner.state.borrow().clone()
    }

    /// The last lines that the process wrote.
    pub(super) fn tail(&self) -> &LogTail {
        &self.inner.tail
    }

    /// The bytes of memory that the process and its children hold. `None` if it does not run.
    pub(super) fn resident(&self) -> Option<u64> {
        let id = self.inner.group.lock().id?;
        Some(memory::resident(id.id()))
    }
}

impl ProcessShared {
    /// Waits for the end of the process, on a thread of its own, and reaps it.
    fn reap(&self, child: GroupLeader, start: u64, read: &Receiver<()>) {
        let began = Instant::now();
        // The dead process is left unreaped for now, so that the system cannot give the group's id to another one.
        child.wait_for_end();
        let ran = began.elapsed();
        let status = {
            let mut group = self.group.lock();
            let status = child.reap();
            group.id = None;
            group.ending = false;
            group.guard_against_orphans();
            status
        };
        self.reaped.notify_all();
        // Nothing is ever sent. The channel closes when both log readers have ended.
        let _ = read.recv_timeout(LAST_LINES);
        let how = status.map_or_else(|error| error.to_string(), describe);
        info!(how, ?ran, "the WebUI's process has ended");
        self.state
            .send_replace(ProcessState::Ended(ProcessExit { start, how, ran }));
    }

    /// Sends SIGTERM, and returns how long to wait for the end.
    fn terminate(&self) -> Duration {
        let mut group = self.group.lock();
        group.ending = group.id.is_some();
        group.signal("SIGTERM", ProcessGroup::terminate);
        if group.without_grace {
            Duration::ZERO
        } else {
            self.stop_grace
        }
    }

    /// Ends the grace, the running one and later ones.
    fn end_grace(&self) {
        let mut group = self.group.lock();
        group.without_grace = true;
        if group.ending && group.id.is_some() {
            info!("told to stop once more; killing the WebUI");
            group.kill();
        }
    }

    fn kill(&self) {
        self.group.lock().kill();
    }

    fn is_reaped_within(&self, limit: Duration) -> bool {
        let mut group = self.group.lock();
        self.reaped
            .wait_while_for(&mut group, |group| group.id.is_some(), limit);
        group.id.is_none()
    }
}

impl Group {
    fn kill(&self) {
        self.signal("SIGKILL", ProcessGroup::kill);
    }

    fn signal(&self, name: &str, send: impl FnOnce(ProcessGroup) -> io::Result<()>) {
        if let Some(id) = self.id
            && let Err(error) = send(id)
        {
            debug!(%error, "the WebUI got no {name}");
        }
    }

    /// Tells the guard which group to kill if the worker dies.
    fn guard_against_orphans(&mut self) {
        let id = self.id;
        if let Some(Err(error)) = self.guard.as_mut().map(|guard| guard.watch(id)) {
            warn!(%error, "the WebUI's guard has gone");
            self.guard = None;
        }
    }
}

/// Before the first start: what the WebUI leaves behind is reaped, and it cannot read the worker's own keys.
fn prepare(program: &WebUiProgram) {
    if let Err(error) = reap_orphans() {
        warn!(%error, "processes that the WebUI leaves behind are not reaped");
    }
    if let Err(error) = hide_own_environment() {
        warn!(%error, "the WebUI may read the worker's environment under /proc");
    }
    let withheld = program.withheld();
    if !withheld.is_empty() {
        info!(
            "the WebUI does not get these variables: {}; name those that it needs in SD_WORKER_WEBUI_ENV",
            withheld.join(", ")
        );
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
mod tests;
