//! Keeps other processes of the same user from reading this one.

use std::io;

/// Keeps this process's environment and memory from other processes of the same user, its children among them: they
/// cannot read `/proc/<pid>/environ` or `/proc/<pid>/mem` any more, nor attach a debugger, unless they may trace any
/// process (`CAP_SYS_PTRACE`, `CAP_PERFMON` or `CAP_SYS_ADMIN`, which containers do not have by default). This process dumps no
/// core then.
///
/// Its command line stays readable, and so does the environment of other processes with the same variables, such as that
/// of a shell that started this one. On systems other than Linux this does nothing.
///
/// # Errors
///
/// The system refuses.
#[cfg(target_os = "linux")]
pub fn hide_own_environment() -> io::Result<()> {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};
    Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}

/// Does nothing on this system.
///
/// # Errors
///
/// None.
#[cfg(not(target_os = "linux"))]
pub fn hide_own_environment() -> io::Result<()> {
    Ok(())
}
