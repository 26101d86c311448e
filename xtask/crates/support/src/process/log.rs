//! What a process writes: in a file, and the latest of it in memory.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use parking_lot::Mutex;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::Child;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

/// Lines kept in memory.
const KEPT: usize = 10_000;

/// One line and when it was read.
#[derive(Debug, Clone)]
pub struct Line {
    /// When it was read.
    pub at: Instant,
    /// The line without its end.
    pub text: String,
}

/// The output of one process, both streams in the order of reading.
#[derive(Debug, Clone)]
pub(super) struct Log {
    file: PathBuf,
    lines: Arc<Mutex<Lines>>,
    /// How many lines there have been; closed at the end of both streams.
    count: watch::Receiver<usize>,
    streams: TaskTracker,
}

#[derive(Debug)]
struct Lines {
    latest: VecDeque<Line>,
    /// Lines no longer kept.
    dropped: usize,
    file: File,
}

impl Log {
    /// Begins to read what a child writes.
    pub(super) fn of(child: &mut Child, file: PathBuf) -> anyhow::Result<Self> {
        let lines = Arc::new(Mutex::new(Lines {
            latest: VecDeque::new(),
            dropped: 0,
            file: File::create(&file).with_context(|| format!("cannot write {}", file.display()))?,
        }));
        let (counter, count) = watch::channel(0);
        let counter = Arc::new(counter);
        let streams = TaskTracker::new();
        if let Some(stream) = child.stdout.take() {
            streams.spawn(copy(stream, lines.clone(), counter.clone()));
        }
        if let Some(stream) = child.stderr.take() {
            streams.spawn(copy(stream, lines.clone(), counter));
        }
        streams.close();
        Ok(Self {
            file,
            lines,
            count,
            streams,
        })
    }

    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    pub(super) fn tail(&self, lines: usize) -> Vec<String> {
        let all = self.lines.lock();
        let skipped = all.latest.len().saturating_sub(lines);
        all.latest
            .iter()
            .skip(skipped)
            .map(|line| line.text.clone())
            .collect()
    }

    /// Waits until both streams have ended.
    pub(super) async fn complete(&self) {
        self.streams.wait().await;
    }

    /// Reads from the oldest line kept.
    pub(super) fn reader(&self) -> Reader {
        Reader {
            lines: self.lines.clone(),
            count: self.count.clone(),
            next: 0,
        }
    }
}

/// A place in a log.
#[derive(Debug)]
pub(super) struct Reader {
    lines: Arc<Mutex<Lines>>,
    count: watch::Receiver<usize>,
    next: usize,
}

impl Reader {
    /// The next line, once there is one; `None` when there will be none.
    pub(super) async fn next(&mut self) -> Option<Line> {
        let next = self.next;
        // An error means that both streams have ended; what they left is still to be read.
        let _ = self.count.wait_for(|count| *count > next).await;
        let lines = self.lines.lock();
        self.next = self.next.max(lines.dropped);
        let line = lines.latest.get(self.next - lines.dropped).cloned();
        self.next += usize::from(line.is_some());
        line
    }
}

async fn copy(stream: impl AsyncRead + Unpin, lines: Arc<Mutex<Lines>>, counter: Arc<watch::Sender<usize>>) {
    let mut stream = BufReader::new(stream);
    let mut bytes = Vec::new();
    while stream
        .read_until(b'\n', &mut bytes)
        .await
        .is_ok_and(|read| read > 0)
    {
        let text = String::from_utf8_lossy(&bytes).trim_end().to_owned();
        let count = {
            let mut lines = lines.lock();
            // A run does not fail for want of the log file.
            let _ = lines.file.write_all(&bytes);
            if lines.latest.len() == KEPT {
                lines.latest.pop_front();
                lines.dropped += 1;
            }
            lines.latest.push_back(Line {
                at: Instant::now(),
                text,
            });
            lines.dropped + lines.latest.len()
        };
        // The other stream may have counted a later line already.
        counter.send_modify(|counted| *counted = count.max(*counted));
        bytes.clear();
    }
}
