//! What a client submits.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::json;

/// The body of `/run` and `/runsync` (`docs/protocol/endpoint-api.md` §3).
///
/// One type for both sides: a client writes it, the platform reads it. Its payloads are borrowed JSON text, never
/// decoded or copied. A reader ignores unknown keys, as the platform does.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobRequest<'a> {
    /// Any JSON value; an input of `null` is an input.
    #[serde(
        borrow,
        default,
        deserialize_with = "json::present",
        skip_serializing_if = "Option::is_none"
    )]
    pub input: Option<&'a RawValue>,
    /// The URL that the finished job is posted to.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<Cow<'a, str>>,
    /// A [`Policy`](crate::Policy) as JSON text, so that a worker can be given it as it came.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub policy: Option<&'a RawValue>,
    /// An [`S3Config`](crate::S3Config) as JSON text.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub s3_config: Option<&'a RawValue>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key;

    #[test]
    fn the_fields_have_the_platforms_names_and_keep_their_bytes() {
        let text = r#"{"input":{"b" :1.0e2},"webhook":"http://x/","policy":{ "ttl":1},"s3Config":{}}"#;
        let request: JobRequest<'_> = serde_json::from_str(text).unwrap();
        assert_eq!(request.input.unwrap().get(), r#"{"b" :1.0e2}"#);
        assert_eq!(serde_json::to_string(&request).unwrap(), text);
        for name in [key::INPUT, key::WEBHOOK, key::POLICY, key::S3_CONFIG] {
            assert!(json::field(text.as_bytes(), name).is_some(), "{name}");
        }
    }

    #[test]
    fn an_input_of_null_is_an_input_and_other_nulls_are_nothing() {
        let text = r#"{"input":null,"webhook":null,"policy":null}"#;
        let request: JobRequest<'_> = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&request).unwrap(), r#"{"input":null}"#);
    }
}
