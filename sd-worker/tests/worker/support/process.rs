//! The program under test: started, listened to, and killed when it is no longer needed.

use std::process::{ExitStatus, Stdio};

use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::{Child, Command};
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
        Self { child, lines }
    }

    /// Everything it has said so far.
    pub(crate) fn log(&self) -> String {
        self.lines.borrow().join("\n")
    }

    /// Waits until it says a line that contains `words`, and returns the line.
    pub(crate) async fn says(&self, words: &str) -> String {
        self.says_again(words, 1).await
    }

    /// Waits until it has said `words` so many times, and returns the last of these lines.
    pub(crate) async fn says_again(&self, words: &str, times: usize) -> String {
        let mut lines = self.lines.subscribe();
        let find = |lines: &Vec<String>| {
            let mut found = lines.iter().filter(|line| line.contains(words));
            found.nth(times - 1).cloned()
        };
        let found = tokio::time::timeout(super::PATIENCE, lines.wait_for(|lines| find(lines).is_some()))
            .await
            .ok()
            .and_then(Result::ok)
            .and_then(|lines| find(&lines));
        found.unwrap_or_else(|| panic!("it never said {words:?}:\n{}", self.log()))
    }

    /// Sends it a signal by name.
    pub(crate) async fn signal(&self, name: &str) {
        let id = self.child.id().unwrap().to_string();
        let sent = Command::new("kill")
            .args(["-s", name, &id])
            .status()
            .await
            .unwrap();
        assert!(sent.success());
    }

    pub(crate) async fn exit(&mut self) -> ExitStatus {
        soon(self.child.wait()).await.unwrap()
    }
}

async fn listen(stream: impl AsyncRead + Unpin, lines: watch::Sender<Vec<String>>) {
    let mut stream = BufReader::new(stream).lines();
    while let Ok(Some(line)) = stream.next_line().await {
        lines.send_modify(|lines| lines.push(line));
    }
}
