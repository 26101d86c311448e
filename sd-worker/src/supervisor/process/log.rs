//! Forwards the WebUI's output to the worker's log, and keeps its last lines for errors.

use std::collections::{HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{BufReader, Read};
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::watch;
use tracing::{Level, debug, error, info, warn};

use super::line::{self, Cleaner};
use super::thinner::{self, Thinned, Thinner};

/// How many lines an error shows.
const REMEMBERED: usize = 50;
/// How many different warnings are remembered.
const WARNINGS: usize = 1000;
/// The longest part of a line that is kept while it is read.
const LINE_BUFFER: usize = 16 << 10;

/// The last lines that the WebUI wrote. Its clones share them.
#[derive(Debug, Clone, Default)]
pub(in crate::supervisor) struct LogTail {
    tail: Arc<watch::Sender<TailLines>>,
}

#[derive(Debug, Default)]
pub(in crate::supervisor) struct TailLines {
    lines: VecDeque<String>,
    /// The number of all lines that were ever kept.
    written: u64,
}

impl LogTail {
    /// The lines, oldest first; at most 50.
    pub(in crate::supervisor) fn lines(&self) -> Vec<String> {
        self.tail.borrow().lines.iter().cloned().collect()
    }

    /// The number of lines so far, as a mark for [`since`](Self::since).
    pub(in crate::supervisor) fn written(&self) -> u64 {
        self.tail.borrow().written
    }

    /// The lines that came after `mark`, as far as they are remembered.
    pub(in crate::supervisor) fn since(&self, mark: u64) -> Vec<String> {
        let tail = self.tail.borrow();
        let news = tail.written.saturating_sub(mark);
        let known = tail.lines.len();
        let skipped = known - usize::try_from(news).map_or(known, |news| news.min(known));
        tail.lines.iter().skip(skipped).cloned().collect()
    }

    /// Is notified of each new line.
    pub(in crate::supervisor) fn subscribe(&self) -> watch::Receiver<TailLines> {
        self.tail.subscribe()
    }

    pub(in crate::supervisor) fn push(&self, line: String) {
        self.tail.send_modify(|tail| {
            if tail.lines.len() == REMEMBERED {
                tail.lines.pop_front();
            }
            tail.lines.push_back(line);
            tail.written += 1;
        });
    }
}

/// Reads `stream` to its end. Blocks this thread.
pub(super) fn forward(stream: impl Read, cleaner: &Cleaner, tail: &LogTail) {
    let mut thinner = Thinner::default();
    let mut warnings = KnownWarnings::default();
    split(stream, |bytes, left_out| {
        let line = cleaner.clean(bytes, left_out);
        if line.is_empty() {
            return;
        }
        if line::is_progress_bar(&line) || line::is_own_poll(&line) {
            debug!(target: "webui", "{line}");
            return;
        }
        let Thinned { is_shown, left_out } = thinner.line(Instant::now());
        tell_left_out(left_out);
        if is_shown {
            match line::level(&line) {
                Level::ERROR => error!(target: "webui", "{line}"),
                Level::WARN if warnings.is_new(&line) => warn!(target: "webui", "{line}"),
                Level::WARN | Level::INFO => info!(target: "webui", "{line}"),
                _ => debug!(target: "webui", "{line}"),
            }
        }
        tail.push(line);
    });
    tell_left_out(thinner.end());
}

fn tell_left_out(lines: u64) {
    if lines > 0 {
        warn!(target: "webui", "… {}", thinner::notice(lines));
    }
}

/// The warnings that were passed on. A warning that every job repeats is one only once.
#[derive(Debug, Default)]
struct KnownWarnings {
    hashes: HashSet<u64>,
}

impl KnownWarnings {
    /// Whether a warning has not come before. Numbers such as its time make no difference.
    fn is_new(&mut self, line: &str) -> bool {
        let mut hasher = DefaultHasher::new();
        for part in line.split(|character: char| character.is_ascii_digit()) {
            if !part.is_empty() {
                part.hash(&mut hasher);
            }
        }
        if self.hashes.len() == WARNINGS {
            self.hashes.clear();
        }
        self.hashes.insert(hasher.finish())
    }
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
    fn a_warning_that_every_job_repeats_is_a_warning_once() {
        let mut warnings = KnownWarnings::default();
        let line = |at: u32| format!("2026-01-01 12:00:{at} WARNING  [x] the seed {at} is large");
        assert!(warnings.is_new(&line(1)));
        assert!(!warnings.is_new(&line(59)));
        assert!(warnings.is_new("WARNING: another"));
    }

    #[test]
    fn lines_about_the_worker_s_own_polls_are_not_kept() {
        let poll =
            "INFO:     127.0.0.1:5 - \"GET /sdapi/v1/progress?skip_current_image=true HTTP/1.1\" 200 OK\n";
        let tail = LogTail::default();
        let text = format!("Model loaded\n{}RuntimeError: boom\n", poll.repeat(100));
        forward(text.as_bytes(), &Cleaner::default(), &tail);
        assert_eq!(tail.lines(), ["Model loaded", "RuntimeError: boom"]);
    }

    #[test]
    fn the_lines_after_a_mark_are_told_from_those_before_it() {
        let tail = LogTail::default();
        for number in 0..60 {
            tail.push(number.to_string());
        }
        let mark = tail.written();
        assert_eq!(tail.since(mark), [""; 0]);
        tail.push("new".to_owned());
        assert_eq!(tail.since(mark), ["new"]);
        assert_eq!(tail.since(0).len(), REMEMBERED);
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
