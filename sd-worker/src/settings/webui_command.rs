//! The command that starts the WebUI, as a person writes it.

use std::path::PathBuf;
use std::process::Command;
use std::str::FromStr;

/// Variables of the worker that are no business of the WebUI and its extensions.
const KEPT_BACK: [&str; 2] = ["RUNPOD_AI_API_KEY", "SD_WORKER_WEBUI_AUTH"];

/// A program and its arguments. No shell is involved: who wants one writes `sh -c '…'`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandLine {
    program: String,
    arguments: Vec<String>,
}

impl FromStr for CommandLine {
    type Err = &'static str;

    /// Splits words as a POSIX shell does: blanks, quotes and backslashes, nothing else.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut words = shlex::split(text).ok_or("a quote is not closed")?.into_iter();
        match words.next() {
            Some(program) if !program.is_empty() => Ok(Self {
                program,
                arguments: words.collect(),
            }),
            _ => Err("write a program and its arguments, such as 'python webui.py --api --nowebui'"),
        }
    }
}

impl CommandLine {
    /// The name of the program, for messages. Arguments may hold secrets.
    pub(crate) fn program(&self) -> &str {
        &self.program
    }

    /// Ready to be started in `directory`.
    pub(super) fn command(&self, directory: Option<&PathBuf>) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments);
        for variable in KEPT_BACK {
            command.env_remove(variable);
        }
        // What Python says must not wait in a buffer until it is needed.
        command.env("PYTHONUNBUFFERED", "1");
        if let Some(directory) = directory {
            command.current_dir(directory);
        }
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_a_shell_does_and_nothing_is_expanded() {
        let line: CommandLine = r#"python "my webui.py" --port 3000 '$HOME' a\ b"#.parse().unwrap();
        assert_eq!(line.program(), "python");
        assert_eq!(line.arguments, ["my webui.py", "--port", "3000", "$HOME", "a b"]);
    }

    #[test]
    fn what_names_no_program_is_refused() {
        for bad in ["", "   ", "''", "python 'webui.py"] {
            assert!(bad.parse::<CommandLine>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_webui_gets_neither_key_nor_credentials() {
        let line: CommandLine = "python".parse().unwrap();
        let command = line.command(None);
        let removed: Vec<_> = command
            .get_envs()
            .filter(|(_, value)| value.is_none())
            .map(|(name, _)| name.to_owned())
            .collect();
        assert_eq!(removed, KEPT_BACK);
    }
}
