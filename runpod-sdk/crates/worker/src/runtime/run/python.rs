//! Results with keys that mean something in Python's SDK (`docs/protocol/worker-protocol.md` §7).
//!
//! Here an output is its handler's own, whatever keys it holds. A worker that was ported may ask for Python's meaning.

use std::sync::atomic::{AtomicBool, Ordering};

use memchr::memmem;
use serde_json::{Map, Value};
use tracing::warn;

use crate::job::JobError;
use crate::json::{RawJson, entries};

const ERROR: &str = "error";
const REFRESH: &str = "refresh_worker";

/// How a worker reads these keys.
#[derive(Debug)]
pub(in crate::runtime) struct PythonResults {
    /// Whether they have Python's meaning.
    on: bool,
    /// Whether the warning about them has been logged.
    warned: AtomicBool,
}

/// A result after its keys were read.
pub(super) struct ReadResult {
    pub(super) output: Result<RawJson, JobError>,
    /// Whether it asks for another worker.
    pub(super) refresh: bool,
}

impl PythonResults {
    pub(in crate::runtime) fn new(on: bool) -> Self {
        Self {
            on,
            warned: AtomicBool::new(false),
        }
    }

    /// Reads the keys of a job's output. With Python's meaning they are taken out of it.
    pub(super) fn of_output(&self, output: RawJson) -> ReadResult {
        let Some(keys) = Keys::find(&output) else {
            return ReadResult {
                output: Ok(output),
                refresh: false,
            };
        };
        if !self.on {
            self.warn(&keys);
            return ReadResult {
                output: Ok(output),
                refresh: false,
            };
        }
        ReadResult {
            refresh: keys.refresh.as_ref().is_some_and(is_truthy),
            output: match keys.failure() {
                Some(error) if keys.rest.is_empty() => Err(error),
                Some(error) => {
                    let rest: Map<String, Value> = serde_json::from_str(&keys.rest()).unwrap_or_default();
                    Err(error.with_details(serde_json::json!({ "output": rest })))
                }
                None => Ok(RawJson::trusted(keys.rest().into())),
            },
        }
    }

    /// Reads the keys of a chunk. With Python's meaning an `error` ends the stream, and the chunk is not sent.
    pub(super) fn of_chunk(&self, chunk: RawJson) -> Result<RawJson, JobError> {
        match Keys::find(&chunk) {
            Some(keys) if keys.error.is_some() && !self.on => self.warn(&keys),
            Some(keys) if self.on => {
                if let Some(error) = keys.failure() {
                    return Err(error);
                }
            }
            _ => {}
        }
        Ok(chunk)
    }

    /// One warning, because a worker that returns such a key does so with every job.
    fn warn(&self, keys: &Keys<'_>) {
        if !self.warned.swap(true, Ordering::Relaxed) {
            let key = if keys.error.is_some() { ERROR } else { REFRESH };
            warn!(
                "an output has a top-level {key:?}, which is data here and a command in Python's SDK: return an `Err`, call \
                 `Context::refresh_worker`, or set `Worker::python_results`"
            );
        }
    }
}

/// The keys of an output, and what it holds beside them.
struct Keys<'a> {
    error: Option<Value>,
    refresh: Option<Value>,
    rest: Vec<(String, &'a str)>,
}

impl<'a> Keys<'a> {
    /// `None` if the output is no object with one of the keys at its top.
    fn find(output: &'a RawJson) -> Option<Self> {
        let text = output.as_bytes();
        // A picture is megabytes of text; a look for the names is much faster than one at the structure.
        let names = [&br#""error""#[..], br#""refresh_worker""#];
        if !text.trim_ascii_start().starts_with(b"{")
            || names.iter().all(|name| memmem::find(text, name).is_none())
        {
            return None;
        }
        let mut keys = Keys {
            error: None,
            refresh: None,
            rest: Vec::new(),
        };
        entries(text, |key, value| {
            let decoded = || serde_json::from_str(value).ok();
            match key {
                ERROR => keys.error = decoded(),
                REFRESH => keys.refresh = decoded(),
                _ => keys.rest.push((Value::from(key).to_string(), value)),
            }
        })
        .ok()?;
        (keys.error.is_some() || keys.refresh.is_some()).then_some(keys)
    }

    /// The error of a truthy `error`.
    fn failure(&self) -> Option<JobError> {
        let error = self.error.as_ref().filter(|error| is_truthy(error))?;
        Some(JobError::message_only(match error {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }))
    }

    /// The object without the keys, its values byte for byte.
    fn rest(&self) -> String {
        let entries: Vec<_> = self
            .rest
            .iter()
            .map(|(key, value)| format!("{key}:{value}"))
            .collect();
        format!("{{{}}}", entries.join(","))
    }
}

/// Whether Python takes the value for true.
fn is_truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(is) => *is,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::log_capture::LogCapture;

    fn read(on: bool, output: &str) -> ReadResult {
        PythonResults::new(on).of_output(RawJson::parse(output.to_owned()).unwrap())
    }

    fn text(result: &ReadResult) -> &str {
        std::str::from_utf8(result.output.as_ref().unwrap().as_bytes()).unwrap()
    }

    #[test]
    fn with_pythons_meaning_a_truthy_error_fails_the_job_and_what_stands_beside_it_is_in_its_details() {
        let failed = read(true, r#"{"error": "no model", "steps": 3}"#);
        let error = failed.output.unwrap_err();
        assert_eq!(error.message(), "no model");
        assert_eq!(
            error.details().unwrap(),
            &serde_json::json!({ "output": { "steps": 3 } })
        );
        assert!(!failed.refresh);
        let alone = read(true, r#"{"error": {"code": 7}, "refresh_worker": true}"#);
        let error = alone.output.unwrap_err();
        assert_eq!((error.message(), error.details()), (r#"{"code":7}"#, None));
        assert!(alone.refresh);
    }

    #[test]
    fn with_pythons_meaning_a_falsy_key_is_dropped_and_the_rest_stays_byte_for_byte() {
        for falsy in ["null", "false", "0", "0.0", "\"\"", "[ ]", "{ }"] {
            let output =
                format!(r#"{{"seed": 1.0, "error": {falsy}, "refresh_worker": {falsy}, "a b": [ 1 ]}}"#);
            let result = read(true, &output);
            assert_eq!(text(&result), r#"{"seed":1.0,"a b":[ 1 ]}"#);
            assert!(!result.refresh);
        }
        let result = read(true, r#"{"refresh_worker": 1, "n": 2}"#);
        assert_eq!((text(&result), result.refresh), (r#"{"n":2}"#, true));
    }

    #[test]
    fn without_it_every_output_is_data_and_one_warning_says_so() {
        let log = LogCapture::begin();
        let results = PythonResults::new(false);
        for output in [
            r#"{"error": "x"}"#,
            r#"{"refresh_worker": true}"#,
            r#"{"error": 1}"#,
        ] {
            let result = results.of_output(RawJson::parse(output).unwrap());
            assert_eq!((text(&result), result.refresh), (output, false));
        }
        assert_eq!(
            log.lines_with("a command in Python's SDK").len(),
            1,
            "{}",
            log.text()
        );
    }

    #[test]
    fn a_name_elsewhere_than_at_the_top_is_nothing() {
        let log = LogCapture::begin();
        for output in [
            r#"{"a": {"error": 1}}"#,
            r#"["error"]"#,
            r#""error""#,
            r#"{"a": "\"error\""}"#,
        ] {
            for on in [true, false] {
                assert_eq!(text(&read(on, output)), output);
            }
        }
        assert_eq!(log.text(), "");
    }

    #[test]
    fn a_chunk_with_an_error_ends_a_stream_with_pythons_meaning_alone() {
        let chunk = || RawJson::parse(r#"{"error": "no", "n": 1}"#).unwrap();
        let error = PythonResults::new(true).of_chunk(chunk()).unwrap_err();
        assert_eq!((error.message(), error.details()), ("no", None));
        assert_eq!(PythonResults::new(false).of_chunk(chunk()).unwrap(), chunk());
        let refresh = RawJson::parse(r#"{"refresh_worker": true}"#).unwrap();
        assert_eq!(
            PythonResults::new(true).of_chunk(refresh.clone()).unwrap(),
            refresh
        );
    }
}
