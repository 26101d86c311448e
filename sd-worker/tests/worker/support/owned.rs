//! A WebUI that the worker starts itself: the mock as a program.

use std::net::TcpListener;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use super::{Program, Stage, soon};

/// The mock as the worker is told to start it.
pub(crate) struct OwnedWebUi {
    pub(crate) url: String,
    pub(crate) command: String,
}

impl OwnedWebUi {
    /// On a port of its own, with these options.
    pub(crate) fn new(options: &str) -> Self {
        // Chosen and given back: nobody else takes it in the moment until the mock does.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        Self {
            url: format!("http://{address}"),
            command: format!("{} --listen {address} {options}", mock().display()),
        }
    }

    /// With a scenario file, whose faults strike again in every new process.
    pub(crate) fn broken(scenario: &Value, directory: &std::path::Path, options: &str) -> Self {
        let file = directory.join("scenario.json");
        std::fs::write(&file, scenario.to_string()).unwrap();
        Self::new(&format!("--scenario {} {options}", file.display()))
    }

    pub(crate) async fn stage(&self, variables: &[(&str, &str)]) -> Stage {
        let mut all = vec![("SD_WORKER_WEBUI_COMMAND", self.command.as_str())];
        all.extend(variables);
        Stage::with(&self.url, &all).await
    }

    /// Arms a fault in the running process.
    pub(crate) async fn inject(&self, fault: Value) {
        self.admin(reqwest::Method::POST, "faults", fault.to_string())
            .await;
    }

    /// What the card is doing.
    pub(crate) async fn gpu(&self) -> Value {
        self.admin(reqwest::Method::GET, "gpu", String::new()).await
    }

    /// Waits until so many steps have been done in the running process.
    pub(crate) async fn steps_done(&self, steps: u64) {
        soon(async {
            while self.gpu().await["steps_done"].as_u64().unwrap() < steps {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }

    async fn admin(&self, method: reqwest::Method, route: &str, body: String) -> Value {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let request = reqwest::Client::new()
            .request(method, format!("{}/__mock/{route}", self.url))
            .body(body);
        let answer = soon(request.send()).await.unwrap();
        assert_eq!(answer.status(), 200);
        serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
    }
}

/// Built with the tests, because it is an example of this package.
fn mock() -> PathBuf {
    let worker = PathBuf::from(env!("CARGO_BIN_EXE_sd-worker"));
    worker.parent().unwrap().join("examples/mock_webui")
}

/// The process ids of every WebUI that the worker has started, oldest first.
pub(crate) fn started(worker: &Program) -> Vec<u32> {
    worker
        .log()
        .lines()
        .filter(|line| line.contains("the WebUI was started"))
        .map(|line| {
            let (_, after) = line.split_once("pid=").unwrap();
            let digits = after.find(|character: char| !character.is_ascii_digit());
            after[..digits.unwrap_or(after.len())].parse().unwrap()
        })
        .collect()
}

/// Waits until a process is gone. One that nobody reaps is gone as well.
pub(crate) async fn gone(process: u32) {
    soon(async {
        while std::fs::read_to_string(format!("/proc/{process}/stat"))
            .is_ok_and(|stat| !stat.contains(") Z "))
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

/// Whether a process is there at all, reaped or not.
pub(crate) fn exists(process: u32) -> bool {
    std::path::Path::new(&format!("/proc/{process}")).exists()
}

/// Kills a process as the out-of-memory killer does.
pub(crate) async fn kill(process: u32) {
    let killed = tokio::process::Command::new("kill")
        .args(["-s", "KILL", &process.to_string()])
        .status();
    assert!(killed.await.unwrap().success());
}
