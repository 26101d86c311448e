//! What a person needs to know when the demo fails.

use std::fmt;
use std::path::PathBuf;

use super::log_line::LogLine;
use crate::process::{Fault, Process};

/// What failed, why, what to do, and the last words of the process at fault.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) what: String,
    pub(super) why: String,
    pub(super) remedy: String,
    pub(super) log: Option<LogTail>,
}

/// The end of a process's log.
#[derive(Debug)]
pub(super) struct LogTail {
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
pub(super) fn why(process: &Process, fault: &Fault) -> String {
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
            log,
        } = self;
        write!(f, "{what}\n  why: {why}\n  what to do: {remedy}")?;
        let Some(log) = log else { return Ok(()) };
        write!(
            f,
            "\n\n  the last lines of {} (all: {}):",
            log.name,
            log.file.display()
        )?;
        for line in &log.lines {
            match LogLine::read(line) {
                Some(line) => write!(f, "\n  | {line}")?,
                None => write!(f, "\n  | {line}")?,
            }
        }
        if log.lines.is_empty() {
            write!(f, "\n  | (it wrote nothing)")?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}
