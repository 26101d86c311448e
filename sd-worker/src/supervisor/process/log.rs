//! Forwards the WebUI's output to the worker's log, and keeps its last lines for errors.

use std::collections::VecDeque;
use std::io::{BufReader, Read};
use std::sync::Arc;

use parking_lot::Mutex;
use tracing::{Level, debug, error, info, warn};

use super::line::{self, Cleaner};

/// How many lines an error shows.
const REMEMBERED: usize = 50;
/// The longest part of a line that is kept while it is read.
const LINE_BUFFER: usize = 16 << 10;

/// The last lines that the WebUI wrote. Its clones share them.
#[derive(Debug, Clone, Default)]
pub(in crate::supervisor) struct LogTail {
    lines: Arc<Mutex<VecDeque<String>>>,
}

impl LogTail {
    /// The lines, oldest first; at most 50.
    pub(in crate::supervisor) fn lines(&self) -> Vec<String> {
        self.lines.lock().iter().cloned().collect()
    }

    pub(super) fn push(&self, line: String) {
        let mut lines = self.lines.lock();
        if lines.len() == REMEMBERED {
            lines.pop_front();
        }
        lines.push_back(line);
    }
}

/// Reads `stream` to its end. Blocks this thread.
pub(super) fn forward(stream: impl Read, cleaner: &Cleaner, tail: &LogTail) {
    split(stream, |bytes, left_out| {
        let line = cleaner.clean(bytes, left_out);
        if line.is_empty() {
            return;
        }
        if line::is_progress_bar(&line) {
            debug!(target: "webui", "{line}");
            return;
        }
        match line::level(&line) {
            Level::ERROR => error!(target: "webui", "{line}"),
            Level::WARN => warn!(target: "webui", "{line}"),
            Level::INFO => info!(target: "webui", "{line}"),
            _ => debug!(target: "webui", "{line}"),
        }
        tail.push(line);
    });
}

/// Calls `take` with each line and the number of its bytes that were dropped. Progress bars end their lines with a
/// carriage return.
fn split(stream: impl Read, mut take: impl FnMut(&[u8], usize)) {
    let mut stream = BufReader::with_capacity(LINE_BUFFER, stream);
    let mut line = Vec::new();
    let mut left_out = 0;
    loop {
        use std::io::BufRead as _;
        let piece = match stream.fill_buf() {
            Ok([]) => break,
            Ok(piece) => piece,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(_) => break,
        };
        let end = piece.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
        let part = &piece[..end.unwrap_or(piece.len())];
        let room = LINE_BUFFER.saturating_sub(line.len()).min(part.len());
        line.extend_from_slice(&part[..room]);
        left_out += part.len() - room;
        let used = part.len() + usize::from(end.is_some());
        stream.consume(used);
        if end.is_some() {
            take(&line, left_out);
            line.clear();
            left_out = 0;
        }
    }
    if !line.is_empty() {
        take(&line, left_out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines_of(text: &[u8]) -> Vec<(String, usize)> {
        let mut lines = Vec::new();
        split(text, |line, left_out| {
            lines.push((String::from_utf8_lossy(line).into_owned(), left_out));
        });
        lines
    }

    #[test]
    fn lines_end_with_a_line_feed_a_carriage_return_or_the_stream() {
        let lines: Vec<String> = lines_of(b"one\r\ntwo\rthree")
            .into_iter()
            .map(|(line, _)| line)
            .collect();
        assert_eq!(lines, ["one", "", "two", "three"]);
    }

    #[test]
    fn a_line_without_end_takes_no_memory_without_end() {
        let text = [vec![b'x'; 100_000], b"\nnext\n".to_vec()].concat();
        let lines = lines_of(&text);
        assert_eq!(
            (lines[0].0.len(), lines[0].1),
            (LINE_BUFFER, 100_000 - LINE_BUFFER)
        );
        assert_eq!(lines[1], ("next".to_owned(), 0));
    }

    #[test]
    fn the_last_fifty_lines_are_kept_without_progress_bars() {
        let lines: Vec<String> = (0..70)
            .map(|number| format!("line {number}\n {number}%|███| 1/2\r"))
            .collect();
        let text = lines.concat();
        let tail = LogTail::default();
        forward(text.as_bytes(), &Cleaner::default(), &tail);
        let lines = tail.lines();
        assert_eq!(lines.len(), REMEMBERED);
        assert_eq!((lines[0].as_str(), lines[49].as_str()), ("line 20", "line 69"));
    }
}
