//! The first moments of a worker's process: it is bound to the command's life, then it becomes the worker.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::Context as _;

/// The hidden subcommand that does it.
pub const NAME: &str = "worker-process";

/// Becomes `command`. Returns only when that fails.
///
/// The system kills the process when the command dies, by SIGKILL as well (on Linux alone; elsewhere a worker outlives
/// a command that was killed so).
pub fn run(command: &[OsString]) -> anyhow::Result<()> {
    die_with_parent()?;
    let (program, arguments) = command.split_first().context("no command was given")?;
    let failed = Command::new(program).args(arguments).exec();
    Err(failed).with_context(|| format!("cannot run {}", program.display()))
}

#[cfg(target_os = "linux")]
fn die_with_parent() -> anyhow::Result<()> {
    use rustix::process::{Signal, getppid, set_parent_process_death_signal};

    let parent = getppid();
    set_parent_process_death_signal(Some(Signal::KILL)).context("cannot bind this process to its parent")?;
    // A parent that died before the call is not reported by it.
    anyhow::ensure!(getppid() == parent, "the command has ended");
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn die_with_parent() -> anyhow::Result<()> {
    Ok(())
}
