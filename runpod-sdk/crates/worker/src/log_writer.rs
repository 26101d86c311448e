//! Writes the log to standard output without waiting for its reader.
//!
//! A pipe that is full blocks every write to it. Here only a thread is blocked that does nothing else: lines wait for it in
//! a queue of limited size, and those that do not fit are dropped and counted. While the pipe has room, a line is in it
//! before the program goes on, so that a process that crashes has logged what it did last. Results of jobs do not come this
//! way.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd as _};
use std::sync::{Arc, Condvar, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use runpod_protocol::sync::{Mutex, MutexGuard, unpoisoned};
use rustix::fs::{FileType, Mode, OFlags, fstat, open};

/// The most bytes of lines that wait. Some thousand lines, so that a burst is not cut while the reader is only slow.
const MOST_BYTES: usize = 1024 * 1024;
/// The longest wait for the queue at the end of the process, and after a panic.
const FLUSH_LIMIT: Duration = Duration::from_secs(1);

/// The writer of this process's log. There is one, as there is one standard output.
static STDOUT: OnceLock<LogWriter> = OnceLock::new();

/// Starts the thread that writes the log to standard output. `notice` makes the line that stands in the log for a number of
/// lost lines.
///
/// # Errors
///
/// The thread could not be started.
pub(crate) fn start(notice: fn(u64) -> String) -> io::Result<()> {
    let writer = LogWriter::start(io::stdout(), without_blocking(io::stdout()), MOST_BYTES, notice)?;
    // A second start leaves the first writer in place.
    let _ = STDOUT.set(writer);
    Ok(())
}

/// Queues a line, which ends in a line break, for standard output. Without a [`start`] the line is lost.
pub(crate) fn write(line: String) {
    if let Some(writer) = STDOUT.get() {
        writer.write(line);
    }
}

/// Waits until the queued lines are written, for at most 1 s.
pub(crate) fn flush() {
    if let Some(writer) = STDOUT.get() {
        writer.flush(FLUSH_LIMIT);
    }
}

/// A file of this process's own for the same output, whose writes wait for no reader. `None` if `output` is neither a pipe
/// nor a regular file, or cannot be opened again.
fn without_blocking(output: impl AsFd) -> Option<File> {
    let output = output.as_fd();
    let mode = fstat(output).ok()?.st_mode;
    match FileType::from_raw_mode(mode) {
        // It has no reader. The thread would only cost two switches a line.
        FileType::RegularFile => Some(output.try_clone_to_owned().ok()?.into()),
        // Making `output` itself so would change it for every process that shares it.
        FileType::Fifo => {
            let path = format!("/proc/self/fd/{}", output.as_raw_fd());
            let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
            Some(open(path, flags, Mode::empty()).ok()?.into())
        }
        _ => None,
    }
}

/// Flushes the log when it is dropped.
#[derive(Debug)]
pub(crate) struct FlushAtEnd;

impl Drop for FlushAtEnd {
    fn drop(&mut self) {
        flush();
    }
}

/// A bounded queue of lines, and the thread that writes them.
#[derive(Debug, Clone)]
struct LogWriter {
    queue: Arc<Queue>,
    most_bytes: usize,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    /// Notified when a line is added, and when the last one is written.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    /// Where a line goes when none waits.
    direct: Option<File>,
    lines: VecDeque<Queued>,
    /// The bytes of `lines`.
    bytes: usize,
    /// The lines that were dropped since the last one that was queued.
    lost: u64,
    /// Whether the thread writes a line that is no longer in `lines`.
    writing: bool,
}

#[derive(Debug)]
struct Queued {
    /// The lines that were dropped before this one.
    lost_before: u64,
    line: Vec<u8>,
}

impl LogWriter {
    fn start(
        to: impl Write + Send + 'static,
        direct: Option<File>,
        most_bytes: usize,
        notice: fn(u64) -> String,
    ) -> io::Result<Self> {
        let queue = Arc::<Queue>::default();
        queue.waiting.lock().direct = direct;
        let writing = queue.clone();
        thread::Builder::new()
            .name("runpod-log".to_owned())
            .spawn(move || writing.write_out(to, notice))?;
        Ok(Self { queue, most_bytes })
    }

    fn write(&self, line: String) {
        let mut line = line.into_bytes();
        let mut waiting = self.queue.waiting.lock();
        let written = waiting.write_directly(&line);
        if written == line.len() {
            return;
        }
        line.drain(..written);
        if waiting.bytes + line.len() > self.most_bytes {
            waiting.lost += 1;
            return;
        }
        waiting.bytes += line.len();
        let lost_before = std::mem::take(&mut waiting.lost);
        waiting.lines.push_back(Queued { lost_before, line });
        drop(waiting);
        self.queue.changed.notify_all();
    }

    /// Waits until all lines are written, at most for `limit`. Returns whether they are.
    fn flush(&self, limit: Duration) -> bool {
        let end = Instant::now() + limit;
        let mut waiting = self.queue.waiting.lock();
        while !waiting.is_written() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            waiting = unpoisoned(self.queue.changed.wait_timeout(waiting, left)).0;
        }
        true
    }
}

impl Queue {
    /// Writes lines for as long as the process lives.
    fn write_out(&self, mut to: impl Write, notice: fn(u64) -> String) {
        loop {
            let text = match self.next() {
                Queued { lost_before: 0, line } => line,
                Queued { lost_before, line } => [notice(lost_before).into_bytes(), line].concat(),
            };
            // A log that cannot be written must not end the worker.
            let _ = to.write_all(&text).and_then(|()| to.flush());
        }
    }

    /// Waits for the next line. It is empty when lines were lost and none came after them.
    fn next(&self) -> Queued {
        let mut waiting = self.waiting.lock();
        waiting.writing = false;
        while waiting.is_written() {
            self.changed.notify_all();
            waiting = self.wait(waiting);
        }
        waiting.writing = true;
        let Some(next) = waiting.lines.pop_front() else {
            let lost_before = std::mem::take(&mut waiting.lost);
            let line = Vec::new();
            return Queued { lost_before, line };
        };
        waiting.bytes -= next.line.len();
        next
    }

    fn wait<'w>(&self, waiting: MutexGuard<'w, Waiting>) -> MutexGuard<'w, Waiting> {
        unpoisoned(self.changed.wait(waiting))
    }
}

impl Waiting {
    /// Writes what the pipe has room for, if no line waits. Returns the number of bytes.
    fn write_directly(&mut self, line: &[u8]) -> usize {
        let none_waits = self.is_written();
        match &mut self.direct {
            Some(direct) if none_waits => match direct.write(line) {
                Ok(written) => written,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
                // A log that cannot be written must not end the worker.
                Err(_) => line.len(),
            },
            _ => 0,
        }
    }

    fn is_written(&self) -> bool {
        self.lines.is_empty() && self.lost == 0 && !self.writing
    }
}

#[cfg(test)]
mod tests {
    use std::io::{PipeReader, Read as _, Seek as _, pipe};
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    /// A pipe whose reader lets each write through by one message.
    struct Pipe {
        begun: Sender<String>,
        let_through: Receiver<()>,
    }

    impl Write for Pipe {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            let text = String::from_utf8(text.to_vec()).unwrap();
            let (length, closed) = (text.len(), io::ErrorKind::BrokenPipe);
            self.begun.send(text).map_err(|_| closed)?;
            self.let_through.recv().map_err(|_| closed)?;
            Ok(length)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A writer with room for 10 bytes, the writes that it begins, and what lets them through.
    fn log_and_pipe() -> (LogWriter, Receiver<String>, Sender<()>) {
        let (begun, seen) = channel();
        let (reader, let_through) = channel();
        let pipe = Pipe { begun, let_through };
        let log = LogWriter::start(pipe, None, 10, |lost| format!("{lost} lost\n")).unwrap();
        (log, seen, reader)
    }

    #[test]
    fn a_pipe_that_is_not_read_blocks_no_writer_of_lines_and_the_lost_ones_are_counted_where_they_were() {
        let (log, seen, reader) = log_and_pipe();
        log.write("one\n".to_owned());
        assert_eq!(seen.recv_timeout(PATIENCE).unwrap(), "one\n");
        // From here on the pipe is full.
        for line in ["two\n", "three\n", "four\n", "a line that is too long\n"] {
            log.write(line.to_owned());
        }
        assert!(!log.flush(Duration::from_millis(1)), "nothing is read");
        // Its reader comes back.
        reader.send(()).unwrap();
        assert_eq!(seen.recv_timeout(PATIENCE).unwrap(), "two\n");
        log.write("six\n".to_owned());
        for line in ["three\n", "2 lost\nsix\n"] {
            reader.send(()).unwrap();
            assert_eq!(seen.recv_timeout(PATIENCE).unwrap(), line);
        }
        reader.send(()).unwrap();
        assert!(log.flush(PATIENCE), "all is written");
    }

    #[test]
    fn lost_lines_are_counted_when_no_line_follows_them_too() {
        let (log, seen, reader) = log_and_pipe();
        log.write("one\n".to_owned());
        assert_eq!(seen.recv_timeout(PATIENCE).unwrap(), "one\n");
        log.write("a line that is too long\n".to_owned());
        reader.send(()).unwrap();
        assert_eq!(seen.recv_timeout(PATIENCE).unwrap(), "1 lost\n");
        reader.send(()).unwrap();
        assert!(log.flush(PATIENCE));
    }

    /// What is read of `pipe` until `end`.
    fn read_until(pipe: &mut PipeReader, end: &str) -> String {
        let mut read = Vec::new();
        while !read.ends_with(end.as_bytes()) {
            let mut piece = [0; 4096];
            let length = pipe.read(&mut piece).unwrap();
            assert_ne!(length, 0, "closed before {end:?}");
            read.extend_from_slice(&piece[..length]);
        }
        String::from_utf8(read).unwrap()
    }

    #[test]
    fn a_line_is_in_a_file_at_once_behind_what_the_file_had() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"before\n").unwrap();
        let blocked = Pipe {
            begun: channel().0,
            let_through: channel().1,
        };
        let direct = without_blocking(&file);
        let log = LogWriter::start(blocked, direct, 100, |lost| format!("{lost} lost\n")).unwrap();
        log.write("at once\n".to_owned());
        let mut text = String::new();
        file.rewind().unwrap();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "before\nat once\n", "no thread was needed");
    }

    #[test]
    fn a_line_is_in_a_pipe_with_room_at_once_and_waits_for_one_that_is_full() {
        let (mut reader, writer) = pipe().unwrap();
        let direct = without_blocking(&writer).expect("a pipe can be opened again");
        let mut other = direct.try_clone().unwrap();
        let blocked = Pipe {
            begun: channel().0,
            let_through: channel().1,
        };
        let without_thread = LogWriter::start(blocked, Some(direct), 100, |lost| format!("{lost} lost\n"));
        without_thread.unwrap().write("at once\n".to_owned());
        assert_eq!(
            read_until(&mut reader, "once\n"),
            "at once\n",
            "no thread was needed"
        );

        let direct = without_blocking(&writer);
        let log = LogWriter::start(writer, direct, 100, |lost| format!("{lost} lost\n")).unwrap();
        while other.write(b"x").is_ok() {}
        for line in ["one\n", "two\n"] {
            log.write(line.to_owned());
        }
        assert!(!log.flush(Duration::from_millis(1)), "the pipe is full");
        let read = read_until(&mut reader, "two\n");
        assert_eq!(read.trim_start_matches('x'), "one\ntwo\n");
        log.write("three\n".to_owned());
        assert_eq!(read_until(&mut reader, "three\n"), "three\n");
    }

    #[test]
    fn a_log_that_nobody_can_write_to_is_flushed_at_once() {
        let (log, seen, reader) = log_and_pipe();
        drop((seen, reader));
        log.write("one\n".to_owned());
        assert!(log.flush(PATIENCE));
    }
}
