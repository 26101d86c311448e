//! What a worker writes, line by line.

use std::sync::Arc;

use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};

use crate::record::Record;
use crate::screen;

/// A longer line is kept in pieces of this many bytes.
const LONGEST: usize = 16 * 1024;

/// Keeps the lines of a stream in the record until it ends, and shows them on the terminal.
pub(super) async fn keep(stream: impl AsyncRead + Unpin, worker: String, record: Arc<Record>) {
    let mut stream = BufReader::new(stream);
    while let Some(line) = next_line(&mut stream).await {
        screen::worker_line(&worker, &line);
        record.worker_line(&worker, &line);
    }
}

async fn next_line(stream: &mut BufReader<impl AsyncRead + Unpin>) -> Option<String> {
    let mut line = Vec::new();
    loop {
        let read = stream.fill_buf().await.ok()?;
        if read.is_empty() {
            return (!line.is_empty()).then(|| text(&line));
        }
        let room = LONGEST - line.len();
        let end = read.iter().take(room).position(|byte| *byte == b'\n');
        let length = end.unwrap_or_else(|| read.len().min(room));
        line.extend_from_slice(&read[..length]);
        stream.consume(length + usize::from(end.is_some()));
        if end.is_some() || line.len() == LONGEST {
            return Some(text(&line));
        }
    }
}

fn text(line: &[u8]) -> String {
    String::from_utf8_lossy(line).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_end_at_their_end_or_at_the_limit_or_with_the_stream() {
        let long = "x".repeat(LONGEST + 3);
        let written = format!("one\r\n\n{long}\nlast");
        let mut stream = BufReader::new(written.as_bytes());
        let mut lines = Vec::new();
        while let Some(line) = next_line(&mut stream).await {
            lines.push(line);
        }
        assert_eq!(lines[..2], ["one", ""]);
        assert_eq!(lines[2].len(), LONGEST);
        assert_eq!(lines[3..], ["xxx", "last"]);
    }
}
