//! A job's own options for the worker: the key `worker` of the api form.
//!
//! They stand beside the payload, so that no key of the WebUI can collide with them.

use serde::Deserialize;

use super::error::RequestError;
use super::error::without_position;
use crate::settings::{CheckLevel, OutputMode, Reencode};

/// The options of one job. An absent one is as the worker's settings have it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct JobOptions {
    #[serde(default)]
    pub(crate) checks: Option<CheckLevel>,
    #[serde(default)]
    pub(crate) output: Option<OutputMode>,
    #[serde(default)]
    pub(crate) reencode: Option<Reencode>,
    /// The quality of pictures that are re-encoded to JPEG: 1 to 100.
    #[serde(default)]
    pub(crate) quality: Option<u8>,
    /// Each picture is a chunk of the job's stream.
    #[serde(default)]
    pub(crate) stream: Option<bool>,
    /// The list of all chunks is the job's output, too.
    #[serde(default)]
    pub(crate) aggregate: Option<bool>,
}

impl JobOptions {
    /// Reads the value of the key `worker`.
    pub(super) fn read(text: &str) -> Result<Self, RequestError> {
        serde_json::from_str(text).map_err(|error| RequestError::Form {
            path: "worker".into(),
            why: without_position(&error),
        })
    }
}
