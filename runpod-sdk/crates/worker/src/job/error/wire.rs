//! The wire form of an error: a JSON *string* that holds an object. The six keys that the platform's own tools read
//! come first, then the keys of this crate (`docs/protocol/worker-protocol.md` §7).

use std::borrow::Cow;

use runpod_protocol::error_key;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::{ErrorClass, Inner, JobError};
use crate::redact::redacted;

/// The most bytes of each text in an error; the rest is cut. A message may quote a whole page, and the platform must
/// not refuse the error for its size.
const LONGEST_TEXT: usize = 16 * 1024;

impl JobError {
    /// The error as a JSON object for the platform. Secrets are masked: a message may quote a whole URL.
    pub(crate) fn to_wire(&self, identity: &WorkerIdentity) -> String {
        self.encoded(serde_json::to_string(&self.wire(identity, &self.inner.log_tail)))
    }

    /// The error as indented JSON for the log, without the last log lines.
    pub(crate) fn to_log(&self, identity: &WorkerIdentity) -> String {
        self.encoded(serde_json::to_string_pretty(&self.wire(identity, &[])))
    }

    fn wire<'a>(&'a self, identity: &'a WorkerIdentity, log_tail: &'a [String]) -> WireError<'a> {
        WireError {
            error: &self.inner,
            log_tail,
            identity,
        }
    }

    fn encoded(&self, text: serde_json::Result<String>) -> String {
        text.unwrap_or_else(|error| {
            // Strings and a `Value` always encode. If that ever changes, the code is still reported.
            format!("{}: {} ({error})", self.inner.code, shown(&self.inner.message))
        })
    }
}

/// The worker's identity, as the error's wire form names it.
#[derive(Debug, Clone, Default)]
pub(crate) struct WorkerIdentity {
    pub(crate) hostname: String,
    pub(crate) worker_id: String,
    pub(crate) runpod_version: String,
}

impl WorkerIdentity {
    /// The name of a worker or host to which the platform gave none.
    pub(crate) const UNKNOWN: &str = "unknown";

    /// The worker's id, if the platform gave one.
    pub(crate) fn known_worker(&self) -> Option<&str> {
        let known = !self.worker_id.is_empty() && self.worker_id != Self::UNKNOWN;
        known.then_some(&*self.worker_id)
    }
}

struct WireError<'a> {
    error: &'a Inner,
    log_tail: &'a [String],
    identity: &'a WorkerIdentity,
}

impl Serialize for WireError<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self {
            error,
            log_tail,
            identity,
        } = self;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry(error_key::ERROR_TYPE, &error.error_type)?;
        map.serialize_entry(error_key::ERROR_MESSAGE, &shown(&error.message))?;
        map.serialize_entry(error_key::ERROR_TRACEBACK, &shown(&traceback(error)))?;
        map.serialize_entry(error_key::HOSTNAME, &identity.hostname)?;
        map.serialize_entry(error_key::WORKER_ID, &identity.worker_id)?;
        map.serialize_entry(error_key::RUNPOD_VERSION, &identity.runpod_version)?;
        map.serialize_entry(error_key::CODE, &error.code)?;
        map.serialize_entry(error_key::CLASS, &error.class)?;
        map.serialize_entry(error_key::RETRYABLE, &error.retryable)?;
        if let Some(hint) = &error.hint {
            map.serialize_entry(error_key::HINT, &shown(hint))?;
        }
        if let Some(details) = &error.details {
            map.serialize_entry(error_key::DETAILS, &masked(details))?;
        }
        if !log_tail.is_empty() {
            let lines: Vec<_> = log_tail.iter().map(|line| shown(line)).collect();
            map.serialize_entry(error_key::LOG_TAIL, &lines)?;
        }
        map.end()
    }
}

/// The chain of causes and, unless the request is at fault, the stack.
fn traceback(error: &Inner) -> Cow<'_, str> {
    match &error.backtrace {
        Some(backtrace) if error.class != ErrorClass::User => {
            format!("{}\nbacktrace:\n{backtrace}", error.traceback).into()
        }
        _ => Cow::Borrowed(&error.traceback),
    }
}

/// A text with its secrets masked, and then cut. Masking comes first, because half a secret would not be found.
fn shown(text: &str) -> Cow<'_, str> {
    let text = redacted(text);
    if text.len() <= LONGEST_TEXT {
        return text;
    }
    let end = text.floor_char_boundary(LONGEST_TEXT);
    format!("{}… [{} more bytes]", &text[..end], text.len() - end).into()
}

/// A copy of the value with every text in it masked and cut, keys included.
fn masked(value: &Value) -> Value {
    match value {
        Value::String(text) => shown(text).into(),
        Value::Array(items) => items.iter().map(masked).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, field)| (shown(name).into_owned(), masked(field)))
            .collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::job::ErrorCode;
    use crate::redact::hide_secret;

    fn wire(error: &JobError) -> Value {
        serde_json::from_str(&error.to_wire(&WorkerIdentity::default())).unwrap()
    }

    #[test]
    fn no_text_of_an_error_shows_a_secret() {
        let secret = "in-every-text-of-an-error";
        let _hidden = hide_secret(secret);
        let error = JobError::message_only(secret)
            .with_hint(format!("use another key than {secret}"))
            .with_details(json!({ secret: [{ "url": format!("https://h/?id_token={secret}") }] }))
            .with_log_tail([secret.to_owned()])
            .with_traceback(secret.to_owned());
        let text = error.to_wire(&WorkerIdentity::default());
        assert!(!text.contains(secret), "{text}");
        let sent = wire(&error);
        assert_eq!(sent["hint"], "use another key than [secret]");
        assert_eq!(
            sent["details"],
            json!({ "[secret]": [{ "url": "https://h/?id_token=[secret]" }] })
        );
    }

    #[test]
    fn a_long_text_is_told_by_its_start_and_what_is_left_out() {
        let long = "é ".repeat(100_000);
        let error = JobError::new(ErrorCode::new("LONG"), ErrorClass::Worker, long.clone())
            .with_hint(long.clone())
            .with_details(json!([long]))
            .with_traceback(long.clone());
        let sent = wire(&error);
        let end = long.floor_char_boundary(LONGEST_TEXT);
        let shown = format!("{}… [{} more bytes]", &long[..end], long.len() - end);
        for text in [
            &sent["error_message"],
            &sent["error_traceback"],
            &sent["hint"],
            &sent["details"][0],
        ] {
            assert_eq!(*text, shown);
        }
        let whole = JobError::message_only("x ".repeat(LONGEST_TEXT / 2));
        assert_eq!(
            wire(&whole)["error_message"],
            whole.message(),
            "not above the limit"
        );
    }
}
