//! How the WebUI's process is started: its directory and its environment.

use std::path::PathBuf;
use std::process::Stdio;

use runpod_child::{ChildBuilder, Inheritance, is_secret_name};

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

    /// The secrets in its command line, such as the value of `--gradio-auth`. A server writes its command line to its log.
    pub(super) fn secrets(&self) -> Vec<String> {
        let inherited = std::env::var("COMMANDLINE_ARGS").unwrap_or_default();
        secrets_in(&format!("{} {inherited}", self.line.arguments().join(" ")))
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

/// The values of flags whose names say that they are secret, and the password of each `USER:PASSWORD` among them.
fn secrets_in(command_line: &str) -> Vec<String> {
    let mut secrets = Vec::new();
    let mut words = command_line
        .split_whitespace()
        // Quotes and separators of a script for `sh -c` are no part of a value.
        .map(|word| {
            word.trim_end_matches([';', '&', '|', ')'])
                .trim_matches(['\'', '"'])
        })
        .peekable();
    while let Some(word) = words.next() {
        let (flag, value) = match word.split_once('=') {
            Some((flag, value)) => (flag, Some(value)),
            None => (word, None),
        };
        // `--ngrok` takes a token.
        if !flag.starts_with("--") || !(is_secret_name(flag) || flag == "--ngrok") {
            continue;
        }
        let value = value.or_else(|| words.next_if(|next| !next.starts_with("--")));
        for one in value.unwrap_or_default().split(',') {
            secrets.push(one.to_owned());
            secrets.extend(one.split_once(':').map(|(_, password)| password.to_owned()));
        }
    }
    secrets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_of_a_command_line_are_known_in_every_form_of_a_flag() {
        for (line, secrets) in [
            ("webui.py --api --port 3000 --nowebui", &[][..]),
            (
                "--gradio-auth admin:hunter2,b:secret --port 3000",
                &["admin:hunter2", "hunter2", "b:secret", "secret"],
            ),
            ("--api-auth=anna:pass --listen", &["anna:pass", "pass"]),
            ("--api-auth 'anna:pass'; true", &["anna:pass", "pass"]),
            ("-c cd /webui && python x.py --ngrok 'tok=en'", &["tok=en"]),
            ("--auth --listen", &[""]),
        ] {
            assert_eq!(secrets_in(line), secrets, "{line}");
        }
    }
}
