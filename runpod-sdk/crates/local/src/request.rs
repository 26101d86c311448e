//! What a client asks for, as received.

use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::raw;

const DAY: Duration = Duration::from_hours(24);
const SHORTEST_EXECUTION: Duration = Duration::from_secs(5);
const SHORTEST_TTL: Duration = Duration::from_secs(10);
const LONGEST: Duration = DAY.saturating_mul(7);

/// A job request. Its payloads are slices of the received body, never re-encoded.
#[derive(Clone, Debug)]
pub(crate) struct JobRequest {
    /// Any JSON value, `null` too.
    pub(crate) input: Bytes,
    pub(crate) webhook: Option<String>,
    /// `policy` as it came, for the worker to see.
    pub(crate) policy: Option<Bytes>,
    /// `s3Config` as it came.
    pub(crate) s3_config: Option<Bytes>,
    pub(crate) execution_timeout: Option<Duration>,
    pub(crate) ttl: Option<Duration>,
    pub(crate) low_priority: bool,
    /// Size of the whole body, which the slices keep alive.
    pub(crate) body_bytes: usize,
}

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow, default, deserialize_with = "raw::present")]
    input: Option<&'a RawValue>,
    webhook: Option<String>,
    #[serde(borrow)]
    policy: Option<&'a RawValue>,
    #[serde(borrow, rename = "s3Config")]
    s3_config: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Policy {
    execution_timeout: Option<f64>,
    ttl: Option<f64>,
    low_priority: Option<bool>,
}

/// Why a body is no job request.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestError {
    #[error("bad request: body: not a job request: {0}; send a JSON object with an `input`")]
    Malformed(#[source] serde_json::Error),
    #[error("bad request: body: no `input`; send {{\"input\": …}}")]
    NoInput,
    #[error("bad request: body: `policy`: {0}; times are milliseconds, `lowPriority` is a boolean")]
    Policy(#[source] serde_json::Error),
}

impl JobRequest {
    /// Reads a body. Unknown fields are ignored, as the platform does.
    pub(crate) fn parse(body: &Bytes) -> Result<Self, RequestError> {
        if body.iter().all(u8::is_ascii_whitespace) {
            return Err(RequestError::NoInput);
        }
        let wire: Wire<'_> = raw::object(body).map_err(RequestError::Malformed)?;
        let input = wire.input.ok_or(RequestError::NoInput)?;
        let policy = match wire.policy {
            Some(text) => serde_json::from_str(text.get()).map_err(RequestError::Policy)?,
            None => Policy::default(),
        };
        Ok(Self {
            input: raw::slice(body, input),
            webhook: wire.webhook.filter(|url| !url.is_empty()),
            policy: wire.policy.map(|text| raw::slice(body, text)),
            s3_config: wire.s3_config.map(|text| raw::slice(body, text)),
            execution_timeout: policy
                .execution_timeout
                .map(|ms| clamp_ms(ms, SHORTEST_EXECUTION, LONGEST)),
            ttl: policy.ttl.map(|ms| clamp_ms(ms, SHORTEST_TTL, LONGEST)),
            low_priority: policy.low_priority.unwrap_or(false),
            body_bytes: body.len(),
        })
    }
}

/// Milliseconds as a duration inside the documented range.
fn clamp_ms(ms: f64, shortest: Duration, longest: Duration) -> Duration {
    Duration::try_from_secs_f64(ms.max(0.0) / 1000.0)
        .unwrap_or(longest)
        .clamp(shortest, longest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(body: &'static str) -> Result<JobRequest, RequestError> {
        JobRequest::parse(&Bytes::from_static(body.as_bytes()))
    }

    #[test]
    fn the_input_is_kept_byte_for_byte() {
        let request = parse(r#"{"timeout":1, "input":{"b" :1.0e2,"a":"\u00e9"},"x":[]}"#).unwrap();
        assert_eq!(request.input, r#"{"b" :1.0e2,"a":"\u00e9"}"#);
    }

    #[test]
    fn an_input_of_null_is_an_input() {
        assert_eq!(parse(r#"{"input":null}"#).unwrap().input, "null");
    }

    #[test]
    fn bodies_without_an_input_are_told_so() {
        for body in ["", "  ", "{}", r#"{"webhook":"http://x"}"#] {
            assert!(matches!(parse(body), Err(RequestError::NoInput)), "{body:?}");
        }
        assert!(matches!(parse("{"), Err(RequestError::Malformed(_))));
        assert!(matches!(parse("[1]"), Err(RequestError::Malformed(_))));
    }

    #[test]
    fn policy_times_are_brought_into_the_documented_range() {
        let request =
            parse(r#"{"input":1,"policy":{"executionTimeout":1,"ttl":1e30,"lowPriority":true}}"#).unwrap();
        assert_eq!(request.execution_timeout, Some(SHORTEST_EXECUTION));
        assert_eq!(request.ttl, Some(LONGEST));
        assert!(request.low_priority);
        assert!(matches!(
            parse(r#"{"input":1,"policy":{"ttl":"1m"}}"#),
            Err(RequestError::Policy(_))
        ));
    }

    proptest! {
        #[test]
        fn no_body_makes_the_reader_panic(body in any::<Vec<u8>>()) {
            let _ = JobRequest::parse(&Bytes::from(body));
        }

        #[test]
        fn numbers_spaces_and_escapes_of_the_input_survive(
            number in "-?[1-9][0-9]{0,30}(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?",
            space in "[ \t\r\n]{0,3}",
            key in "[a-z]{1,5}|\\\\u00e9",
        ) {
            let input = format!("{{{space}\"{key}\"{space}:{space}[{number}]{space}}}");
            let body = Bytes::from(format!("{{\"a\":1,{space}\"input\":{space}{input}{space}}}"));
            prop_assert_eq!(JobRequest::parse(&body).unwrap().input, input);
        }
    }
}
