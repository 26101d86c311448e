//! A child and the processes that it starts: signals for all of them, and the end.

use std::io;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, ExitStatus};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use crate::registry;

/// A child that leads a process group. One that is dropped before it was [reaped](Self::reap) goes on running, and is
/// reaped with the orphans.
#[derive(Debug)]
pub struct GroupLeader {
    child: Child,
}

/// A process group, by the id of its leader. The id is the group's until the leader is reaped; then the system may give
/// it to another process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessGroup(Pid);

impl GroupLeader {
    pub(crate) fn new(child: Child) -> Self {
        Self { child }
    }

    /// The group that it leads.
    pub fn group(&self) -> ProcessGroup {
        ProcessGroup(Pid::from_child(&self.child))
    }

    /// The pipe to its standard input, if that was asked for and is not taken.
    pub fn stdin(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// The pipe from its standard output, if that was asked for and is not taken.
    pub fn stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// The pipe from its standard error, if that was asked for and is not taken.
    pub fn stderr(&mut self) -> Option<ChildStderr> {
        self.child.stderr.take()
    }

    /// Blocks until it has ended. It is not reaped, so its group keeps its id.
    pub fn wait_for_end(&self) {
        let id = Pid::from_child(&self.child);
        while let Err(rustix::io::Errno::INTR) =
            waitid(WaitId::Pid(id), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)
        {}
    }

    /// Blocks until it has ended, kills what is left of its group, and reaps it.
    ///
    /// # Errors
    ///
    /// Its status is not known, because something else has reaped it.
    pub fn reap(mut self) -> io::Result<ExitStatus> {
        self.wait_for_end();
        // What it has started would keep ports, files and the GPU's memory. The group may be empty.
        let _ = self.group().kill();
        registry::reap(&mut self.child)
    }
}

impl Drop for GroupLeader {
    fn drop(&mut self) {
        registry::forget(&self.child);
    }
}

impl ProcessGroup {
    /// A group by its id. `None` for 0, 1 and negative numbers, which mean other processes to the system.
    pub fn of(id: i32) -> Option<Self> {
        (id > 1).then(|| Pid::from_raw(id)).flatten().map(Self)
    }

    /// The id of the group, and of its leader.
    pub fn id(self) -> i32 {
        self.0.as_raw_nonzero().get()
    }

    /// Asks its processes to end: SIGTERM.
    ///
    /// # Errors
    ///
    /// There is no such group, or it is another user's.
    pub fn terminate(self) -> io::Result<()> {
        Ok(kill_process_group(self.0, Signal::TERM)?)
    }

    /// Ends its processes: SIGKILL.
    ///
    /// # Errors
    ///
    /// There is no such group, or it is another user's.
    pub fn kill(self) -> io::Result<()> {
        Ok(kill_process_group(self.0, Signal::KILL)?)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader};
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::Stdio;

    use super::*;
    use crate::{ChildBuilder, Inheritance};

    fn shell(script: &str) -> GroupLeader {
        let mut builder = ChildBuilder::new("sh", &Inheritance::usual());
        builder.arguments(["-c", script]).stdout(Stdio::piped());
        builder.spawn().unwrap()
    }

    #[test]
    fn what_a_child_has_started_ends_with_it() {
        let mut child = shell("sleep 1000 & echo $!");
        let mut pipe = BufReader::new(child.stdout().unwrap());
        let mut grandchild = String::new();
        pipe.read_line(&mut grandchild).unwrap();
        assert_eq!(child.reap().unwrap().code(), Some(0));
        // The grandchild has held the pipe open.
        assert_eq!(pipe.read_line(&mut String::new()).unwrap(), 0, "{grandchild}");
    }

    #[test]
    fn a_group_is_asked_to_end_and_killed() {
        let child = shell("sleep 1000");
        child.group().terminate().unwrap();
        assert_eq!(child.reap().unwrap().signal(), Some(15));
        let child = shell("trap '' TERM; sleep 1000");
        child.group().kill().unwrap();
        assert_eq!(child.reap().unwrap().signal(), Some(9));
    }

    #[test]
    fn ids_with_another_meaning_are_no_groups() {
        assert!(
            [0, 1, -1, -7]
                .into_iter()
                .all(|id| ProcessGroup::of(id).is_none())
        );
        assert_eq!(ProcessGroup::of(7).unwrap().id(), 7);
    }
}
