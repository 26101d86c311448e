//! What differs from run to run, replaced by names, so that the rest can be compared.

use serde_json::{Map, Value};

/// What to write for the URL of the endpoint.
const ENDPOINT: &str = "<endpoint>";
const JOB: &str = "<job>";
const WORKER: &str = "<worker>";
/// Between the message and the traceback of a generator's error.
const TRACEBACK: &str = "traceback: ";

/// Replaces job ids, times, the endpoint's URL and the worker's id.
#[derive(Debug, Clone)]
pub(crate) struct Normal {
    endpoint: String,
    worker: Option<String>,
}

impl Normal {
    pub(crate) fn new(base: &str, endpoint: &str) -> Self {
        Self {
            endpoint: format!("{base}/{endpoint}"),
            worker: None,
        }
    }

    /// With an id that is written `<worker>`.
    pub(crate) fn worker(mut self, id: &str) -> Self {
        self.worker = Some(id.to_owned());
        self
    }

    pub(crate) fn value(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => self.text(text),
            Value::Array(items) => items.iter().map(|item| self.value(item)).collect(),
            Value::Object(fields) => Value::Object(self.fields(fields)),
            other => other.clone(),
        }
    }

    fn fields(&self, fields: &Map<String, Value>) -> Map<String, Value> {
        let field = |(key, value): (&String, &Value)| {
            let value = match key.as_str() {
                "delayTime" | "executionTime" if value.is_u64() => Value::from("<ms>"),
                "error_traceback" => Value::from("<text>"),
                "hostname" => Value::from("<host>"),
                _ => self.value(value),
            };
            (key.clone(), value)
        };
        fields.iter().map(field).collect()
    }

    /// An object that is written as JSON text inside JSON, as a worker's error is, is shown as what it holds.
    fn text(&self, text: &str) -> Value {
        if text.starts_with('{')
            && let Ok(inner) = serde_json::from_str::<Map<String, Value>>(text)
        {
            return Value::from_iter([("<json>", Value::Object(self.fields(&inner)))]);
        }
        Value::from(self.plain(text))
    }

    pub(crate) fn plain(&self, text: &str) -> String {
        let text = text.replace(&self.endpoint, ENDPOINT);
        let text = match &self.worker {
            Some(id) => text.replace(id, WORKER),
            None => text,
        };
        // What follows has paths and line numbers of the machine.
        match text.split_once(TRACEBACK) {
            Some((message, _)) => without_ids(message) + TRACEBACK + "<text>",
            None => without_ids(&text),
        }
    }

    /// A body as one line: normalised if it is JSON, as it is if not.
    pub(crate) fn body(&self, body: &[u8]) -> String {
        match serde_json::from_slice(body) {
            Ok(value) => self.value(&value).to_string(),
            Err(_) => self.plain(&String::from_utf8_lossy(body)),
        }
    }
}

/// Writes `<job>` for every id of the forms the platform gives.
fn without_ids(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        if let Some(behind) = after_id(rest) {
            shown.push_str(JOB);
            rest = behind;
        } else {
            shown.push(next);
            rest = &rest[next.len_utf8()..];
        }
    }
    shown
}

/// What follows the id that `text` begins with: `[sync-]` UUID `[-u1]`.
fn after_id(text: &str) -> Option<&str> {
    let text = text.strip_prefix("sync-").unwrap_or(text);
    let (uuid, rest) = text.split_at_checked(36)?;
    let fits = |(at, character): (usize, char)| match at {
        8 | 13 | 18 | 23 => character == '-',
        _ => character.is_ascii_hexdigit(),
    };
    uuid.char_indices()
        .all(fits)
        .then(|| rest.strip_prefix("-u1").unwrap_or(rest))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn normal() -> Normal {
        Normal::new("http://127.0.0.1:4000/v2", "e")
    }

    #[test]
    fn ids_and_addresses_are_replaced_wherever_they_are() {
        let text =
            "404 for http://127.0.0.1:4000/v2/e/status/sync-0a8b2c4d-0000-4000-8000-00000000000f-u1, é";
        assert_eq!(normal().plain(text), "404 for <endpoint>/status/<job>, é");
        assert_eq!(
            normal().plain("0a8b2c4d-0000-4000-8000"),
            "0a8b2c4d-0000-4000-8000"
        );
    }

    #[test]
    fn times_are_replaced_and_json_inside_json_is_opened() {
        let seen = json!({"executionTime": 12, "error": "{\"hostname\":\"h\",\"error_message\":\"m\"}"});
        let shown = json!({"executionTime": "<ms>", "error": {"<json>": {"hostname": "<host>", "error_message": "m"}}});
        assert_eq!(normal().value(&seen), shown);
    }
}
