//! Captures the log for this crate's tests.

use runpod_protocol::sync::Mutex;
use std::sync::Arc;

use tracing::subscriber::DefaultGuard;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;

use super::{Format, Lines};

/// Captures the lines that are logged on this thread, in the form for people. Dropping it ends the capture.
pub(crate) struct LogCapture {
    written: Arc<Mutex<String>>,
    _guard: DefaultGuard,
}

impl LogCapture {
    pub(crate) fn begin() -> Self {
        let written: Arc<Mutex<String>> = Arc::default();
        let into = written.clone();
        let lines = Lines {
            format: Format::Human,
            write: move |line: String| into.lock().push_str(&line),
        };
        // Other crates log much about connections.
        let ours = filter_fn(|metadata| {
            metadata.is_span() || metadata.target().starts_with(env!("CARGO_CRATE_NAME"))
        });
        let subscriber = tracing_subscriber::registry().with(lines.with_filter(ours));
        Self {
            written,
            _guard: tracing::subscriber::set_default(subscriber),
        }
    }

    /// The log so far.
    pub(crate) fn text(&self) -> String {
        self.written.lock().clone()
    }

    /// The lines so far that contain `words`.
    pub(crate) fn lines_with(&self, words: &str) -> Vec<String> {
        let text = self.text();
        let lines = text.lines().filter(|line| line.contains(words));
        lines.map(str::to_owned).collect()
    }
}
