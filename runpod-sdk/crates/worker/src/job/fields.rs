//! Reads the keys of a job object that the runtime needs, in one pass, without decoding the rest.

use std::fmt;
use std::time::Duration;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

#[derive(Default)]
pub(super) struct JobFields<'a> {
    pub(super) id: Option<String>,
    pub(super) input: Option<&'a RawValue>,
    pub(super) batch_id: Option<String>,
    pub(super) execution_timeout: Option<Duration>,
    /// The secret of `s3Config`, which the log must not show.
    pub(super) secret: Option<String>,
}

pub(super) fn read(object: &[u8]) -> Result<JobFields<'_>, serde_json::Error> {
    let mut fields = JobFields::default();
    each(object, |key, value| {
        match key {
            // A job whose id is not a string counts as a job without an id.
            "id" => fields.id = serde_json::from_str(value.get()).ok(),
            "input" => fields.input = Some(value),
            "batchId" => fields.batch_id = serde_json::from_str(value.get()).ok(),
            "s3Config" => fields.secret = secret(value),
            "policy" => fields.execution_timeout = execution_timeout(value),
            _ => {}
        }
    })?;
    Ok(fields)
}

pub(super) fn get<'a>(object: &'a [u8], wanted: &str) -> Option<&'a RawValue> {
    let mut found = None;
    each(object, |key, value| {
        if key == wanted {
            found = Some(value);
        }
    })
    .ok()?;
    found
}

fn secret(config: &RawValue) -> Option<String> {
    #[derive(Deserialize)]
    struct Config {
        #[serde(rename = "accessSecret")]
        access_secret: String,
    }
    serde_json::from_str::<Config>(config.get())
        .ok()
        .map(|config| config.access_secret)
}

fn execution_timeout(policy: &RawValue) -> Option<Duration> {
    #[derive(Deserialize)]
    struct Policy {
        #[serde(rename = "executionTimeout")]
        execution_timeout: Option<f64>,
    }
    let millis = serde_json::from_str::<Policy>(policy.get())
        .ok()?
        .execution_timeout?;
    Duration::try_from_secs_f64(millis / 1000.0)
        .ok()
        .filter(|limit| !limit.is_zero())
}

/// Calls `visit` for each key. A repeated key is visited each time, so the last one wins, as in every JSON reader that
/// builds a map.
fn each<'a>(object: &'a [u8], visit: impl FnMut(&str, &'a RawValue)) -> Result<(), serde_json::Error> {
    struct Keys<F>(F);

    impl<'de, F: FnMut(&str, &'de RawValue)> Visitor<'de> for Keys<F> {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a job object")
        }

        fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
            while let Some((key, value)) = map.next_entry::<std::borrow::Cow<'de, str>, &'de RawValue>()? {
                (self.0)(&key, value);
            }
            Ok(())
        }
    }

    let mut source = serde_json::Deserializer::from_slice(object);
    source.deserialize_map(Keys(visit))?;
    source.end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_keys_and_keeps_the_rest_untouched() {
        let text = br#"{"webhook":"http://x","id":"j-u1","policy":{"executionTimeout":5000},"input":{"n":1.0},"batchId":"b"}"#;
        let fields = read(text).unwrap();
        assert_eq!(fields.id.as_deref(), Some("j-u1"));
        assert_eq!(fields.input.unwrap().get(), r#"{"n":1.0}"#);
        assert_eq!(fields.batch_id.as_deref(), Some("b"));
        assert_eq!(fields.execution_timeout, Some(Duration::from_secs(5)));
        assert_eq!(get(text, "webhook").unwrap().get(), "\"http://x\"");
        assert!(get(text, "s3Config").is_none());
    }

    #[test]
    fn the_last_of_two_equal_keys_wins() {
        let fields = read(br#"{"id":"a","id":"b","input":1,"input":2}"#).unwrap();
        assert_eq!(fields.id.as_deref(), Some("b"));
        assert_eq!(fields.input.unwrap().get(), "2");
    }

    #[test]
    fn odd_policies_are_ignored() {
        for policy in [
            "null",
            "[]",
            r#"{"executionTimeout":-1}"#,
            r#"{"executionTimeout":"5"}"#,
            r#"{"executionTimeout":0}"#,
        ] {
            let text = format!(r#"{{"id":"a","input":1,"policy":{policy}}}"#);
            assert_eq!(read(text.as_bytes()).unwrap().execution_timeout, None, "{policy}");
        }
    }

    #[test]
    fn nesting_is_no_matter() {
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        let text = format!(r#"{{"id":"a","input":{deep}}}"#);
        assert_eq!(read(text.as_bytes()).unwrap().input.unwrap().get(), deep);
    }
}
