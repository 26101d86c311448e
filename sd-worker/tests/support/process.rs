//! The program under test: started, listened to, signalled, and killed when it is no longer needed.

use std::process::{ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::watch;

use super::soon;

/// The worker, with nothing in its environment.
pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sd-worker"));
    command.env_clear().stdin(Stdio::null());
    command
}

/// A running program. Dropping it kills it.
pub(crate) struct Program {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: watch::Sender<Vec<String>>,
}

impl Program {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lines = watch::Sender::new(Vec::new());
        tokio::spawn(listen(child.stdout.take().unwrap(), lines.clone()));
        tokio::spawn(listen(child.stderr.take().unwrap(), lines.clone()));
        Self {
            stdin: child.stdin.take(),
            child,
            lines,
        }
    }

    /// Everything it has said so far.
    pub(crate) fn log(&self) -> String {
        self.lines.borrow().join("\n")
    }

    /// Waits until it says a line that contains `words`, and returns the line.
    pub(crate) async fn says(&self, words: &str) -> String {
        let mut lines = self.lines.subscribe();
        let find = |lines: &Vec<String>| lines.iter().find(|line| line.contains(words)).cloned();
        let found = tokio::time::timeout(super::PATIENCE, lines.wait_for(|lines| find(lines).is_some()))
            .await
            .ok()
            .and_then(Result::ok)
            .and_then(|lines| find(&lines));
        found.unwrap_or_else(|| panic!("it never said {words:?}:\n{}", self.log()))
    }

    /// Writes a line to its standard input, which must be a pipe.
    pub(crate) async fn tell(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().unwrap();
        stdin.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }

    /// Asks it to stop, as the platform does.
    pub(crate) fn terminate(&self) {
        self.send(Signal::TERM);
    }

    /// Lets it do nothing until it is told to go on.
    pub(crate) fn freeze(&self) {
        self.send(Signal::STOP);
    }

    /// Ends a freeze.
    pub(crate) fn thaw(&self) {
        self.send(Signal::CONT);
    }

    /// Ends it on the spot. It has no chance to tidy up.
    pub(crate) async fn kill(&mut self) {
        self.send(Signal::KILL);
        self.exit().await;
    }

    pub(crate) async fn exit(&mut self) -> ExitStatus {
        soon(self.child.wait()).await.unwrap()
    }

    fn send(&self, signal: Signal) {
        // `None` once it has ended and been waited for: then there is nobody to tell.
        if let Some(id) = self.child.id() {
            let id = Pid::from_raw(i32::try_from(id).unwrap()).unwrap();
            kill_process(id, signal).unwrap();
        }
    }
}

async fn listen(stream: impl AsyncRead + Unpin, lines: watch::Sender<Vec<String>>) {
    let mut stream = BufReader::new(stream).lines();
    while let Ok(Some(line)) = stream.next_line().await {
        lines.send_modify(|lines| lines.push(line));
    }
}
