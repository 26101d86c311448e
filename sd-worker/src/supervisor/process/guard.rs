//! The net below everything else: ends the WebUI when this worker was killed.
//!
//! A process that is killed by SIGKILL cannot tidy up, and the signal that Linux sends to the children of
//! a dead parent reaches only the child itself, not what a start script has started. So a second, tiny
//! process of this same program waits at the end of a pipe. The pipe closes when the worker is gone, however it
//! went, and the guard then kills the process group that it was told of.

use std::io::{self, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, Command, ExitCode, Stdio};

use rustix::process::{Pid, Signal, kill_process_group};

/// What makes this program a guard: its first and only argument.
const ARGUMENT: &str = "__guard-webui";

/// The guard, seen from the worker.
#[derive(Debug)]
pub(super) struct Guard {
    child: Child,
    orders: Option<ChildStdin>,
}

impl Guard {
    /// Starts it, in a process group of its own: Ctrl-C is for the worker alone.
    pub(super) fn start() -> io::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg(ARGUMENT)
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        let orders = child.stdin.take();
        Ok(Self { child, orders })
    }

    /// From now on this group is to be killed when the worker is gone; `None`: nothing is.
    pub(super) fn watch(&mut self, group: Option<Pid>) -> io::Result<()> {
        let group = group.map_or(0, |group| group.as_raw_nonzero().get());
        match &mut self.orders {
            Some(orders) => writeln!(orders, "{group}"),
            None => Ok(()),
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // It reads the end of its orders and ends.
        self.orders = None;
        let _ = self.child.wait();
    }
}

/// Does the guard's work, if this process was started for it. Blocks until the worker is gone.
pub(crate) fn run_if_asked() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next()? != ARGUMENT || arguments.next().is_some() {
        return None;
    }
    if let Some(group) = last_order(BufReader::new(io::stdin().lock())) {
        // It may have ended by itself.
        let _ = kill_process_group(group, Signal::KILL);
    }
    Some(ExitCode::SUCCESS)
}

/// The group to kill once the orders have ended.
fn last_order(orders: impl io::BufRead) -> Option<Pid> {
    let last = orders.lines().map_while(Result::ok).last()?;
    // `kill` gives 0 and 1 meanings of their own.
    last.parse()
        .ok()
        .filter(|group| *group > 1)
        .and_then(Pid::from_raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_order_counts() {
        let last = |text: &str| last_order(text.as_bytes()).map(|group| group.as_raw_nonzero().get());
        assert_eq!(last("12\n0\n34\n"), Some(34));
        assert_eq!(last("12\n0\n"), None);
        assert_eq!(last(""), None);
        for dangerous in ["1", "-5", "x"] {
            assert_eq!(last(dangerous), None);
        }
    }
}
