//! The command that starts the WebUI, as it is written in an option.

use std::str::FromStr;

/// A program and its arguments. It runs without a shell; write `sh -c '…'` for one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandLine {
    program: String,
    arguments: Vec<String>,
}

impl FromStr for CommandLine {
    type Err = &'static str;

    /// Splits words as a POSIX shell does, by blanks, quotes and backslashes alone.
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
    /// The program. Messages show it alone, because arguments may hold secrets.
    pub(crate) fn program(&self) -> &str {
        &self.program
    }

    /// The program's arguments.
    pub(crate) fn arguments(&self) -> &[String] {
        &self.arguments
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
}
