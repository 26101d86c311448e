//! How the WebUI's process is started: its directory and its environment.

use std::path::Path;
use std::process::Command;

use crate::settings::CommandLine;

/// Variables of the worker that the WebUI and its extensions must not read.
const WITHHELD: [&str; 2] = ["RUNPOD_AI_API_KEY", "SD_WORKER_WEBUI_AUTH"];

/// The command of `line`, ready to be spawned in `directory`.
pub(super) fn command(line: &CommandLine, directory: Option<&Path>) -> Command {
    let mut command = Command::new(line.program());
    command.args(line.arguments());
    for variable in WITHHELD {
        command.env_remove(variable);
    }
    // Python would hold its output back in a buffer.
    command.env("PYTHONUNBUFFERED", "1");
    if let Some(directory) = directory {
        command.current_dir(directory);
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_webui_gets_neither_key_nor_credentials() {
        let line: CommandLine = "python".parse().unwrap();
        let command = command(&line, None);
        let removed: Vec<_> = command
            .get_envs()
            .filter(|(_, value)| value.is_none())
            .map(|(name, _)| name.to_owned())
            .collect();
        assert_eq!(removed, WITHHELD);
    }
}
