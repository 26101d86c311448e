//! A helper process that ends the WebUI when the worker is killed.
//!
//! A process that gets SIGKILL cannot clean up. The signal that Linux sends to the children of a dead parent reaches
//! the child alone, not the processes of a start script. So a second process of this program waits at the end of a pipe.
//! The pipe closes when the worker is gone, and the guard then kills the WebUI's process group.

use std::io::{self, BufReader, Write as _};
use std::process::{ChildStdin, ExitCode, Stdio};

use runpod_child::{ChildBuilder, GroupLeader, Inheritance, ProcessGroup};

/// The first and only argument of a guard.
const ARGUMENT: &str = "__guard-webui";

/// The guard's process, as the worker holds it.
#[derive(Debug)]
pub(super) struct Guard {
    /// `None` when it is reaped.
    child: Option<GroupLeader>,
    orders: Option<ChildStdin>,
}

impl Guard {
    /// Starts the guard in a process group of its own, so that Ctrl-C reaches the worker alone.
    pub(super) fn start() -> io::Result<Self> {
        let mut child = ChildBuilder::new(std::env::current_exe()?, &Inheritance::nothing())
            .arguments([ARGUMENT])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let orders = child.stdin();
        Ok(Self {
            child: Some(child),
            orders,
        })
    }

    /// Sets the group to kill when the worker is gone; `None` for no group.
    pub(super) fn watch(&mut self, group: Option<ProcessGroup>) -> io::Result<()> {
        let group = group.map_or(0, ProcessGroup::id);
        match &mut self.orders {
            Some(orders) => writeln!(orders, "{group}"),
            None => Ok(()),
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // It reads the end of the pipe and exits.
        self.orders = None;
        if let Some(child) = self.child.take() {
            child.wait_for_end();
            // Its status tells nothing.
            let _ = child.reap();
        }
    }
}

/// Runs the guard, if this process was started as one. Blocks until the worker is gone.
pub(crate) fn run_if_asked() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next()? != ARGUMENT || arguments.next().is_some() {
        return None;
    }
    if let Some(group) = last_order(BufReader::new(io::stdin().lock())) {
        // It may have ended by itself.
        let _ = group.kill();
    }
    Some(ExitCode::SUCCESS)
}

/// The group of the last order.
fn last_order(orders: impl io::BufRead) -> Option<ProcessGroup> {
    let last = orders.lines().map_while(Result::ok).last()?;
    ProcessGroup::of(last.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_order_counts() {
        let last = |text: &str| last_order(text.as_bytes()).map(ProcessGroup::id);
        assert_eq!(last("12\n0\n34\n"), Some(34));
        assert_eq!(last("12\n0\n"), None);
        assert_eq!(last(""), None);
        for dangerous in ["1", "-5", "x"] {
            assert_eq!(last(dangerous), None);
        }
    }
}
