//! A job's time limits and priority.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};

use super::milliseconds;

/// A job's `policy` (`docs/protocol/endpoint-api.md` §3). Fields that are not set are not sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Policy {
    /// How long a worker may hold the job.
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "milliseconds::serialize",
        deserialize_with = "milliseconds::saturating"
    )]
    pub execution_timeout: Option<Duration>,
    /// How long the job may live, queue and execution together.
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "milliseconds::serialize",
        deserialize_with = "milliseconds::saturating"
    )]
    pub ttl: Option<Duration>,
    /// Whether the job may wait rather than have a worker started for it.
    #[serde(
        skip_serializing_if = "std::ops::Not::not",
        deserialize_with = "null_is_default"
    )]
    pub low_priority: bool,
}

impl Policy {
    /// The shortest execution timeout that the platform takes.
    pub const SHORTEST_EXECUTION_TIMEOUT: Duration = Duration::from_secs(5);
    /// The shortest time to live that the platform takes.
    pub const SHORTEST_TTL: Duration = Duration::from_secs(10);
    /// The longest span that the platform takes for either.
    pub const LONGEST: Duration = Duration::from_hours(7 * 24);

    /// Whether no field is set.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// The policy with its spans brought into the documented ranges.
    #[must_use]
    pub fn clamped(self) -> Self {
        let clamp = |span: Option<Duration>, shortest| span.map(|span| span.clamp(shortest, Self::LONGEST));
        Self {
            execution_timeout: clamp(self.execution_timeout, Self::SHORTEST_EXECUTION_TIMEOUT),
            ttl: clamp(self.ttl, Self::SHORTEST_TTL),
            low_priority: self.low_priority,
        }
    }
}

fn null_is_default<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key;

    #[test]
    fn spans_are_milliseconds_under_the_platforms_names() {
        let policy = Policy {
            execution_timeout: Some(Duration::from_secs(5)),
            ttl: Some(Duration::from_millis(10_001)),
            low_priority: true,
        };
        let written = serde_json::to_value(policy).unwrap();
        assert_eq!(written[key::EXECUTION_TIMEOUT], 5000);
        assert_eq!(written[key::TTL], 10_001);
        assert_eq!(written[key::LOW_PRIORITY], true);
        assert_eq!(serde_json::from_value::<Policy>(written).unwrap(), policy);
        assert_eq!(serde_json::to_string(&Policy::default()).unwrap(), "{}");
    }

    #[test]
    fn odd_spans_are_brought_into_the_documented_range_and_nulls_are_not_set() {
        let read = |text| serde_json::from_str::<Policy>(text).unwrap().clamped();
        let odd = read(r#"{"executionTimeout":-1.5,"ttl":1e300,"lowPriority":null,"x":1}"#);
        assert_eq!(odd.execution_timeout, Some(Policy::SHORTEST_EXECUTION_TIMEOUT));
        assert_eq!(odd.ttl, Some(Policy::LONGEST));
        assert!(!odd.low_priority);
        assert!(read(r#"{"executionTimeout":null}"#).is_default());
        assert!(serde_json::from_str::<Policy>(r#"{"ttl":"1m"}"#).is_err());
    }
}
