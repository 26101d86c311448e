//! The error as it is posted: a JSON *string* that holds an object. Six keys that the platform's own tools know come
//! first, then those of ours (`docs/protocol/worker-protocol.md` §7).

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::{Inner, JobError};
use crate::redact::redacted;

impl JobError {
    /// The error's text as it goes over the wire: a JSON object. What must not be read is masked: a message may
    /// quote a URL with all that is in it.
    pub(crate) fn to_wire(&self, identity: &Identity) -> String {
        self.encoded(serde_json::to_string(&self.wire(identity, &self.inner.log_tail)))
    }

    /// The same for the log, which has its own last lines, and where people read it.
    pub(crate) fn to_log(&self, identity: &Identity) -> String {
        self.encoded(serde_json::to_string_pretty(&self.wire(identity, &[])))
    }

    fn wire<'a>(&'a self, identity: &'a Identity, log_tail: &'a [String]) -> WireError<'a> {
        WireError {
            error: &self.inner,
            log_tail,
            identity,
        }
    }

    fn encoded(&self, text: serde_json::Result<String>) -> String {
        text.unwrap_or_else(|error| {
            // Strings and a `Value` always encode; if that should ever change, the code still tells.
            format!("{}: {} ({error})", self.inner.code, redacted(&self.inner.message))
        })
    }
}

/// Who failed: part of the error's wire form.
#[derive(Debug, Clone, Default)]
pub(crate) struct Identity {
    pub(crate) hostname: String,
    pub(crate) worker_id: String,
    pub(crate) runpod_version: String,
}

impl Identity {
    /// Stands where the platform has told no name.
    pub(crate) const UNKNOWN: &str = "unknown";

    /// The worker's id, if the platform has told it.
    pub(crate) fn known_worker(&self) -> Option<&str> {
        let known = !self.worker_id.is_empty() && self.worker_id != Self::UNKNOWN;
        known.then_some(&*self.worker_id)
    }
}

struct WireError<'a> {
    error: &'a Inner,
    log_tail: &'a [String],
    identity: &'a Identity,
}

impl Serialize for WireError<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self {
            error,
            log_tail,
            identity,
        } = self;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("error_type", &error.error_type)?;
        map.serialize_entry("error_message", &redacted(&error.message))?;
        map.serialize_entry("error_traceback", &redacted(&error.traceback))?;
        map.serialize_entry("hostname", &identity.hostname)?;
        map.serialize_entry("worker_id", &identity.worker_id)?;
        map.serialize_entry("runpod_version", &identity.runpod_version)?;
        map.serialize_entry("code", &error.code)?;
        map.serialize_entry("class", &error.class)?;
        map.serialize_entry("retryable", &error.retryable)?;
        if let Some(hint) = &error.hint {
            map.serialize_entry("hint", hint)?;
        }
        if let Some(details) = &error.details {
            map.serialize_entry("details", &masked(details))?;
        }
        if !log_tail.is_empty() {
            let lines: Vec<_> = log_tail.iter().map(|line| redacted(line)).collect();
            map.serialize_entry("log_tail", &lines)?;
        }
        map.end()
    }
}

/// The same value with every text in it masked.
fn masked(value: &Value) -> Value {
    match value {
        Value::String(text) => redacted(text).into(),
        Value::Array(items) => items.iter().map(masked).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, field)| (name.clone(), masked(field)))
            .collect(),
        other => other.clone(),
    }
}
