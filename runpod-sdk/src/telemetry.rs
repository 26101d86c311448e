//! Log lines in the platform's form (`docs/protocol/worker-protocol.md` §12).
//!
//! Deployed, one JSON object a line with exactly the keys `requestId`, `message` and `level`; on a
//! laptop `INFO   | job-id | message`. The fields of an event are appended to its message, and what must
//! not be read there is masked ([`crate::redact`]).

#[cfg(test)]
pub(crate) mod heard;
#[cfg(feature = "otlp")]
pub(crate) mod otlp;
mod tail;

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::io::{self, Write as _};

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{FilterExt as _, Targets, filter_fn};
use tracing_subscriber::layer::{Context, Filter, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use crate::redact::redacted;

use tail::Tail;
pub(crate) use tail::{keep_last_lines, last_lines};

/// Name and target of the span that a job's lines belong to.
pub(crate) const JOB_SPAN: &str = "job";
pub(crate) const JOB_TARGET: &str = "runpod_sdk::job";

/// Longer messages lose their middle.
const LONGEST_MESSAGE: usize = 4096;

/// Who reads the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// The platform: one JSON object a line.
    Platform,
    /// A person.
    Human,
}

/// Installs the subscriber, unless the program has installed one of its own. Returns a warning
/// about a level that could not be understood.
pub(crate) fn install(
    flag: Option<&str>,
    lookup: impl Fn(&str) -> Option<String>,
    #[cfg(feature = "otlp")] traces: Option<&otlp::Traces>,
) -> Result<Option<String>, String> {
    let get = |name: &str| lookup(name).filter(|value| !value.is_empty());
    let format = if get("RUNPOD_ENDPOINT_ID").is_some() {
        Format::Platform
    } else {
        Format::Human
    };
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
    // A program with its own subscriber keeps it.
    let subscriber = tracing_subscriber::registry().with(Lines { format }.with_filter(of_lines(filter)));
    #[cfg(feature = "otlp")]
    let subscriber = subscriber.with(traces.map(otlp::Traces::layer));
    let _ = subscriber.try_init();
    Ok(warning)
}

/// What is logged, and in any case the jobs' spans: whatever the level, a line names the job that it belongs to.
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
    let lines = Lines {
        format: Format::Human,
    };
    tracing_subscriber::registry().with(lines)
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
struct Lines {
    format: Format,
}

/// What a span says about the job it belongs to.
#[derive(Debug, Default, Clone)]
struct JobTag {
    job: Option<String>,
    batch: Option<String>,
}

impl Visit for JobTag {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "job.id" => self.job = Some(format!("{value:?}").trim_matches('"').to_owned()),
            "batch.id" => self.batch = Some(format!("{value:?}").trim_matches('"').to_owned()),
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

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Lines {
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
        let line = self.render(event, &context);
        // A log that cannot be written must not end the worker.
        let _ = io::stdout().lock().write_all(line.as_bytes());
        let _ = io::stdout().flush();
    }
}

impl Lines {
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
        // Before it is shortened: half a secret is one, too.
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
        Format::Human => match job {
            Some(job) => format!("{:<7}| {job} | {message}\n", level.as_str()),
            None => format!("{:<7}| {message}\n", level.as_str()),
        },
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
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::job::Job;

    fn install_alone(
        flag: Option<&str>,
        lookup: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<String>, String> {
        install(
            flag,
            lookup,
            #[cfg(feature = "otlp")]
            None,
        )
    }

    #[test]
    fn a_line_for_people_is_padded_and_names_the_job() {
        assert_eq!(
            line(Format::Human, Level::INFO, Some("test_job_id"), "test_message"),
            "INFO   | test_job_id | test_message\n"
        );
        assert_eq!(line(Format::Human, Level::ERROR, None, "no"), "ERROR  | no\n");
    }

    #[test]
    fn a_line_for_the_platform_has_three_keys_in_order_and_only_ascii() {
        assert_eq!(
            line(Format::Platform, Level::WARN, None, "naïve \"\u{1F600}\"\n"),
            "{\"requestId\": null, \"message\": \"na\\u00efve \\\"\\ud83d\\ude00\\\"\\n\", \"level\": \"WARN\"}\n"
        );
        assert!(
            line(Format::Platform, Level::INFO, Some("j\"1"), "").starts_with("{\"requestId\": \"j\\\"1\", ")
        );
    }

    #[test]
    fn a_long_message_keeps_both_ends() {
        let text = format!("{}{}{}", "a".repeat(2048), "b".repeat(10), "c".repeat(2048));
        let short = shorten(text);
        assert!(short.starts_with("aaa") && short.ends_with("ccc"));
        assert!(short.contains("a\n...TRUNCATED 10 CHARACTERS...\nc"));
        assert_eq!(shorten("x".repeat(4096)).len(), 4096);
    }

    /// Keeps what would be written.
    #[derive(Clone)]
    struct Kept {
        lines: Arc<Lines>,
        written: Arc<Mutex<String>>,
    }

    impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Kept {
        fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
            self.lines.on_new_span(attributes, id, context);
        }

        fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
            self.written
                .lock()
                .unwrap()
                .push_str(&self.lines.render(event, &context));
        }
    }

    /// What is written while `log` runs.
    fn written(format: Format, log: impl FnOnce()) -> String {
        written_at("trace", format, log)
    }

    /// The same where `RUST_LOG` says so.
    fn written_at(directives: &str, format: Format, log: impl FnOnce()) -> String {
        let kept = Kept {
            lines: Arc::new(Lines { format }),
            written: Arc::default(),
        };
        let filter = of_lines(directives.parse().unwrap());
        let subscriber = tracing_subscriber::registry().with(kept.clone().with_filter(filter));
        tracing::subscriber::with_default(subscriber, log);
        kept.written.lock().unwrap().clone()
    }

    #[test]
    fn the_lines_of_a_job_name_it_and_its_batch_wherever_they_come_from() {
        let log = || {
            let job = tracing::info_span!("job", job.id = %"j1", batch.id = "b1");
            job.in_scope(|| {
                tracing::info!("Started.");
                // A span of the handler's own code.
                tracing::info_span!("model").in_scope(|| tracing::warn!(step = 3, "slow"));
            });
            tracing::info!("idle");
        };
        assert_eq!(
            written(Format::Human, log),
            "INFO   | j1 | [batchId=b1] Started.\nWARN   | j1 | [batchId=b1] slow step=3\nINFO   | idle\n"
        );
        let platform = written(Format::Platform, log);
        let first = platform.lines().next().unwrap();
        assert_eq!(
            first,
            r#"{"requestId": "j1", "message": "[batchId=b1] Started.", "level": "INFO"}"#
        );
    }

    #[test]
    fn whatever_is_left_out_a_line_names_its_job() {
        let log = || {
            let job = Job::new("j1", crate::json::RawJson::null());
            crate::runtime::span_of(&job).in_scope(|| {
                tracing::info!(target: "worker", "small");
                tracing::warn!(target: "worker", "large");
            });
        };
        let line = "WARN   | j1 | large\n";
        assert_eq!(written_at("warn", Format::Human, log), line);
        assert_eq!(written_at("worker=warn", Format::Human, log), line);
        assert_eq!(written_at("off", Format::Human, log), "");
    }

    #[test]
    fn a_jobs_own_last_lines_are_kept_with_it_masked_and_cut() {
        let _hidden = crate::redact::hide_secret("rpa_tail_of_the_log");
        let job = |id: &str| crate::runtime::span_of(&Job::new(id, crate::json::RawJson::null()));
        written(Format::Human, || {
            assert!(last_lines(10).is_empty(), "no job, no lines");
            let (one, other) = (job("one"), job("other"));
            other.in_scope(|| tracing::info!(target: "worker", "of another job"));
            one.in_scope(|| {
                tracing::info!(target: "runpod_sdk::runtime", "Started.");
                for step in 0..25 {
                    tracing::info!(target: "worker", step, "at work");
                }
                // A span of the handler's own code.
                tracing::info_span!("model").in_scope(|| {
                    tracing::warn!(target: "worker", key = "rpa_tail_of_the_log", "refused");
                    tracing::error!(target: "worker", "{}", "a b ".repeat(200));
                    assert_eq!(last_lines(99).len(), tail::MOST_LINES);
                });
                let lines = last_lines(3);
                assert_eq!(lines[..2], ["INFO at work step=24", "WARN refused key=[secret]"]);
                assert!(
                    lines[2].starts_with("ERROR a b a b ") && lines[2].ends_with('…'),
                    "{lines:?}"
                );
                assert!(last_lines(0).is_empty());
            });
            assert_eq!(other.in_scope(|| last_lines(10)), ["INFO of another job"]);
        });
    }

    #[test]
    fn no_more_lines_of_a_job_are_kept_than_its_error_will_show() {
        let kept_of = |most: usize| {
            let mut kept = 0;
            written(Format::Human, || {
                let job = crate::runtime::span_of(&Job::new("j", crate::json::RawJson::null()));
                job.in_scope(|| {
                    keep_last_lines(most);
                    for step in 0..25 {
                        tracing::info!(target: "worker", step, "at work");
                    }
                    kept = last_lines(99).len();
                });
            });
            kept
        };
        assert_eq!([0, 1, 7, 99].map(kept_of), [0, 1, 7, tail::MOST_LINES]);
    }

    #[test]
    fn no_line_shows_a_secret_or_a_picture_in_message_or_fields() {
        let key = "rpa_line_by_line_key";
        let _hidden = crate::redact::hide_secret(key);
        let picture = "iVBORw0KGgo".repeat(1000);
        for format in [Format::Human, Format::Platform] {
            let text = written(format, || {
                tracing::info!(%key, header = ?key, "key is {key}");
                tracing::error!(body = picture, "refused");
            });
            assert!(!text.contains(key), "{text}");
            assert!(text.contains("key is [secret] key=[secret]"), "{text}");
            assert!(
                text.contains("refused body=[11000 characters of base64]"),
                "{text}"
            );
        }
    }

    #[test]
    fn a_secret_across_the_cut_of_a_long_message_is_masked_before_the_cut() {
        let key = "rpa_in_the_very_middle";
        let _hidden = crate::redact::hide_secret(key);
        let text = written(Format::Human, || {
            tracing::info!("{} {key}{}", "a, ".repeat(680), "b, ".repeat(3000));
        });
        assert!(text.contains("...TRUNCATED"), "{text}");
        assert!(!text.contains("rpa_"), "{text}");
    }

    #[test]
    fn a_secret_is_logged_by_its_first_and_last_letter_and_hidden_from_then_on() {
        let text = written(Format::Human, || {
            crate::redact::secret("token", "full-of-secrets-l");
            crate::redact::secret("pin", "1234567");
            crate::redact::secret("nothing", "");
            tracing::info!("sent full-of-secrets-l");
        });
        assert_eq!(
            text,
            "INFO   | token: f***l\nINFO   | pin: ***\nINFO   | nothing: ***\nINFO   | sent [secret]\n"
        );
    }

    #[test]
    fn the_shortest_messages_that_are_cut_keep_2048_characters_at_each_end() {
        let text = "é".repeat(4097);
        let short = shorten(text);
        let (head, tail) = short.split_once("\n...TRUNCATED 1 CHARACTERS...\n").unwrap();
        assert_eq!((head.chars().count(), tail.chars().count()), (2048, 2048));
    }

    #[test]
    fn names_that_crashed_python_are_levels_and_unknown_ones_a_warning() {
        for (name, level) in [
            ("WARNING", LevelFilter::WARN),
            ("critical", LevelFilter::ERROR),
            ("FATAL", LevelFilter::ERROR),
            ("0", LevelFilter::OFF),
            ("2", LevelFilter::DEBUG),
            (" info ", LevelFilter::INFO),
            ("TIP", LevelFilter::INFO),
            ("NotSet", LevelFilter::OFF),
        ] {
            assert_eq!(level_named(name), Some(level), "{name}");
        }
        let lookup = |name: &str| (name == "RUNPOD_LOG_LEVEL").then(|| "loud".to_owned());
        let warning = install_alone(None, lookup).unwrap().unwrap();
        assert!(warning.starts_with("unknown log level loud: use "), "{warning}");
        assert!(
            install_alone(Some("loud"), |_| None).is_err(),
            "a flag must be right"
        );
    }

    #[test]
    fn levels_have_many_names() {
        assert_eq!(level_named("warning"), Some(LevelFilter::WARN));
        assert_eq!(level_named("2"), Some(LevelFilter::DEBUG));
        assert_eq!(level_named("Fatal"), Some(LevelFilter::ERROR));
        assert_eq!(level_named("loud"), None);
    }
}
