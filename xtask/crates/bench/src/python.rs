//! The published Python worker with the shortest handler that does the same job, for orientation.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use support::screen::Screen;

use crate::process::Program;

pub(crate) const PACKAGE: &str = "runpod==1.12.0";

/// What the worker that sd-worker replaces does.
const HANDLER: &str = r#"import os

import requests
import runpod

webui = os.environ["SD_WORKER_WEBUI_URL"]
session = requests.Session()


def handler(job):
    return session.post(webui + "/sdapi/v1/txt2img", json=job["input"], timeout=600).json()


runpod.serverless.start({"handler": handler})
"#;

/// Installs the package into a virtual environment in `folder`, unless it is there.
pub(crate) fn program(folder: &Path, screen: Screen) -> anyhow::Result<Program> {
    let environment = folder.join("python");
    let python = environment.join("bin").join("python");
    let installed = environment.join(PACKAGE);
    if !installed.exists() {
        screen.stage("install", PACKAGE);
        install(&environment)?;
        std::fs::write(&installed, "").context("cannot note that Python's packages are there")?;
    }
    let handler = folder.join("handler.py");
    std::fs::write(&handler, HANDLER).with_context(|| format!("cannot write {}", handler.display()))?;
    Ok(Program {
        name: "python",
        file: python,
        arguments: vec!["-u".to_owned(), handler.to_string_lossy().into_owned()],
        slow: true,
    })
}

/// Makes a virtual environment with the package and all that it needs.
pub(crate) fn install(environment: &Path) -> anyhow::Result<()> {
    let python = environment.join("bin").join("python");
    step("python3", &["-m", "venv", &environment.to_string_lossy()])?;
    step(
        &python.to_string_lossy(),
        &["-m", "pip", "install", "--quiet", PACKAGE],
    )
}

fn step(program: &str, arguments: &[&str]) -> anyhow::Result<()> {
    let shown = format!("{program} {}", arguments.join(" "));
    let status = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("cannot run `{shown}`"))?;
    if !status.success() {
        bail!("`{shown}` failed ({status})");
    }
    Ok(())
}
