use runpod_protocol::sync::Mutex;
use std::sync::Arc;

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
fn neither_an_id_nor_a_message_makes_a_line_that_looks_like_an_event() {
    let forged = "j\nERROR  | other | gone\r\u{1b}[2K";
    let log = || {
        let job = Job::new(forged, crate::json::RawJson::null());
        crate::runtime::span_of(&job).in_scope(|| tracing::info!("Started."));
        tracing::warn!(job.id = %job.id(), "a job: {}", job.id());
        tracing::warn!(
            job.id = forged,
            batch.id = forged,
            "two\nlines\r\u{1b}[2K\tand a tab"
        );
    };
    let id = r"j\u{a}ERROR  | other | gone\u{d}\u{1b}[2K";
    assert_eq!(
        written(Format::Human, log),
        format!(
            "INFO   | {id} | Started.\nWARN   | {id} | a job: j\n    ERROR  | other | gone\\u{{d}}\\u{{1b}}[2K\n\
             WARN   | {id} | two\n    lines\\u{{d}}\\u{{1b}}[2K\tand a tab batch.id=j\n    ERROR  | other | gone\\u{{d}}\\u{{1b}}[2K\n"
        )
    );
    let endless = Job::new(&"x".repeat(500), crate::json::RawJson::null());
    let line = written(Format::Platform, || {
        crate::runtime::span_of(&endless).in_scope(|| tracing::info!("a"));
    });
    let shown = format!("{}...", "x".repeat(128));
    assert_eq!(
        line,
        format!("{{\"requestId\": \"{shown}\", \"message\": \"a\", \"level\": \"INFO\"}}\n")
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

/// What is written while `log` runs.
fn written(format: Format, log: impl FnOnce()) -> String {
    written_at("trace", format, log)
}

/// The same where `RUST_LOG` says so.
fn written_at(directives: &str, format: Format, log: impl FnOnce()) -> String {
    let written: Arc<Mutex<String>> = Arc::default();
    let into = written.clone();
    let lines = Lines {
        format,
        write: move |line: String| into.lock().push_str(&line),
    };
    let filter = of_lines(directives.parse().unwrap());
    let subscriber = tracing_subscriber::registry().with(lines.with_filter(filter));
    tracing::subscriber::with_default(subscriber, log);
    written.lock().clone()
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
