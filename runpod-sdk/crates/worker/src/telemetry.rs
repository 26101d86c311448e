//! Log lines in the platform's form (`docs/protocol/worker-protocol.md` §12).
//!
//! Deployed, one JSON object a line with exactly the keys `requestId`, `message` and `level`; on a
//! laptop `INFO   | job-id | message`. The fields of an event are appended to its message, and secrets
//! are masked ([`crate::redact`]).

#[cfg(test)]
pub(crate) mod log_capture;
#[cfg(feature = "otlp")]
pub(crate) mod otlp;
mod tail;

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::io;

use runpod_protocol::variable;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{FilterExt as _, Targets, filter_fn};
use tracing_subscriber::layer::{Context, Filter, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use crate::job::JobId;
use crate::log_writer;
use crate::redact::redacted;

use tail::Tail;
pub(crate) use tail::{keep_last_lines, last_lines};

/// Name and target of the span that a job's lines belong to.
pub(crate) const JOB_SPAN: &str = "job";
pub(crate) const JOB_TARGET: &str = "runpod_sdk::job";

/// Longer messages lose their middle.
const LONGEST_MESSAGE: usize = 4096;

/// The reader of the log, for whom lines are formatted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// The platform: one JSON object a line.
    Platform,
    /// A person.
    Human,
}

impl Format {
    /// The format of the log in this environment.
    fn of(lookup: impl Fn(&str) -> Option<String>) -> Self {
        match variable::unless_blank(lookup(variable::ENDPOINT_ID)) {
            Some(_) => Self::Platform,
            None => Self::Human,
        }
    }
}

/// Starts the thread that writes the log to standard output.
///
/// # Errors
///
/// The thread could not be started.
pub(crate) fn start_writing(lookup: impl Fn(&str) -> Option<String>) -> io::Result<()> {
    log_writer::start(match Format::of(lookup) {
        Format::Platform => |lost| lost_lines(Format::Platform, lost),
        Format::Human => |lost| lost_lines(Format::Human, lost),
    })
}

/// The line that stands in the log for lines that were dropped.
fn lost_lines(format: Format, lost: u64) -> String {
    let text = format!("{lost} line(s) of the log were lost here: standard output was not read in time");
    line(format, Level::WARN, None, &text)
}

/// Installs the subscriber, unless the program has installed one of its own. Returns a warning
/// about a level that could not be understood.
pub(crate) fn install(
    flag: Option<&str>,
    lookup: impl Fn(&str) -> Option<String>,
    #[cfg(feature = "otlp")] traces: Option<&otlp::Traces>,
) -> Result<Option<String>, String> {
    let get = |name: &str| variable::unless_blank(lookup(name));
    let (filter, warning) = match get("RUST_LOG") {
        Some(directives) => match directives.parse::<Targets>() {
            Ok(targets) => (targets, None),
            Err(error) => (
                targets(LevelFilter::INFO),
                Some(format!("RUST_LOG={directives}: {error}; using INFO")),
            ),
        },
        None => {
            if let Some(level) = flag {
                (
                    targets(level_named(level).ok_or_else(|| unknown_level(level))?),
                    None,
                )
            } else {
                match get("RUNPOD_LOG_LEVEL").or_else(|| get("RUNPOD_DEBUG_LEVEL")) {
                    None => (targets(LevelFilter::INFO), None),
                    Some(name) => match level_named(&name) {
                        Some(level) => (targets(level), None),
                        None => (
                            targets(LevelFilter::INFO),
                            Some(format!("{}; using INFO", unknown_level(&name))),
                        ),
                    },
                }
            }
        }
    };
    let lines = Lines {
        format: Format::of(get),
        write: log_writer::write,
    };
    // A program with its own subscriber keeps it.
    let subscriber = tracing_subscriber::registry().with(lines.with_filter(of_lines(filter)));
    #[cfg(feature = "otlp")]
    let subscriber = subscriber.with(traces.map(otlp::Traces::layer));
    let _ = subscriber.try_init();
    Ok(warning)
}

/// The filter of the log. Jobs' spans pass at any level, so that every line names its job.
fn of_lines<S>(targets: Targets) -> impl Filter<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let spans = filter_fn(|metadata| {
        metadata.is_span() && metadata.name() == JOB_SPAN && metadata.target() == JOB_TARGET
    });
    targets.or(spans.with_max_level_hint(LevelFilter::INFO))
}

/// A log of everything, for tests that look at what is kept of it.
#[cfg(test)]
pub(crate) fn subscriber() -> impl Subscriber {
    tracing_subscriber::registry().with(Lines {
        format: Format::Human,
        write: drop,
    })
}

/// The level for everything, with the HTTP libraries kept quiet below it.
fn targets(level: LevelFilter) -> Targets {
    let quiet = level.min(LevelFilter::INFO);
    let mut targets = Targets::new().with_default(level);
    for library in ["hyper", "hyper_util", "reqwest", "rustls", "tower", "mio", "h2"] {
        targets = targets.with_target(library, quiet);
    }
    targets
}

fn unknown_level(name: &str) -> String {
    format!("unknown log level {name}: use ERROR, WARN, INFO, DEBUG, TRACE or NOTSET")
}

/// A level by its name in any case, the platform's names and Python's included, or by its rank.
fn level_named(name: &str) -> Option<LevelFilter> {
    Some(match name.trim().to_ascii_uppercase().as_str() {
        "NOTSET" | "0" => LevelFilter::OFF,
        "TRACE" | "1" => LevelFilter::TRACE,
        "DEBUG" | "2" => LevelFilter::DEBUG,
        "INFO" | "TIP" | "3" => LevelFilter::INFO,
        "WARN" | "WARNING" | "4" => LevelFilter::WARN,
        "ERROR" | "CRITICAL" | "FATAL" | "5" => LevelFilter::ERROR,
        _ => return None,
    })
}

/// Writes one line an event.
struct Lines<W> {
    format: Format,
    write: W,
}

/// The job of a span.
#[derive(Debug, Default, Clone)]
struct JobTag {
    job: Option<String>,
    batch: Option<String>,
}

/// An id as it is shown. A program's own events may have one that no [`JobId`] has been made of.
fn id(value: &dyn fmt::Debug) -> String {
    let text = format!("{value:?}");
    JobId::from(text.trim_matches('"')).shown().into_owned()
}

impl Visit for JobTag {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "job.id" => self.job = Some(id(value)),
            "batch.id" => self.batch = Some(id(value)),
            _ => {}
        }
    }
}

/// The message of an event, its other fields behind it.
#[derive(Default)]
struct Message {
    text: String,
    fields: String,
    tag: JobTag,
}

impl Visit for Message {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.text.push_str(value);
        } else {
            self.record_debug(field, &format_args!("{value}"));
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string does not fail.
        let _ = match field.name() {
            "message" => write!(self.text, "{value:?}"),
            "job.id" => {
                self.tag.record_debug(field, value);
                Ok(())
            }
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}

impl<S, W> Layer<S> for Lines<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: Fn(String) + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut tag = JobTag::default();
        attributes.record(&mut tag);
        if (tag.job.is_some() || tag.batch.is_some())
            && let Some(span) = context.span(id)
        {
            if attributes.metadata().target() == JOB_TARGET {
                span.extensions_mut().insert(Tail::default());
            }
            span.extensions_mut().insert(tag);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        (self.write)(self.render(event, &context));
    }
}

impl<W> Lines<W> {
    fn render<S>(&self, event: &Event<'_>, context: &Context<'_, S>) -> String
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let mut message = Message::default();
        event.record(&mut message);
        let from_span = context
            .event_scope(event)
            .and_then(|mut scope| scope.find_map(|span| span.extensions().get::<JobTag>().cloned()));
        let tag = JobTag {
            job: message
                .tag
                .job
                .take()
                .or_else(|| from_span.as_ref().and_then(|tag| tag.job.clone())),
            batch: from_span.and_then(|tag| tag.batch),
        };
        let mut text = message.text + &message.fields;
        // Masked before it is shortened: half a secret is a secret, too.
        if let Cow::Owned(masked) = redacted(&text) {
            text = masked;
        }
        if tail::is_the_jobs_own(event.metadata()) {
            let level = *event.metadata().level();
            for span in context.event_scope(event).into_iter().flatten() {
                if let Some(tail) = span.extensions_mut().get_mut::<Tail>() {
                    tail.push(level, &text);
                    break;
                }
            }
        }
        if let Some(batch) = &tag.batch {
            text.insert_str(0, &format!("[batchId={batch}] "));
        }
        line(
            self.format,
            *event.metadata().level(),
            tag.job.as_deref(),
            &shorten(text),
        )
    }
}

fn line(format: Format, level: Level, job: Option<&str>, message: &str) -> String {
    match format {
        Format::Human => {
            let message = one_event(message);
            match job {
                Some(job) => format!("{:<7}| {job} | {message}\n", level.as_str()),
                None => format!("{:<7}| {message}\n", level.as_str()),
            }
        }
        Format::Platform => {
            let job = job.map_or_else(|| "null".to_owned(), ascii_json);
            format!(
                "{{\"requestId\": {job}, \"message\": {}, \"level\": \"{}\"}}\n",
                ascii_json(message),
                level.as_str()
            )
        }
    }
}

/// A message as text that a person reads: its further lines are indented, so that none looks like an event of its own, and
/// other control characters, which could move the cursor, are escaped.
fn one_event(message: &str) -> Cow<'_, str> {
    if !message.chars().any(|c| c.is_control() && c != '\t') {
        return Cow::Borrowed(message);
    }
    let mut out = String::with_capacity(message.len());
    for c in message.chars() {
        match c {
            '\n' => out.push_str("\n    "),
            '\t' => out.push(c),
            c if c.is_control() => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// A JSON string in plain ASCII.
fn ascii_json(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            ' '..='~' => out.push(c),
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
    out.push('"');
    out
}

/// Keeps both ends of a message that is too long.
fn shorten(text: String) -> String {
    let length = text.chars().count();
    if length <= LONGEST_MESSAGE {
        return text;
    }
    let half = LONGEST_MESSAGE / 2;
    let head: String = text.chars().take(half).collect();
    let tail: String = text.chars().skip(length - half).collect();
    format!(
        "{head}\n...TRUNCATED {} CHARACTERS...\n{tail}",
        length - LONGEST_MESSAGE
    )
}

#[cfg(test)]
mod tests;
