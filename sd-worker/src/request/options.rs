//! What a job wishes of the worker itself: the key `worker` of the api form.
//!
//! It stands beside the payload, so that no key of the WebUI, today's or tomorrow's, can collide with it.

use serde::Deserialize;

use crate::CheckLevel;
use crate::settings::{OutputMode, Reencode};

use super::error::RequestError;
use super::shape::without_place;

/// The wishes; what is absent is as the worker's owner set it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wishes {
    #[serde(default)]
    pub(crate) checks: Option<CheckLevel>,
    #[serde(default)]
    pub(crate) output: Option<OutputMode>,
    #[serde(default)]
    pub(crate) reencode: Option<Reencode>,
    /// Of pictures that are re-encoded to JPEG: 1 to 100.
    #[serde(default)]
    pub(crate) quality: Option<u8>,
    /// Each picture is a chunk of the job's stream.
    #[serde(default)]
    pub(crate) stream: Option<bool>,
    /// The list of all chunks is the job's output, too.
    #[serde(default)]
    pub(crate) aggregate: Option<bool>,
}

impl Wishes {
    pub(super) fn read(text: &str) -> Result<Self, RequestError> {
        serde_json::from_str(text).map_err(|error| RequestError::Form {
            path: "worker".into(),
            why: without_place(&error),
        })
    }
}
