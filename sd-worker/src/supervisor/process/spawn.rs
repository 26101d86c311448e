//! How the WebUI's process is started: its directory and its environment.

use std::path::PathBuf;
use std::process::Stdio;

use runpod_child::{ChildBuilder, Inheritance};

use crate::settings::CommandLine;

/// Variables that the WebUI reads beside those of every Python program.
const OF_THE_WEBUI: [&str; 3] = ["GRADIO_*", "SD_WEBUI_*", "STABLE_DIFFUSION_*"];
/// Variables of the worker itself, which a start script has no use for.
const OF_THE_WORKER: [&str; 2] = ["RUNPOD_", "SD_WORKER_"];

/// What the WebUI is started with.
#[derive(Debug)]
pub(crate) struct WebUiProgram {
    line: CommandLine,
    directory: Option<PathBuf>,
    inheritance: Inheritance,
}

impl WebUiProgram {
    /// It runs in `directory`, or in the worker's own. Of the worker's variables it gets those of every child, and those
    /// that `more` names.
    pub(crate) fn new(line: CommandLine, directory: Option<PathBuf>, more: &[String]) -> Self {
        let inheritance = Inheritance::usual().and(OF_THE_WEBUI).and(more);
        Self {
            line,
            directory,
            inheritance,
        }
    }

    /// The program. Messages show it alone, because arguments may hold secrets.
    pub(super) fn name(&self) -> &str {
        self.line.program()
    }

    /// The command, ready to be started.
    pub(super) fn command(&self) -> ChildBuilder {
        let mut command = ChildBuilder::new(self.line.program(), &self.inheritance);
        command
            .arguments(self.line.arguments())
            // Python would hold its output back in a buffer.
            .variable("PYTHONUNBUFFERED", "1")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(directory) = &self.directory {
            command.directory(directory);
        }
        command
    }

    /// The names of variables that it does not get, without those of the worker itself.
    pub(super) fn withheld(&self) -> Vec<String> {
        let mut names = self.inheritance.withheld();
        names.retain(|name| !OF_THE_WORKER.iter().any(|own| name.starts_with(own)));
        names
    }
}
