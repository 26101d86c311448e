//! Fresh worker processes beside a platform on this machine.
//!
//! RunPod replaces a worker that asks for it by a new one. The first worker lives in the process of the platform. Each
//! that replaces it is a process of its own, started as this one was, but without the flags of the platform.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use runpod_local::LocalPlatform;
use runpod_protocol::variable;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tracing::{error, info, warn};

use crate::boot::flags;
use crate::boot::stop_signals::StopSignals;
use crate::error::StartupError;

/// The variable that names the process of the platform to its workers.
const PLATFORM_PROCESS: &str = "RUNPOD_LOCAL_PLATFORM_PROCESS";

/// The workers of one platform that replace its first.
pub(super) struct Replacements<'a> {
    pub(super) platform: &'a LocalPlatform,
    pub(super) endpoint: &'a str,
    /// The number of jobs at once, if a flag sets it.
    pub(super) concurrency: Option<NonZeroUsize>,
}

impl Replacements<'_> {
    /// Runs one worker process after the other, until a signal comes or one fails. Returns whether the last ended well.
    pub(super) async fn run(&self, signals: &mut StopSignals) -> Result<bool, StartupError> {
        for number in 2_u64.. {
            info!("a fresh worker process replaces the worker that asked for it");
            let mut worker = self.spawn(number).map_err(not_started)?;
            let ended = tokio::select! {
                ended = worker.wait() => ended.map_err(not_started)?,
                _ = signals.next() => return stop(worker, signals).await.map_err(not_started),
            };
            if !ended.success() {
                error!("the worker process has ended: {ended}");
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn spawn(&self, number: u64) -> std::io::Result<Child> {
        let id = format!("{}-{number}", super::WORKER);
        let mut environment: BTreeMap<String, String> =
            self.platform.worker_env(self.endpoint, &id).into_iter().collect();
        if let Some(jobs) = self.concurrency {
            const NAME: &str = "RUNPOD_WORKER_CONCURRENCY";
            let jobs = variable::from_environment(NAME).unwrap_or_else(|| jobs.to_string());
            environment.insert(NAME.to_owned(), jobs);
        }
        Command::new(std::env::current_exe()?)
            .args(flags::without_platform(std::env::args().skip(1)))
            .envs(environment)
            .env(PLATFORM_PROCESS, std::process::id().to_string())
            // Ctrl-C reaches this process alone, which passes it on.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
    }
}

/// Passes a signal on: the worker drains at the first and is killed at the second.
async fn stop(mut worker: Child, signals: &mut StopSignals) -> std::io::Result<bool> {
    let process = worker.id().and_then(|id| Pid::from_raw(id.cast_signed()));
    // A process that is not reaped yet keeps its id.
    let asked = process.map_or(Ok(()), |process| kill_process(process, Signal::TERM));
    if let Err(problem) = asked {
        warn!(%problem, "the worker process can't be asked to end");
    }
    let ended: ExitStatus = tokio::select! {
        ended = worker.wait() => ended?,
        _ = signals.next() => {
            worker.start_kill()?;
            worker.wait().await?
        }
    };
    // One that is so young that it does not listen for signals yet is ended by this one.
    Ok(ended.success() || ended.signal() == Some(Signal::TERM.as_raw()))
}

fn not_started(source: std::io::Error) -> StartupError {
    StartupError::NoThread {
        what: "fresh worker process",
        source,
    }
}

/// Whether the platform of another process has started this worker. If so, this process ends with that one.
pub(in crate::boot) fn belongs_to_platform() -> bool {
    let parent = rustix::process::getppid().map(|parent| parent.as_raw_nonzero().to_string());
    let belongs = parent.is_some() && variable::from_environment(PLATFORM_PROCESS) == parent;
    #[cfg(target_os = "linux")]
    if belongs {
        // Where the system refuses, the worker outlives a platform that is killed.
        let _ = rustix::process::set_parent_process_death_signal(Some(Signal::TERM));
    }
    belongs
}
