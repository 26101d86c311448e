//! Spans of time as the platform writes them: milliseconds, whole or not.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A number of milliseconds as a duration; `None` if it is negative or too large for one.
pub fn from_milliseconds(milliseconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(milliseconds / 1000.0).ok()
}

#[expect(clippy::ref_option, reason = "serde calls it with a reference to the field")]
pub(super) fn serialize<S: Serializer>(span: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    span.map(|span| u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
        .serialize(serializer)
}

/// Reads a span; one that no duration holds counts as absent.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let milliseconds = Option::<f64>::deserialize(deserializer)?;
    Ok(milliseconds.and_then(from_milliseconds))
}

/// Reads a span; one that no duration holds becomes the nearest that one does.
pub(super) fn saturating<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let milliseconds = Option::<f64>::deserialize(deserializer)?;
    Ok(milliseconds.map(|milliseconds| from_milliseconds(milliseconds.max(0.0)).unwrap_or(Duration::MAX)))
}
