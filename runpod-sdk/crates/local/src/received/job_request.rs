//! The body of a submission.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use runpod_protocol::{JobRequest, Policy, json};

/// A job request with its payloads as slices of the received body.
#[derive(Clone, Debug)]
pub(crate) struct ReceivedJob {
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

impl ReceivedJob {
    /// Reads a body.
    pub(crate) fn parse(body: &Bytes) -> Result<Self, RequestError> {
        if body.iter().all(u8::is_ascii_whitespace) {
            return Err(RequestError::NoInput);
        }
        let request: JobRequest<'_> = json::parse_object(body).map_err(RequestError::Malformed)?;
        let input = request.input.ok_or(RequestError::NoInput)?;
        let policy: Policy = match request.policy {
            Some(text) => serde_json::from_str(text.get()).map_err(RequestError::Policy)?,
            None => Policy::default(),
        };
        let policy = policy.clamped();
        Ok(Self {
            input: json::slice(body, input),
            webhook: request.webhook.filter(|url| !url.is_empty()).map(Cow::into_owned),
            policy: request.policy.map(|text| json::slice(body, text)),
            s3_config: request.s3_config.map(|text| json::slice(body, text)),
            execution_timeout: policy.execution_timeout,
            ttl: policy.ttl,
            low_priority: policy.low_priority,
            body_bytes: body.len(),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(body: &'static str) -> Result<ReceivedJob, RequestError> {
        ReceivedJob::parse(&Bytes::from_static(body.as_bytes()))
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
    fn bodies_without_an_input_are_refused_as_such() {
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
        assert_eq!(
            request.execution_timeout,
            Some(Policy::SHORTEST_EXECUTION_TIMEOUT)
        );
        assert_eq!(request.ttl, Some(Policy::LONGEST));
        assert!(request.low_priority);
        assert!(matches!(
            parse(r#"{"input":1,"policy":{"ttl":"1m"}}"#),
            Err(RequestError::Policy(_))
        ));
    }

    proptest! {
        #[test]
        fn no_body_makes_the_reader_panic(body in any::<Vec<u8>>()) {
            let _ = ReceivedJob::parse(&Bytes::from(body));
        }

        #[test]
        fn numbers_spaces_and_escapes_of_the_input_survive(
            number in "-?[1-9][0-9]{0,30}(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?",
            space in "[ \t\r\n]{0,3}",
            key in "[a-z]{1,5}|\\\\u00e9",
        ) {
            let input = format!("{{{space}\"{key}\"{space}:{space}[{number}]{space}}}");
            let body = Bytes::from(format!("{{\"a\":1,{space}\"input\":{space}{input}{space}}}"));
            prop_assert_eq!(ReceivedJob::parse(&body).unwrap().input, input);
        }
    }
}
