//! What a person needs to know when the demo fails.

use std::fmt;
use std::path::PathBuf;

use support::process::{Fault, Process};

use crate::log_line::LogLine;

/// What failed, why, what to do, and the last words of the processes concerned.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) what: String,
    pub(crate) why: String,
    pub(crate) remedy: String,
    pub(crate) logs: Vec<LogTail>,
}

/// The end of a process's log.
#[derive(Debug)]
pub(crate) struct LogTail {
    name: &'static str,
    file: PathBuf,
    lines: Vec<String>,
}

impl From<&Process> for LogTail {
    fn from(process: &Process) -> Self {
        Self {
            name: process.name(),
            file: process.log_file(),
            lines: process.tail(),
        }
    }
}

/// Why a process failed: its own words, if its last ones tell of an error.
pub(crate) fn why(process: &Process, fault: &Fault) -> String {
    let tail = process.tail();
    let error = |line: &String| LogLine::read(line).filter(|line| line.level == "ERROR");
    match tail.iter().rev().find_map(error) {
        Some(error) => format!("{fault}: {}", error.message),
        None => fault.to_string(),
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            what,
            why,
            remedy,
            logs,
        } = self;
        write!(f, "{what}\n  why: {why}\n  what to do: {remedy}")?;
        logs.iter().try_for_each(|log| write!(f, "\n\n{log}"))
    }
}

impl fmt::Display for LogTail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, file, lines } = self;
        write!(f, "  the last lines of {name} (all: {}):", file.display())?;
        for line in lines {
            let text = LogLine::read(line).map_or_else(|| line.clone(), |line| line.to_string());
            write!(f, "\n  | {}", text.replace('\n', "\n  |       "))?;
        }
        if lines.is_empty() {
            write!(f, "\n  | (it wrote nothing)")?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}
