//! Machine-readable output.

use std::io::Write;

/// Writes to standard output and flushes it: a parent process may wait for the text.
pub(super) fn print(text: &str) -> std::io::Result<()> {
    let mut output = std::io::stdout().lock();
    output.write_all(text.as_bytes())?;
    output.flush()
}
