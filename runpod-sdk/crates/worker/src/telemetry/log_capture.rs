//! Captures the log for this crate's tests.

use runpod_protocol::sync::Mutex;
use std::sync::Arc;

use tracing::subscriber::DefaultGuard;
use tracing::{Event, Id, Subscriber, span};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

use super::{Format, Lines};

/// Captures the lines that are logged on this thread, in the form for people. Dropping it ends the capture.
pub(crate) struct LogCapture {
    written: Arc<Mutex<String>>,
    _guard: DefaultGuard,
}

struct Listener {
    lines: Lines,
    written: Arc<Mutex<String>>,
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Listener {
    fn on_new_span(&self, attributes: &span::Attributes<'_>, id: &Id, context: Context<'_, S>) {
        self.lines.on_new_span(attributes, id, context);
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        // Other crates log much about connections.
        if event.metadata().target().starts_with(env!("CARGO_CRATE_NAME")) {
            let line = self.lines.render(event, &context);
            self.written.lock().push_str(&line);
        }
    }
}

impl LogCapture {
    pub(crate) fn begin() -> Self {
        let written: Arc<Mutex<String>> = Arc::default();
        let listener = Listener {
            lines: Lines {
                format: Format::Human,
            },
            written: written.clone(),
        };
        let subscriber = tracing_subscriber::registry().with(listener);
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
