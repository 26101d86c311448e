//! A worker between a platform that misbehaves and a WebUI that does not.

pub(crate) mod http;
#[path = "../../worker/support/process.rs"]
mod process;
mod script;

use std::time::Duration;

use mock_webui::MockWebUi;
use serde_json::Value;

pub(crate) use http::{Gate, Request, answer, json};
pub(crate) use process::{Program, program};
pub(crate) use script::{Channel, Platform, Step};

/// Everything is done by then, or never.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// Waits for something that must happen.
pub(crate) async fn soon<F: Future>(what: F) -> F::Output {
    tokio::time::timeout(PATIENCE, what)
        .await
        .expect("it did not happen in time")
}

/// The input of a job that is done at once: a small picture of this seed.
pub(crate) fn picture(seed: u32) -> String {
    format!(r#"{{"prompt":"a red fox","seed":{seed},"steps":1,"width":64,"height":64}}"#)
}

/// The seed of the picture in an output.
pub(crate) fn seed_of(output: &Value) -> u64 {
    let info = output["info"]
        .as_str()
        .unwrap_or_else(|| panic!("no picture: {output}"));
    let info: Value = serde_json::from_str(info).unwrap();
    info["seed"].as_u64().unwrap()
}

/// The worker on this platform, for this WebUI. Its progress updates are off: they would be posts
/// of their own.
pub(crate) fn worker(platform: &Platform, webui: &MockWebUi, variables: &[(&str, &str)]) -> Program {
    let mut command = program();
    command
        .envs(platform.env())
        .env("SD_WORKER_WEBUI_URL", webui.url())
        .env("SD_WORKER_PROGRESS_INTERVAL", "0")
        .envs(variables.iter().copied());
    Program::start(command)
}

impl Request {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The object inside the text of the posted error.
    pub(crate) fn error(&self) -> Value {
        let body = self.json();
        let text = body["error"]
            .as_str()
            .unwrap_or_else(|| panic!("no error: {body}"));
        serde_json::from_str(text).unwrap()
    }
}
