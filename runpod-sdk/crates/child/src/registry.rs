//! The children that this crate has started and not reaped yet, which tell an orphan from a child.

use std::collections::BTreeSet;
use std::io;
use std::process::{Child, Command, ExitStatus};

use parking_lot::Mutex;
use rustix::process::Pid;

/// The lock is held while a child is started or reaped, so that no child is ever taken for an orphan.
static CHILDREN: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

pub(crate) fn spawn(command: &mut Command) -> io::Result<Child> {
    let mut children = CHILDREN.lock();
    let child = command.spawn()?;
    children.insert(raw(Pid::from_child(&child)));
    Ok(child)
}

/// Reaps a child that has ended.
pub(crate) fn reap(child: &mut Child) -> io::Result<ExitStatus> {
    let mut children = CHILDREN.lock();
    let status = child.wait();
    children.remove(&raw(Pid::from_child(child)));
    status
}

/// Gives a child up: it is an orphan from now on.
pub(crate) fn forget(child: &Child) {
    CHILDREN.lock().remove(&raw(Pid::from_child(child)));
}

/// Calls `act` with a test for children while none can be started or reaped.
pub(crate) fn with_children(act: impl FnOnce(&dyn Fn(i32) -> bool)) {
    let children = CHILDREN.lock();
    act(&|process| children.contains(&process));
}

fn raw(process: Pid) -> i32 {
    process.as_raw_nonzero().get()
}
