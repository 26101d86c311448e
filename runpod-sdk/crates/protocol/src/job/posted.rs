//! What a worker posts.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::json;

/// The body of a post to `job-done`: a result or a progress update (`docs/protocol/worker-protocol.md` §7 and §9).
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PostedReport<'a> {
    /// `IN_PROGRESS` for a progress update; a result has none.
    #[serde(borrow)]
    pub status: Option<Cow<'a, str>>,
    /// The result or the update; an output of `null` is an output.
    #[serde(borrow, default, deserialize_with = "json::present")]
    pub output: Option<&'a RawValue>,
    /// Why the job failed: a JSON string.
    #[serde(borrow)]
    pub error: Option<&'a RawValue>,
    /// Whether the worker asks to be replaced.
    pub stop_pod: Option<bool>,
}

/// One chunk of a stream, as a worker posts it and as a client reads it.
///
/// The platform may put other keys, such as `metrics`, beside the output.
#[derive(Clone, Debug, Deserialize)]
pub struct StreamChunk<'a> {
    /// The chunk's value.
    #[serde(borrow)]
    pub output: &'a RawValue,
}
