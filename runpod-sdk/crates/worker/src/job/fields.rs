//! Reads the keys of a job object that the runtime needs, in one pass, without decoding the rest.

use std::time::Duration;

use runpod_protocol::{from_milliseconds, json, key};

pub(super) use runpod_protocol::json::field as get;

#[derive(Default)]
pub(super) struct JobFields<'a> {
    pub(super) id: Option<String>,
    pub(super) input: Option<&'a str>,
    pub(super) batch_id: Option<String>,
    pub(super) execution_timeout: Option<Duration>,
    /// The secret of `s3Config`, which the log must not show.
    pub(super) secret: Option<String>,
}

pub(super) fn read(object: &[u8]) -> Result<JobFields<'_>, serde_json::Error> {
    let mut fields = JobFields::default();
    json::entries(object, |name, value| {
        match name {
            // A job whose id is not a string counts as a job without an id.
            key::ID => fields.id = serde_json::from_str(value).ok(),
            key::INPUT => fields.input = Some(value),
            key::BATCH_ID => fields.batch_id = serde_json::from_str(value).ok(),
            key::S3_CONFIG => fields.secret = secret(value),
            key::POLICY => fields.execution_timeout = execution_timeout(value),
            _ => {}
        }
    })?;
    Ok(fields)
}

fn secret(config: &str) -> Option<String> {
    serde_json::from_str(json::field(config.as_bytes(), key::ACCESS_SECRET)?).ok()
}

fn execution_timeout(policy: &str) -> Option<Duration> {
    let milliseconds = json::field(policy.as_bytes(), key::EXECUTION_TIMEOUT)?;
    from_milliseconds(serde_json::from_str(milliseconds).ok()?).filter(|limit| !limit.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_keys_and_keeps_the_rest_untouched() {
        let text = br#"{"webhook":"http://x","id":"j-u1","policy":{"executionTimeout":5000},"input":{"n":1.0},"batchId":"b"}"#;
        let fields = read(text).unwrap();
        assert_eq!(fields.id.as_deref(), Some("j-u1"));
        assert_eq!(fields.input.unwrap(), r#"{"n":1.0}"#);
        assert_eq!(fields.batch_id.as_deref(), Some("b"));
        assert_eq!(fields.execution_timeout, Some(Duration::from_secs(5)));
        assert_eq!(get(text, "webhook").unwrap(), "\"http://x\"");
        assert!(get(text, "s3Config").is_none());
    }

    #[test]
    fn the_last_of_two_equal_keys_wins() {
        let fields = read(br#"{"id":"a","id":"b","input":1,"input":2}"#).unwrap();
        assert_eq!(fields.id.as_deref(), Some("b"));
        assert_eq!(fields.input.unwrap(), "2");
    }

    #[test]
    fn a_foreign_key_with_an_unpaired_surrogate_is_ignored() {
        let fields = read(br#"{"\ud800":1,"id":"a","input":2}"#).unwrap();
        assert_eq!((fields.id.as_deref(), fields.input), (Some("a"), Some("2")));
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
        assert_eq!(read(text.as_bytes()).unwrap().input.unwrap(), deep);
    }
}
