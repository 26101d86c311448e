//! How a child is started.

use std::ffi::OsStr;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::environment::Inheritance;
use crate::gpus::{self, VisibleGpus};
use crate::group::GroupLeader;
use crate::registry;

/// A program that is started as the leader of a process group of its own, so that a Ctrl-C for this process does not
/// reach it, and what it has started can be ended with it.
///
/// Of this process's variables it gets those of an [`Inheritance`], and no other. Its standard input is empty; its output
/// and errors are those of this process unless they are set.
///
/// ```
/// use std::process::Stdio;
/// use runpod_child::{ChildBuilder, Inheritance};
///
/// let mut child = ChildBuilder::new("sh", &Inheritance::usual());
/// child.arguments(["-c", "exit 3"]).stdout(Stdio::null());
/// let child = child.spawn()?;
/// child.wait_for_end();
/// assert_eq!(child.reap()?.code(), Some(3));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct ChildBuilder {
    command: Command,
}

impl ChildBuilder {
    /// A program, by path or by its name in a directory of `PATH`.
    pub fn new(program: impl AsRef<OsStr>, inheritance: &Inheritance) -> Self {
        let mut command = Command::new(program);
        command
            .env_clear()
            .envs(inheritance.variables())
            .stdin(Stdio::null())
            .process_group(0);
        Self { command }
    }

    /// Adds arguments.
    pub fn arguments(&mut self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> &mut Self {
        self.command.args(arguments);
        self
    }

    /// Starts it in this directory instead of the current one.
    pub fn directory(&mut self, directory: impl AsRef<Path>) -> &mut Self {
        self.command.current_dir(directory);
        self
    }

    /// Sets a variable, inherited or not.
    pub fn variable(&mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> &mut Self {
        self.command.env(name, value);
        self
    }

    /// Shows it these GPUs alone.
    pub fn gpus(&mut self, gpus: &VisibleGpus) -> &mut Self {
        self.variable(gpus::VARIABLE, gpus.value())
    }

    /// Sets its standard input.
    pub fn stdin(&mut self, stream: impl Into<Stdio>) -> &mut Self {
        self.command.stdin(stream);
        self
    }

    /// Sets its standard output.
    pub fn stdout(&mut self, stream: impl Into<Stdio>) -> &mut Self {
        self.command.stdout(stream);
        self
    }

    /// Sets its standard error.
    pub fn stderr(&mut self, stream: impl Into<Stdio>) -> &mut Self {
        self.command.stderr(stream);
        self
    }

    /// Starts it.
    ///
    /// # Errors
    ///
    /// The program or the directory does not exist or may not be used, or the system has no room for a process.
    pub fn spawn(&mut self) -> io::Result<GroupLeader> {
        registry::spawn(&mut self.command).map(GroupLeader::new)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn output(builder: &mut ChildBuilder) -> String {
        let mut child = builder.stdout(Stdio::piped()).spawn().unwrap();
        let mut text = String::new();
        child.stdout().unwrap().read_to_string(&mut text).unwrap();
        child.wait_for_end();
        assert!(child.reap().unwrap().success());
        text
    }

    #[test]
    fn a_child_has_the_variables_that_it_inherits_and_those_that_are_set() {
        let mut builder = ChildBuilder::new("env", &Inheritance::nothing().and(["PATH"]));
        builder
            .variable("GREETING", "hello")
            .gpus(&VisibleGpus::of(Some("3"), 8));
        let text = output(&mut builder);
        let mut names: Vec<&str> = text.lines().filter_map(|line| line.split('=').next()).collect();
        names.sort_unstable();
        assert_eq!(names, ["CUDA_VISIBLE_DEVICES", "GREETING", "PATH"]);
        assert!(text.contains("GREETING=hello") && text.contains("CUDA_VISIBLE_DEVICES=3"));
    }

    #[test]
    fn a_child_leads_a_group_of_its_own() {
        let mut builder = ChildBuilder::new("sh", &Inheritance::usual());
        builder.arguments([
            "-c",
            "echo $$; read -r _ _ _ _ group _ < /proc/$$/stat; echo $group",
        ]);
        let text = output(&mut builder);
        let mut lines = text.lines();
        assert_eq!(lines.next(), lines.next(), "{text}");
    }

    #[test]
    fn a_program_that_does_not_exist_is_an_error() {
        let started = ChildBuilder::new("no-such-program", &Inheritance::usual()).spawn();
        assert_eq!(started.unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
