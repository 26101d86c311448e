//! Keeps the last lines that a job's own code logs, which its error shows as `log_tail`.

use std::collections::VecDeque;

use tracing::{Level, Metadata, Span};
use tracing_subscriber::Registry;
use tracing_subscriber::registry::{Extensions, LookupSpan, SpanRef};

/// The most lines that are kept of one job.
pub(crate) const MOST_LINES: usize = 20;
/// The most characters that are kept of one line.
const LONGEST_LINE: usize = 500;

/// The lines, oldest first. An extension of the job's span.
#[derive(Debug)]
pub(super) struct Tail {
    lines: VecDeque<String>,
    most: usize,
}

impl Default for Tail {
    fn default() -> Self {
        Self {
            lines: VecDeque::new(),
            most: MOST_LINES,
        }
    }
}

impl Tail {
    pub(super) fn push(&mut self, level: Level, text: &str) {
        if self.most == 0 {
            return;
        }
        if self.lines.len() >= self.most {
            self.lines.pop_front();
        }
        let line = match text.char_indices().nth(LONGEST_LINE) {
            Some((end, _)) => format!("{level} {}…", &text[..end]),
            None => format!("{level} {text}"),
        };
        self.lines.push_back(line);
    }
}

/// The crates whose lines are not the job's own.
const OWN_CRATES: [&str; 6] = [
    "runpod_client",
    "runpod_files",
    "runpod_local",
    "runpod_protocol",
    "runpod_sdk",
    "runpod_worker",
];

/// Whether a line is the job's own.
pub(super) fn is_the_jobs_own(metadata: &Metadata<'_>) -> bool {
    let target = metadata.target();
    let from = target.split_once("::").map_or(target, |(name, _)| name);
    !OWN_CRATES.contains(&from)
}

/// Keeps the last `most` lines of the current span's job from now on.
pub(crate) fn keep_last_lines(most: usize) {
    Span::current().with_subscriber(|(id, dispatch)| {
        let span = dispatch.downcast_ref::<Registry>()?.span(id)?;
        span.scope().find_map(|span| {
            span.extensions_mut().get_mut::<Tail>()?.most = most.min(MOST_LINES);
            Some(())
        })
    });
}

/// The last lines that were logged within the current span's job, at most `most`. None without a job, or with
/// another subscriber than this crate's.
pub(crate) fn last_lines(most: usize) -> Vec<String> {
    let found = Span::current().with_subscriber(|(id, dispatch)| {
        let span = dispatch.downcast_ref::<Registry>()?.span(id)?;
        within_job(&span, |extensions| {
            let lines = &extensions.get::<Tail>()?.lines;
            let first = lines.len().saturating_sub(most);
            Some(lines.iter().skip(first).cloned().collect())
        })
    });
    found.flatten().unwrap_or_default()
}

/// The first answer of a span and those around it, from the inside out.
fn within_job<'a, S: LookupSpan<'a>, T>(
    span: &SpanRef<'a, S>,
    mut ask: impl FnMut(&Extensions<'_>) -> Option<T>,
) -> Option<T> {
    span.scope().find_map(|span| ask(&span.extensions()))
}
