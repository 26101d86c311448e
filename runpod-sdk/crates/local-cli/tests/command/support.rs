//! The command as a process, a client for it, and what its console says.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use futures_util::StreamExt as _;
use runpod_client::EndpointClient;
use runpod_local_cli::Announcement;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// A bound on the time of a test; nothing takes as long.
pub(crate) const LIMIT: Duration = Duration::from_mins(1);
/// The worker of these tests.
pub(crate) const WORKER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/worker.py");

/// A running command. Killed when dropped, and its workers with it.
pub(crate) struct Local {
    child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
    pub(crate) announcement: Announcement,
}

pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_runpod-local"));
    command
        .args(arguments)
        .env_remove("RUNPOD_API_KEY")
        .stdin(Stdio::null());
    command
}

impl Local {
    /// Starts it on a free port; `worker` follows the two dashes.
    pub(crate) fn start(options: &[&str], worker: &[&str]) -> Self {
        Self::start_command(
            &mut command(&[&["--listen", "127.0.0.1:0", "--json"], options].concat()),
            worker,
        )
    }

    pub(crate) fn start_command(command: &mut Command, worker: &[&str]) -> Self {
        if !worker.is_empty() {
            command.arg("--").args(worker);
        }
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = lines.next().expect("an announcement").unwrap();
        let announcement = serde_json::from_str(&line).unwrap();
        Self {
            child,
            lines,
            announcement,
        }
    }

    pub(crate) fn client(&self) -> EndpointClient {
        let variable = |name: &str| self.announcement.client_env[name].clone();
        EndpointClient::builder(&self.announcement.endpoint)
            .base_url(variable("RUNPOD_ENDPOINT_BASE_URL"))
            .api_key(variable("RUNPOD_API_KEY"))
            .build()
            .unwrap()
    }

    /// The next line on its standard output.
    pub(crate) fn line(&mut self) -> Value {
        serde_json::from_str(&self.lines.next().expect("a line").unwrap()).unwrap()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let id = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(id, signal).unwrap();
    }

    pub(crate) fn wait(&mut self) -> std::process::ExitStatus {
        self.child.wait().unwrap()
    }

    /// Reads a stream of the console until `wanted` finds what it looks for.
    pub(crate) async fn watch<T>(&self, path: &str, mut wanted: impl FnMut(&Value) -> Option<T>) -> T {
        let url = format!("{}/console/api/{path}", self.announcement.url);
        let found = async {
            let mut body = http().get(url).send().await.unwrap().bytes_stream();
            let mut text = String::new();
            while let Some(piece) = body.next().await {
                text.push_str(std::str::from_utf8(&piece.unwrap()).unwrap());
                while let Some((event, rest)) = text.split_once("\n\n") {
                    let data = event.split_once("data: ").unwrap().1;
                    let found = wanted(&serde_json::from_str(data).unwrap());
                    text = rest.to_owned();
                    if let Some(found) = found {
                        return found;
                    }
                }
            }
            panic!("{path} ended: {text}");
        };
        tokio::time::timeout(LIMIT, found)
            .await
            .expect("nothing was found in time")
    }

    pub(crate) async fn order(&self, worker: &str, order: &str) {
        let url = format!("{}/console/api/workers/{worker}/{order}", self.announcement.url);
        assert_eq!(http().post(url).send().await.unwrap().status(), 202);
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        // It fails for one that has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn http() -> reqwest::Client {
    runpod_protocol::tls::install_provider();
    reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([])
        .build()
        .unwrap()
}
