//! What is written to the terminal.

use std::fmt::{Display, Write as _};
use std::io::{self, IsTerminal as _, Write as _};

/// Writes a line to standard output.
pub(crate) fn line(text: impl Display) {
    // A closed pipe is the reader's choice; the work goes on without them.
    let _ = writeln!(io::stdout(), "{text}");
}

/// Writes a line of a worker to standard error.
pub(crate) fn worker_line(worker: &str, text: &str) {
    let text: String = text.chars().filter(|&character| is_shown(character)).collect();
    let _ = writeln!(io::stderr(), "{worker} | {text}");
}

/// Workers may colour their lines; other control characters could change what the terminal shows of ours.
fn is_shown(character: char) -> bool {
    !character.is_control() || matches!(character, '\t' | '\u{1b}')
}

/// Writes a line to standard error.
pub(crate) fn note(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Writes an error and its causes to standard error.
pub(crate) fn complain(error: &anyhow::Error) {
    let mut text = format!("error: {error}\n");
    for cause in error.chain().skip(1) {
        // Writing to a string does not fail.
        let _ = writeln!(text, "  because: {cause}");
    }
    let _ = io::stderr().write_all(text.as_bytes());
}

/// Whether standard error shows colours (<https://no-color.org>).
pub(crate) fn colours() -> bool {
    let unset_or_empty = |name| std::env::var_os(name).is_none_or(|value| value.is_empty());
    io::stderr().is_terminal() && unset_or_empty("NO_COLOR")
}
